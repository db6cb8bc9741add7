"""The options that say which rows: DATA, --columns, --weights and --na."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import click

from fusem.cli.model import n_columns_of

Command = TypeVar("Command", bound=Callable[..., Any])


def model_and_data(command: Command) -> Command:
    """Add ``[MODEL] DATA``, and ``--model MODEL`` as another way to say the same."""
    for add in (
        click.option("--model", metavar="MODEL", help="The same as MODEL before DATA."),
        click.argument("sources", metavar="[MODEL] DATA", nargs=-1, required=True),
    ):
        command = add(command)
    return command


def told_apart(sources: tuple[str, ...], model: str | None) -> tuple[str | None, str]:
    """The model, if there is one, and the data."""
    *models, data = sources
    if len(models) + (model is not None) > 1:
        raise click.UsageError(
            f"{' '.join(sources)}: give one table, and one model at most before it. Quote a pattern that "
            "stands for several files."
        )
    return (models[0] if models else model), data


def both_told(sources: tuple[str, ...], model: str | None) -> tuple[str, str]:
    """The same where there must be a model."""
    found, data = told_apart(sources, model)
    if found is None:
        raise click.UsageError(f"{data}: give a model before it, as MODEL DATA.")
    return found, data


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


def na_option(command: Command) -> Command:
    """Add ``--na n.d.,-999``."""
    return click.option(
        "--na",
        metavar="TEXT,...",
        callback=_split,
        help="More spellings of a missing value in a .csv file, as they stand there. Without: an "
        "empty cell, NA, N/A, NaN, null.",
    )(command)


def _split(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in next(csv.reader([value], skipinitialspace=True), [])]
    if not names or not all(names):
        what = "spellings" if parameter.name == "na" else "names"
        such = "n.d.,-999" if parameter.name == "na" else "a,b"
        raise click.BadParameter(f"give {what} separated by commas, such as {such}")
    return names


def open_source(
    data: str,
    columns: Sequence[str] | None,
    weights: str | None = None,
    model: Any = None,
    na: Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """Open DATA, and its weights if any, as rows: the first two of `source_of`."""
    return source_of(data, columns, weights, model, na)[:2]


class Source(NamedTuple):
    """What a command reads."""

    rows: Any
    weights: Any  # rows of one column, or None
    columns: list[Any] | None  # that were chosen, by name or number; None: all


def source_of(
    data: str,
    columns: Sequence[str] | None,
    weights: str | None,
    model: Any,
    na: Sequence[str] | None,
) -> Source:
    """Open DATA, and its weights if any, as rows.

    Without a choice of columns those that the model was fitted with are taken, where both have
    names, or else all but the column of weights. A choice of just those columns is taken in the
    model's order.
    """
    try:
        return _opened(data, columns, weights, model, na)
    except ValueError as error:
        raise ValueError(as_options(str(error))) from error


def as_options(message: str) -> str:
    """Speak of options where Python's arguments columns=['a', 'b'] and na_values=['x'] are meant."""
    message = re.sub(r"columns=\[([^]]*)\]", _listed("--columns"), message)
    message = re.sub(r"na_values=\[([^]]*)\]", _listed("--na"), message)
    return message.replace("columns=", "--columns").replace("na_values=", "--na")


def _listed(option: str) -> Callable[[re.Match[str]], str]:
    def words(match: re.Match[str]) -> str:
        names = match[1].replace("'", "").replace(", ", ",")
        return f"{option} {shlex.quote(names)}"

    return words


def _opened(
    data: str,
    columns: Sequence[str] | None,
    weights: str | None,
    model: Any,
    na: Sequence[str] | None,
) -> Source:
    import fusem

    read = partial(fusem.rows, data, na_values=na)
    chosen: list[Any] | None = None if columns is None else _typed(data, columns, read)
    own = None if model is None else _model_columns(data, model)
    if own is not None and (chosen is None or sorted(chosen) == sorted(own)):
        chosen = own
    weight_rows = None
    if weights is not None and weights.lower().endswith(".npy"):
        weight_rows = fusem.rows(weights)
    elif weights is not None:
        (column,) = _typed(data, [weights], read)
        weight_rows = read(columns=[column])
        if chosen is None:
            whole = read()
            others = range(whole.n_columns) if whole.names is None else whole.names
            chosen = [other for other in others if other != column]
    rows = read(columns=chosen)
    if model is not None:
        _check_width(data, rows.n_columns, model)
    return Source(rows, weight_rows, chosen)


def _check_width(data: str, n_columns: int, model: Any) -> None:
    expected = n_columns_of(model)
    if n_columns != expected:
        names = getattr(model, "feature_names_in_", None)
        called = "" if names is None else f" ({', '.join(map(str, names))})"
        raise click.UsageError(
            f"{data} has {n_columns} columns, the model was fitted with {expected}{called}. "
            "Choose the columns with --columns."
        )


def _typed(data: str, columns: Sequence[str], read: Callable[..., Any]) -> list[Any]:
    """Columns without names, of an array or of a CSV file that has no header, are numbers."""
    if not all(name.isdecimal() for name in columns):
        return list(columns)
    numbers = [int(name) for name in columns]
    if data.lower().endswith(".npy"):
        return numbers
    try:
        return numbers if read(columns=numbers).names is None else list(columns)
    except ValueError:  # such as columns called 2020 and 2021
        return list(columns)


def _model_columns(data: str, model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    if names is None or data.lower().endswith(".npy"):
        return None
    return [str(name) for name in names]
