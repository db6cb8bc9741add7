"""What is seen while a command works: a line per sweep, a bar over rows."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fusem.cli.table import count

Record = Any


@contextmanager
def sweep_lines(
    *, n_starts: int, quiet: bool, json: bool, value: str = "log-likelihood"
) -> Iterator[Callable[[Record], None]]:
    """Give a function that prints a line for each sweep, as it ends, or a line of text.

    What EM increases is called `value`.

    On a terminal a spinner with the elapsed time stands below the lines. With `json`, stdout
    belongs to the result: the lines go to stderr, and only if that is a terminal.
    """
    stream = sys.stderr if json else sys.stdout
    terminal = stream.isatty()
    if quiet or (json and not terminal):
        yield lambda record: None
        return
    show = _LinePrinter(n_starts, value)
    if not terminal:
        yield lambda record: print(show(record), file=stream, flush=True)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=stream, highlight=False)
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with spinner:
        task = spinner.add_task("finding a start")

        def report(record: Record) -> None:
            console.print(show(record), markup=False)
            now = record if isinstance(record, str) else f"sweep {record.iteration + 1}"
            spinner.update(task, description=now)

        yield report


class _LinePrinter:
    """Formats sweeps as the lines of one table, its header before the first."""

    def __init__(self, n_starts: int, value: str) -> None:
        self.n_starts, self.value = n_starts, value
        self.begun = False

    def __call__(self, record: Record | str) -> str:
        if isinstance(record, str):
            return record
        line = (
            f"{record.iteration:>5}  {record.log_likelihood:>16.9f}  "
            f"{_change(record.change):>10}  {count(record.rows_per_second):>10}"
        )
        header = f"{'sweep':>5}  {self.value:>16}  {'change':>10}  {'rows/s':>10}"
        if self.n_starts > 1:
            line = f"{record.start + 1:>5}  {line}"
            header = f"{'start':>5}  {header}"
        if not self.begun:
            self.begun = True
            return f"{header}\n{line}"
        return line


def _change(change: float) -> str:
    return f"{change:+.2e}" if math.isfinite(change) else "-"


@contextmanager
def row_bar(description: str, n_rows: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that advances a bar by so many rows; shown only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(description, total=n_rows)
        yield lambda rows: bar.update(task, advance=rows)
