"""The command ``fusem`` and its sub-commands; each imports what it needs only when it runs."""

from __future__ import annotations

import click

from fusem.cli.demo import demo
from fusem.cli.examples import ExampleGroup
from fusem.cli.fit import fit
from fusem.cli.hmm import hmm
from fusem.cli.impute import impute
from fusem.cli.info import info
from fusem.cli.predict import predict
from fusem.cli.sample import sample
from fusem.cli.score import score


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("fusem")
    except PackageNotFoundError:  # run from a source tree that was never installed
        found = "(not installed)"
    click.echo(f"fusem {found}")
    context.exit()


@click.group(
    cls=ExampleGroup,
    examples=[
        "fusem demo",
        "fusem fit table.parquet -k 8 -o model.npz",
        "fusem predict model.npz table.parquet -o labels.npy",
        "fusem hmm fit series.parquet -k 3 --columns rate --sequence patient -o model.npz",
        "fusem info model.npz",
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def app(context: click.Context) -> None:
    """Fit Gaussian mixtures, and hidden Markov models, to tables of any size.

    DATA is a .npy or .csv file, a .parquet file, a folder of them or a quoted pattern such as
    'part-*.parquet'. It is read in chunks and may be larger than memory. The first line of a
    .csv file names its columns, unless all of it is numbers and missing values: then it is a row.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (fit, predict, impute, score, sample, hmm, info, demo):
    app.add_command(command)
