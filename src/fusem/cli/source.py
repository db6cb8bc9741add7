"""The options that say which rows: DATA, --columns and --weights."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from fusem.cli.model import n_columns_of

Command = TypeVar("Command", bound=Callable[..., Any])


def columns_option(command: Command) -> Command:
    """Add ``--columns a,b``."""
    return click.option(
        "-c",
        "--columns",
        metavar="A,B,...",
        callback=_split,
        help="Columns to use, by name (of an array: by number, from 0). Quote a name that has "
        "a comma in it. Default: all.",
    )(command)


def weights_option(command: Command) -> Command:
    """Add ``--weights w``."""
    return click.option(
        "-w",
        "--weights",
        metavar="COLUMN|FILE.npy",
        help="Weights of the rows: a column of DATA (of an array: its number, from 0), or a .npy "
        "file with one number per row.",
    )(command)


def _split(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in next(csv.reader([value], skipinitialspace=True), [])]
    if not names or not all(names):
        raise click.BadParameter("give names separated by commas, such as a,b")
    return names


def open_source(
    data: str,
    columns: Sequence[str] | None,
    weights: str | None = None,
    model: Any = None,
) -> tuple[Any, Any]:
    """Open DATA, and its weights if any, as rows.

    Without a choice of columns those that the model was fitted with are taken, where both have
    names, or else all but the column of weights. A choice of just those columns is taken in the
    model's order.
    """
    try:
        return _opened(data, columns, weights, model)
    except ValueError as error:
        raise ValueError(_as_options(str(error))) from error


def _as_options(message: str) -> str:
    """Speak of the option --columns where Python's argument columns=['a', 'b'] is meant."""

    def option(match: re.Match[str]) -> str:
        return "--columns " + match[1].replace("'", "").replace(", ", ",")

    return re.sub(r"columns=\[([^]]*)\]", option, message).replace("columns=", "--columns")


def _opened(
    data: str, columns: Sequence[str] | None, weights: str | None, model: Any
) -> tuple[Any, Any]:
    import fusem

    chosen: list[Any] | None = None if columns is None else _typed(data, columns)
    own = None if model is None else _model_columns(data, model)
    if own is not None and (chosen is None or sorted(chosen) == sorted(own)):
        chosen = own
    weight_rows = None
    if weights is not None and weights.lower().endswith(".npy"):
        weight_rows = fusem.rows(weights)
    elif weights is not None:
        (column,) = _typed(data, [weights])
        weight_rows = fusem.rows(data, columns=[column])
        if chosen is None:
            whole = fusem.rows(data)
            others = range(whole.n_columns) if whole.names is None else whole.names
            chosen = [other for other in others if other != column]
    rows = fusem.rows(data, columns=chosen)
    if model is not None:
        _check_width(data, rows.n_columns, model)
    return rows, weight_rows


def _check_width(data: str, n_columns: int, model: Any) -> None:
    expected = n_columns_of(model)
    if n_columns != expected:
        names = getattr(model, "feature_names_in_", None)
        called = "" if names is None else f" ({', '.join(map(str, names))})"
        raise click.UsageError(
            f"{data} has {n_columns} columns, the model was fitted with {expected}{called}. "
            "Choose the columns with --columns."
        )


def _typed(data: str, columns: Sequence[str]) -> list[Any]:
    """Columns without names, of an array or of a CSV file that has no header, are numbers."""
    import fusem

    if not all(name.isdecimal() for name in columns):
        return list(columns)
    numbers = [int(name) for name in columns]
    if data.lower().endswith(".npy"):
        return numbers
    try:
        return numbers if fusem.rows(data, columns=numbers).names is None else list(columns)
    except ValueError:  # such as columns called 2020 and 2021
        return list(columns)


def _model_columns(data: str, model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    if names is None or data.lower().endswith(".npy"):
        return None
    return [str(name) for name in names]
