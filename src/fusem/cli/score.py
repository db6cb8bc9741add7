"""``fusem score``: how well a model explains data."""

from __future__ import annotations

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.saved import load_mixture
from fusem.cli.source import columns_option, na_option, open_source, weights_option


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
@na_option
@weights_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, nothing else.")
def score(
    model: str,
    data: str,
    columns: list[str] | None,
    na: list[str] | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Print the log-likelihood of DATA under MODEL, with AIC and BIC (lower is better).

    Rows without any value do not count. The log-likelihood is its mean times the rows, or times their
    weight where there is one.
    """
    from fusem.cli.criteria import criteria
    from fusem.cli.report import print_json
    from fusem.cli.table import print_pairs

    fitted = load_mixture(model)
    rows, weight_rows = open_source(data, columns, weights, model=fitted, na=na)
    record = criteria(fitted, rows, weight_rows)
    if as_json:
        print_json({"model": model, "data": data, **record})
        return
    empty, per, total = (
        record["rows_without_value"],
        "row",
        record["log_likelihood"] * record["weight"],
    )
    pairs = [("rows", f"{record['rows']:,}")]
    if empty:
        pairs.append(("without any value", f"{empty:,} more, which do not count"))
    if weights is not None:
        per = "unit of weight"
        pairs.append(("weight", f"{record['weight']:.10g}"))
    pairs += [
        (f"log-likelihood per {per}", f"{record['log_likelihood']:.9f}"),
        ("log-likelihood", f"{total:.2f}"),
        ("AIC", f"{record['aic']:.2f}"),
        ("BIC", f"{record['bic']:.2f}"),
    ]
    print_pairs(pairs)
