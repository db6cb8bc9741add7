"""``fusem score``: how well a model explains data."""

from __future__ import annotations

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.source import columns_option, open_source, weights_option


@click.command(
    cls=ExampleCommand,
    short_help="Print how well a model explains a table.",
    examples=[
        "fusem score model.npz held-out.parquet",
        "fusem score model.npz held-out.npy --json",
    ],
)
@click.argument("model")
@click.argument("data")
@columns_option
@weights_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
def score(
    model: str, data: str, columns: list[str] | None, weights: str | None, as_json: bool
) -> None:
    """Print the log-likelihood of DATA under MODEL, with AIC and BIC (lower is better)."""
    import fusem
    from fusem.cli.criteria import criteria
    from fusem.cli.report import print_json
    from fusem.cli.table import print_pairs

    fitted = fusem.load(model)
    rows, weight_rows = open_source(data, columns, weights, model=fitted)
    record = criteria(fitted, rows, weight_rows)
    if as_json:
        print_json({"model": model, "data": data, **record})
        return
    print_pairs(
        [
            ("rows", f"{record['rows']:,}"),
            ("log-likelihood per row", f"{record['log_likelihood']:.9f}"),
            ("log-likelihood", f"{record['log_likelihood'] * record['weight']:.2f}"),
            ("AIC", f"{record['aic']:.2f}"),
            ("BIC", f"{record['bic']:.2f}"),
        ]
    )
