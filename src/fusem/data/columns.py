"""`columns=`: from names or positions to positions."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Sequence
from typing import Any


def column_positions(
    columns: Any, names: Sequence[Any] | None, n_columns: int, label: str
) -> list[int] | None:
    """Turn the user's choice of columns into positions.

    Parameters
    ----------
    columns : None, str, int, or iterable of str and int
        The choice: names, or positions counted from 0. ``None`` means all columns.
    names : sequence or None
        Labels of the columns, if there are any.
    n_columns : int
        How many columns there are to choose from.
    label : str
        What errors call the source.

    Returns
    -------
    positions : list of int, or None
        In the order asked for; ``None`` for all.

    Raises
    ------
    ValueError
        For a column that does not exist, is named twice, or has an ambiguous name; for no column.
    TypeError
        If `columns` holds anything but names and positions.
    """
    if columns is None:
        return None
    chosen = column_list(columns)
    positions = [_position(column, names, n_columns, label) for column in chosen]
    if len(set(positions)) < len(positions):
        twice = next(c for c, j in zip(chosen, positions) if positions.count(j) > 1)
        raise ValueError(f"columns= names column {twice!r} of {label} twice.")
    return positions


def column_list(columns: Any) -> list[Any]:
    """Return the choice as a list; a single name or position is a list of one.

    Parameters
    ----------
    columns : str, int, or iterable of str and int
        The choice.

    Returns
    -------
    columns : list
        Not empty.

    Raises
    ------
    ValueError
        If it is empty.
    TypeError
        If it is not such a choice at all.
    """
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        columns = [columns]
    chosen = list(columns)
    if not chosen:
        raise ValueError("columns= names no column; leave it out to take all of them.")
    for column in chosen:
        if isinstance(column, bool) or not (
            isinstance(column, str) or hasattr(column, "__index__")
        ):
            raise TypeError(
                "columns= takes names and positions, such as ['x', 'y'] or [0, 2]; "
                f"got {column!r} ({type(column).__name__})."
            )
    return chosen


def _position(column: Any, names: Sequence[Any] | None, n_columns: int, label: str) -> int:
    if not isinstance(column, str):
        position = operator.index(column)
        if not 0 <= position < n_columns:
            raise ValueError(
                f"{label} has no column {position}: it has {n_columns} "
                f"{'column' if n_columns == 1 else 'columns'}, counted from 0."
            )
        return position
    if names is None:
        raise ValueError(
            f"{label} has no column names, so there is no column {column!r}; "
            "give positions counted from 0, such as columns=[0, 2]."
        )
    found = [j for j, name in enumerate(names) if name == column]
    if len(found) > 1:
        raise ValueError(f"{label} has {len(found)} columns named {column!r}; give positions.")
    if not found:
        raise ValueError(f"{label} has no column {column!r}{_alternatives(column, names)}")
    return found[0]


def _alternatives(column: str, names: Sequence[Any]) -> str:
    close = difflib.get_close_matches(column, [str(name) for name in names], n=1)
    if close:
        return f"; did you mean {close[0]!r}? Its columns are {enumerated(names)}."
    return f". Its columns are {enumerated(names)}."


def enumerated(names: Sequence[Any], most: int = 12) -> str:
    """List names for a message, cut after `most` of them.

    Parameters
    ----------
    names : sequence
        The names.
    most : int
        How many to show.

    Returns
    -------
    text : str
        Such as ``'a', 'b', 'c'``.
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


class NotNumericError(ValueError):
    """Columns that were to be read hold no numbers.

    Parameters
    ----------
    message : str
        What is said.
    columns : list
        Their names.
    others : list
        Names of the columns that hold numbers.
    """

    def __init__(self, message: str, columns: list[Any], others: list[Any] | None = None) -> None:
        super().__init__(message)
        self.columns, self.others = columns, others or []


def not_numeric(
    bad: Sequence[tuple[Any, Any]], numeric: Sequence[Any], label: str
) -> NotNumericError:
    """Make the error about columns that hold no numbers.

    Parameters
    ----------
    bad : sequence of (name, type)
        The columns.
    numeric : sequence
        Names of those that could be chosen instead.
    label : str
        What errors call the source.

    Returns
    -------
    error : NotNumericError
        To be raised.
    """
    names = [name for name, _ in bad]
    named = ", ".join(f"{name!r} ({kind})" for name, kind in bad[:5])
    if len(bad) == 1:
        complaint = f"{label}: column {named} is not numeric"
    else:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        complaint = f"{label}: columns {named}{more} are not numeric"
    if not numeric:
        return NotNumericError(f"{complaint}, and no other column is.", names)
    choice = f"Choose among the others: columns=[{enumerated(numeric)}]."
    return NotNumericError(f"{complaint}. {choice}", names, list(numeric))


def string_names(names: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Names as a tuple if all of them are strings, else ``None``.

    Parameters
    ----------
    names : sequence or None
        Column labels.

    Returns
    -------
    names : tuple of str, or None
        Plain strings.
    """
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return tuple(str(name) for name in names)
