"""``fusem predict``: the component of each row, or the probabilities of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.output import TABLES, output_option
from fusem.cli.saved import load_mixture
from fusem.cli.source import columns_option, na_option, open_source


@click.command(
    cls=ExampleCommand,
    short_help="Write the component of each row.",
    examples=[
        "fusem predict model.npz table.parquet -o labels.npy",
        "fusem predict model.npz table.npy --proba -o probabilities.parquet",
    ],
)
@click.argument("model")
@click.argument("data")
@output_option(TABLES, "Where to write: .npy, .parquet or .csv.", required=True)
@click.option("--proba", is_flag=True, help="Write the probability of each component instead.")
@columns_option
@na_option
def predict(
    model: str,
    data: str,
    output: Path,
    proba: bool,
    columns: list[str] | None,
    na: list[str] | None,
) -> None:
    """Write the component that each row of DATA most probably belongs to.

    MODEL is a file that "fusem fit -o" has written. One number per row is written (int64), or
    with --proba one column per component. Memory does not grow with DATA, and the file appears
    only when it is complete.
    """
    from fusem.cli.output import InOrder, TableWriter
    from fusem.cli.progress import row_bar
    from fusem.data.files import reads_from

    if reads_from(data, output) or output.resolve() == Path(model).resolve():
        raise click.UsageError(f"{output} is read for this: write to another file.")
    fitted = load_mixture(model)
    rows, _ = open_source(data, columns, model=fitted, na=na)
    n_components = len(fitted.weights_)
    names = [f"component_{k}" for k in range(n_components)] if proba else ["component"]
    with TableWriter(output, names) as writer, row_bar("predicting", rows.n_rows) as advance:

        def write(block: Any) -> None:
            writer.write(block)
            advance(len(block))

        put, ready = InOrder(write).put, fitted._ready(rows)
        if proba:
            fitted._evaluate(ready, None, "proba", lambda first, w, o: put(first, o.proba))
        else:
            fitted._evaluate(ready, None, "labels", lambda first, w, o: put(first, o.labels))
    click.echo(f"{writer.rows:,} rows written to {output}")
