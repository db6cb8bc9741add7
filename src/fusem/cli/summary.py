"""A model in words and numbers: the table of its components, and the same as JSON."""

from __future__ import annotations

import shutil
from typing import Any

import click
import numpy as np

from fusem.cli.table import fitting, how_many, numbers, print_table
from fusem.plot.view import column_names, marginal

# Where the output is no terminal; a table that is wider is hard to read.
WIDTH = 100


def print_components(model: Any) -> None:
    """Print a line per component: weight, then mean and standard deviation of each column.

    Columns that do not fit into the terminal are left out, and their number is told.
    """
    names = _names(model)
    along = marginal(model, tuple(range(min(len(names), WIDTH))))
    sd = np.sqrt(np.diagonal(along.covariances, axis1=1, axis2=2))
    table = [
        ["component", *map(str, range(len(along.weights)))],
        ["weight", *(f"{weight:.5f}" for weight in along.weights)],
    ]
    for j, name in enumerate(names[:WIDTH]):
        table.append([f"mean {name}".rstrip(), *numbers(along.means[:, j])])
        table.append([f"sd {name}".rstrip(), *numbers(sd[:, j])])
    room = max(fitting(table, shutil.get_terminal_size((WIDTH, 24)).columns), 4)
    shown = (room - 2) // 2
    print_table(table[: 2 + 2 * shown])
    if hidden := len(names) - shown:
        click.echo(f"({how_many(hidden, 'more column')}; --json lists all)")


def columns_in_words(model: Any) -> str:
    """How many columns, and their names as far as a line holds them."""
    return names_in_words(model, model.means_.shape[1])


def names_in_words(model: Any, n_columns: int) -> str:
    """The same of a model of so many columns."""
    names = column_names(model)
    if names is None:
        return str(n_columns)
    room = shutil.get_terminal_size((WIDTH, 24)).columns - 20
    shown = names[: max(room, 1)]
    while len(shown) > 1 and len(", ".join(shown)) > room:
        shown = shown[:-1]
    return f"{n_columns}: {', '.join(shown)}{', …' if len(shown) < n_columns else ''}"


def components_record(model: Any) -> dict[str, Any]:
    """Everything that defines the model, as plain values for JSON."""
    return {
        "components": len(model.weights_),
        "covariance_type": model.covariance_type,
        "columns": column_names(model),
        "n_columns": model.means_.shape[1],
        "weights": model.weights_,
        "means": model.means_,
        "covariances": model.covariances_,
    }


def _names(model: Any) -> list[str]:
    names = column_names(model)
    if names is not None:
        return list(names)
    n_columns = model.means_.shape[1]
    return [""] if n_columns == 1 else [str(j) for j in range(n_columns)]


def fit_record(model: Any) -> dict[str, Any]:
    """How the fit ended; None where the parameters were assigned instead."""
    return {
        "converged": getattr(model, "converged_", None),
        "sweeps": getattr(model, "n_iter_", None),
        "lower_bound": getattr(model, "lower_bound_", None),
        "settings": {name: value for name, value in model.get_params().items() if _simple(value)},
    }


def _simple(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
