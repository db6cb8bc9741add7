"""``fusem impute``: fill in missing values."""

from __future__ import annotations

from pathlib import Path

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.output import TABLES, InOrder, TableWriter, output_option
from fusem.cli.source import columns_option, open_source


@click.command(
    cls=ExampleCommand,
    short_help="Fill in missing values.",
    examples=[
        "fusem impute table.parquet -o complete.parquet",
        "fusem impute table.csv -k 3 --sample --seed 1 -o complete.csv",
        "fusem impute new.csv --model model.npz -o complete.csv",
    ],
)
@click.argument("data")
@output_option(TABLES, "Where to write: .npy, .parquet or .csv.", required=True)
@click.option(
    "-k",
    "--components",
    type=click.IntRange(min=1),
    help="Number of components of the mixture that is fitted. Default: 1.",
)
@click.option("--model", metavar="FILE.npz", help="Fill in from this model; nothing is fitted.")
@click.option(
    "--sample", is_flag=True, help="Draw values at random instead of taking what is expected."
)
@columns_option
@click.option("--seed", type=click.IntRange(min=0), help="Makes start and draws repeatable.")
def impute(
    data: str,
    output: Path,
    components: int | None,
    model: str | None,
    sample: bool,
    columns: list[str] | None,
    seed: int | None,
) -> None:
    """Write DATA with missing values (NaN, null, an empty field) filled in.

    A Gaussian mixture is fitted to what was observed, or taken from a file. A missing value becomes
    its mean given the other values of its row. Memory does not grow with DATA, and the file
    appears only when it is complete.
    """
    import fusem
    from fusem.cli.model import gaussian_model
    from fusem.cli.progress import row_bar
    from fusem.data.files import reads_from

    if reads_from(data, output) or (model and output.resolve() == Path(model).resolve()):
        raise click.UsageError(f"{output} is read for this: write to another file.")
    if model is not None and components is not None:
        raise click.UsageError("-k belongs to a fit; --model is fitted already.")
    fitted = None if model is None else gaussian_model(model)
    rows, _ = open_source(data, columns, model=fitted)
    if fitted is None:
        fitted = fusem.EMImputer(components or 1, random_state=seed).fit(rows).mixture_
    numbers = None
    if sample:
        numbers = fitted._seed(seed)
    names = rows.names or [f"column_{j}" for j in range(rows.n_columns)]
    with TableWriter(output, names) as writer, row_bar("imputing", rows.n_rows) as advance:

        def write(block: object) -> None:
            before = writer.rows
            writer.write(block)
            advance(writer.rows - before)

        fitted._complete(rows, numbers, InOrder(write).put)
    click.echo(f"{writer.rows:,} rows written to {output}")
