"""The options that say where one sequence ends and the next begins: --lengths and --sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from fusem.cli.source import as_options, source_of

MOST_SEEN = 100_000  # sequences that are looked at for values that come back: memory is bounded
Command = TypeVar("Command", bound=Callable[..., Any])


class Sequences(NamedTuple):
    """Rows, and how many of them each sequence has."""

    rows: Any
    lengths: Any  # None: all rows are one


def sequence_options(command: Command) -> Command:
    """Add ``--lengths`` and ``--sequence``."""
    lengths = click.option(
        "--lengths",
        metavar="N,N,...|FILE",
        help="Rows of each sequence, one after the other: numbers separated by commas, or a .npy or "
        "text file of them. Default: all rows are one sequence.",
    )
    sequence = click.option(
        "--sequence",
        metavar="COLUMN",
        help="Rows that follow each other and have the same value in this column (text too; of an "
        "array: its number, from 0) are one sequence.",
    )
    return lengths(sequence(command))


def sequences_of(
    data: str,
    columns: Sequence[str] | None,
    na: Sequence[str] | None,
    model: Any,
    lengths: str | None,
    sequence: str | None,
) -> Sequences:
    """Open DATA as sequences of rows.

    Without a choice of columns the column that tells sequences apart is none of those that are used.

    Raises
    ------
    click.UsageError
        For both options at once, and lengths that are none.
    ValueError
        For a column that is not there or has no value in some row.
    """
    if lengths is not None and sequence is not None:
        raise click.UsageError("--lengths and --sequence say the same: give one of them.")
    if sequence is None:
        rows = source_of(data, columns, None, model, na).rows
        return Sequences(rows, None if lengths is None else _read_lengths(lengths))
    if columns is None and (
        model is None or not hasattr(model, "feature_names_in_") or data.lower().endswith(".npy")
    ):
        columns = _others(data, sequence, na)
    rows = source_of(data, columns, None, model, na).rows
    return Sequences(rows, _runs(data, sequence, rows))


def _others(data: str, sequence: str, na: Sequence[str] | None) -> list[str]:
    """Columns that hold numbers, but for one."""
    import fusem
    from fusem.data.columns import NotNumericError

    try:
        rows = fusem.rows(data, na_values=na)
    except NotNumericError as error:
        if sequence not in [*error.columns, *error.others]:
            known = ", ".join(map(str, [*error.columns, *error.others]))
            raise ValueError(f"{data} has no column {sequence!r}. It has {known}.") from error
        if error.columns != [sequence]:
            raise ValueError(as_options(str(error))) from error
        names = error.others
    else:
        names = list(map(str, range(rows.n_columns))) if rows.names is None else list(rows.names)
        if sequence not in names:
            unnamed = rows.names is None
            known = f"columns 0 to {len(names) - 1}, without names" if unnamed else ", ".join(names)
            raise ValueError(f"{data} has no column {sequence!r}. It has {known}.")
    others = [name for name in names if name != sequence]
    if not others:
        raise click.UsageError(f"{data} has no column of numbers beside {sequence}.")
    return others


def _runs(data: str, sequence: str, rows: Any) -> Any:
    """How many rows follow each other with the same value."""
    import numpy as np

    begins: list[Any] = []
    n_rows, last, seen = 0, None, Seen(data, sequence)
    for differs, value_at in _pieces(data, sequence, rows):
        new = np.flatnonzero(differs) + 1
        if n_rows == 0 or value_at(0) != last:
            new = np.concatenate([[0], new])
        seen.look(new, n_rows, value_at)
        begins.append(new + n_rows)
        last = value_at(len(differs))
        n_rows += len(differs) + 1
    return np.diff(np.concatenate([*begins, [n_rows]]))


class Seen:
    """Notices a value that comes back after others: rows of one sequence that are apart."""

    def __init__(self, data: str, sequence: str) -> None:
        self.data, self.sequence = data, sequence
        self._values: set[Any] = set()
        self._told = False

    def look(self, begins: Any, n_rows: int, value_at: Callable[[int], Any]) -> None:
        """Look at the values that sequences begin with, of a piece of rows that has `n_rows` before it."""
        from fusem.exceptions import FusemWarning, warn

        for row in begins.tolist():
            if self._told or len(self._values) >= MOST_SEEN:
                return
            value = value_at(row)
            if value in self._values:
                self._told = True
                warn(
                    FusemWarning,
                    f"{self.data}: in row {n_rows + row} column {self.sequence} is {value} again, after "
                    "other values: these rows are a sequence of their own. If they are not, sort the table "
                    "by the column, and within it by time.",
                )
            self._values.add(value)


def _pieces(data: str, sequence: str, rows: Any) -> Iterator[tuple[Any, Callable[[int], Any]]]:
    """Piece by piece: whether each value differs from that before it, and what the values are."""
    import fusem

    whole = rows.whole()
    if whole is None:
        if not sequence.isdecimal():
            raise ValueError(
                f"{data} has no names of columns: give --sequence a number, such as 0, not {sequence!r}."
            )
        n_rows = 0
        for block in fusem.rows(data, columns=[int(sequence)]).blocks():
            if len(block):
                _refuse_missing(block[:, 0] != block[:, 0], n_rows, data, sequence)
                values = block[:, 0]
                yield values[1:] != values[:-1], values.item
            n_rows += len(block)
        return
    import pyarrow.compute as pc

    names = list(whole.schema.names)
    unnamed = rows.names is None and sequence.isdecimal()
    at = int(sequence) if unnamed else names.index(sequence) if sequence in names else len(names)
    if at >= len(names):
        raise ValueError(f"{data} has no column {sequence!r}. It has {', '.join(names)}.")
    n_rows = 0
    for table in whole.tables():
        column = table.column(at).combine_chunks()
        if hasattr(column, "dictionary_decode"):
            column = column.dictionary_decode()
        if len(column):
            empty = pc.is_null(column, nan_is_null=True)
            if whole.nulls is not None:
                empty = pc.or_(empty, pc.is_in(column, value_set=_array(whole.nulls)))
            _refuse_missing(empty.to_numpy(zero_copy_only=False), n_rows, data, sequence)
            differs = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
            yield differs.to_numpy(zero_copy_only=False), partial(_cell, column)
        n_rows += len(column)


def _cell(column: Any, row: int) -> str:
    return str(column[row])


def _array(words: frozenset[str]) -> Any:
    import pyarrow as pa

    return pa.array(sorted(words), pa.string())


def _refuse_missing(missing: Any, first: int, data: str, sequence: str) -> None:
    if missing.any():
        raise ValueError(
            f"{data}: row {first + int(missing.argmax())} has no value in column {sequence}: every row "
            "must belong to a sequence. Give it one, or drop the row."
        )


def _read_lengths(given: str) -> Any:
    """Whole numbers from a list or a file."""
    import numpy as np

    if given.lower().endswith(".npy"):
        return np.load(Path(given).expanduser(), allow_pickle=False)
    text = given
    if not set(given) <= set("0123456789, "):
        path = Path(given).expanduser()
        if not path.is_file():
            raise click.UsageError(
                f"--lengths {given}: neither numbers from 1 on, separated by commas, nor a file of them."
            )
        text = path.read_text(encoding="utf-8")
    words = [word for part in text.split(",") for word in part.split() or ["nothing"]]
    wrong = next((word for word in words if not word.isdecimal()), None)
    if wrong is not None:
        raise click.UsageError(f"--lengths {given}: holds {wrong}, not whole numbers of rows.")
    return np.array(list(map(int, words)))


def in_words(record: dict[str, Any]) -> str:
    """How many sequences, and how long: "12 (3 to 40 rows)"."""
    shortest, longest = record["shortest_sequence"], record["longest_sequence"]
    span = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    each = " each" if shortest == longest and record["sequences"] > 1 else ""
    return f"{record['sequences']:,} ({span} {'row' if longest == 1 else 'rows'}{each})"
