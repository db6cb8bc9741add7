"""Text tables: aligned columns for people, in the style of the components' summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

GAP = "  "


def numbers(values: Iterable[float]) -> list[str]:
    """Write numbers in six digits, as a column whose decimal points stand under each other."""
    cells = [f"{value:#.6g}".removesuffix(".") for value in values]
    whole = [cell.partition(".")[0] for cell in cells]
    left = max(map(len, whole), default=0)
    lines = [" " * (left - len(head)) + cell for head, cell in zip(whole, cells, strict=True)]
    width = max(map(len, lines), default=0)
    return [line.ljust(width) for line in lines]


def count(value: float) -> str:
    """Write a count or a rate: 940, 12.3 k, 38.2 M."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.1f}{unit}"
    return f"{value:.0f}"


def how_many(n: int, noun: str) -> str:
    """Write a number of things: 1 column, 1,500 rows."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def print_table(columns: Sequence[Sequence[str]]) -> None:
    """Print columns of text, right-aligned; the first line, the header, is bold on a terminal."""
    widths = [max(map(len, column)) for column in columns]
    for number_of_line, cells in enumerate(zip(*columns, strict=True)):
        line = GAP.join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        click.echo(click.style(line, bold=True) if number_of_line == 0 else line.rstrip())


def fitting(columns: Sequence[Sequence[str]], width: int) -> int:
    """Count the columns that fit side by side into a width."""
    used = 0
    for n, column in enumerate(columns):
        used += max(map(len, column)) + (len(GAP) if n else 0)
        if used > width:
            return n
    return len(columns)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, values aligned."""
    kept = list(pairs)
    width = max(len(name) for name, _ in kept)
    for name, value in kept:
        click.echo(f"{name:<{width}}  {value}")
