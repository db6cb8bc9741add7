"""``fusem sample``: draw rows from a model."""

from __future__ import annotations

from pathlib import Path

import click

from fusem.cli.examples import ExampleCommand
from fusem.cli.output import TABLES, output_option
from fusem.cli.saved import load_mixture

CHUNK_BYTES = 2**25


@click.command(
    cls=ExampleCommand,
    short_help="Draw random rows from a model.",
    examples=[
        "fusem sample model.npz -n 1000000 -o rows.npy",
        "fusem sample model.npz -n 1000 --seed 1 -o rows.csv",
    ],
)
@click.argument("model")
@click.option("-n", "--rows", type=click.IntRange(min=1), required=True, help="Number of rows.")
@output_option(TABLES, "Where to write: .npy, .parquet or .csv.", required=True)
@click.option("--seed", type=click.IntRange(min=0), help="Makes the rows repeatable.")
def sample(model: str, rows: int, output: Path, seed: int | None) -> None:
    """Draw rows at random from MODEL.

    Memory does not grow with the number of rows, and the file appears only when it is complete.
    """
    import numpy as np

    from fusem.cli.model import n_columns_of
    from fusem.cli.output import TableWriter
    from fusem.cli.progress import row_bar
    from fusem.plot.view import column_names

    fitted = load_mixture(model)
    generator = np.random.default_rng(seed)
    n_columns = n_columns_of(fitted)
    names = column_names(fitted) or tuple(f"column_{j}" for j in range(n_columns))
    chunk = max(1024, CHUNK_BYTES // (8 * n_columns))
    with TableWriter(output, names) as writer, row_bar("drawing", rows) as advance:
        while writer.rows < rows:
            # A seed of its own for each chunk: with one for all they would hold the same rows.
            fitted.set_params(random_state=int(generator.integers(2**31)))
            drawn, _ = fitted.sample(min(chunk, rows - writer.rows))
            # `sample` sorts rows by component; in a file that would surprise.
            writer.write(generator.permutation(drawn))
            advance(len(drawn))
    click.echo(f"{writer.rows:,} rows written to {output}")
