"""``fusem hmm decode``: the state of each row, or the probabilities of all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from fusem.cli.em_options import jobs_option
from fusem.cli.examples import ExampleCommand
from fusem.cli.output import TABLES, output_option
from fusem.cli.saved import load_hmm
from fusem.cli.sequences import sequence_options, sequences_of
from fusem.cli.source import both_told, columns_option, model_and_data, na_option

WRITTEN_ROWS = 65536  # at a time


@click.command(
    cls=ExampleCommand,
    short_help="Write the state of each row.",
    examples=[
        "fusem hmm decode model.npz series.npy -o states.npy",
        "fusem hmm decode model.npz series.csv --sequence patient -o states.csv",
        "fusem hmm decode model.npz series.npy --algorithm map -o states.npy",
        "fusem hmm decode model.npz series.npy --proba -o probabilities.parquet",
    ],
)
@model_and_data
@output_option(TABLES, "Where to write: .npy, .parquet or .csv.", required=True)
@sequence_options
@click.option(
    "--algorithm",
    type=click.Choice(["viterbi", "map"]),
    help="viterbi: the most probable path; map: the most probable state of every row.  "
    "[default: the model's own, viterbi]",
)
@click.option("--proba", is_flag=True, help="Write the probability of each state instead.")
@columns_option
@na_option
@jobs_option
def decode(
    sources: tuple[str, ...],
    model: str | None,
    output: Path,
    lengths: str | None,
    sequence: str | None,
    algorithm: str | None,
    proba: bool,
    columns: list[str] | None,
    na: list[str] | None,
    jobs: int,
) -> None:
    """Write the hidden state of each row of DATA, given its whole sequence.

    One number per row is written (int64), or with --proba one column per state. The file appears
    only when it is complete.
    """
    from fusem.cli.output import TableWriter
    from fusem.data.files import reads_from

    if proba and algorithm is not None:
        raise click.UsageError(f"--algorithm {algorithm} finds states, --proba writes none.")
    model, data = both_told(sources, model)
    read = [Path(model).resolve(), *([Path(lengths).resolve()] if lengths else [])]
    if reads_from(data, output) or output.resolve() in read:
        raise click.UsageError(f"{output} is read for this: write to another file.")
    fitted = load_hmm(model)
    fitted.set_params(n_jobs=jobs)
    given = sequences_of(data, columns, na, fitted, lengths, sequence)
    names = [f"state_{k}" for k in range(fitted.n_components)] if proba else ["state"]
    # the writer ends first: it may still hold views of what it was given
    with ExitStack() as stack, TableWriter(output, names) as writer:
        if proba:  # many numbers per row: in a file, which is read again in pieces
            folder = stack.enter_context(TemporaryDirectory(prefix=".fusem-", dir=output.parent))
            found = fitted.predict_proba(given.rows, given.lengths, out=Path(folder, "proba.npy"))
            stack.callback(found._mmap.close)  # or Windows would not remove it
        else:
            found = fitted.decode(given.rows, given.lengths, algorithm)[1]
        for first in range(0, len(found), WRITTEN_ROWS):
            writer.write(found[first : first + WRITTEN_ROWS])
    click.echo(f"{writer.rows:,} rows written to {output}")
