"""``fusem hmm``: hidden Markov models, fitted, decoded and scored."""

from __future__ import annotations

import click

from fusem.cli.examples import ExampleGroup
from fusem.cli.hmm_decode import decode
from fusem.cli.hmm_fit import fit
from fusem.cli.hmm_score import score


@click.group(
    cls=ExampleGroup,
    short_help="Hidden Markov models: fit, decode, score.",
    examples=[
        "fusem hmm fit series.parquet -k 3 --columns rate --sequence patient -o model.npz",
        "fusem hmm decode series.parquet --model model.npz --sequence patient -o states.csv",
        "fusem hmm score held-out.npy --model model.npz --lengths 1000,800",
    ],
    invoke_without_command=True,
)
@click.pass_context
def hmm(context: click.Context) -> None:
    """Hidden Markov models of sequences.

    The rows of DATA are steps of one sequence, or of several, one after the other (--lengths,
    --sequence). Missing values are left out.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (fit, decode, score):
    hmm.add_command(command)
