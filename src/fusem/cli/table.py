"""Text tables: aligned columns for people, in the style of the components' summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click


def number(value: float) -> str:
    """Write a number in six digits."""
    return f"{value:.6g}"


def count(value: float) -> str:
    """Write a count or a rate: 940, 12.3 k, 38.2 M."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return f"{value:.0f}"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print right-aligned columns under a header (bold on a terminal)."""
    body = [list(row) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(header, *body, strict=True)]
    click.echo(click.style(_joined(header, widths), bold=True))
    for row in body:
        click.echo(_joined(row, widths))


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, values aligned."""
    kept = list(pairs)
    width = max(len(name) for name, _ in kept)
    for name, value in kept:
        click.echo(f"{name:<{width}}  {value}")


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
