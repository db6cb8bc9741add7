"""``fusem demo``: the main job on built-in data."""

from __future__ import annotations

from pathlib import Path

import click

from fusem.cli.examples import ExampleCommand


@click.command(
    cls=ExampleCommand,
    short_help="Show what fusem does, in under a minute.",
    examples=[
        "fusem demo",
        "fusem demo --out pictures --rows 1000000",
    ],
)
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("fusem-demo"),
    show_default=True,
    help="Folder for the pictures.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1000),
    default=10_000_000,
    show_default=True,
    help="Rows of the large file in step 5.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def demo(out: Path, rows: int, seed: int) -> None:
    """Show what fusem does on built-in data, with pictures, in under a minute."""
    from fusem.demo import run

    run(out, n_large=rows, seed=seed)
