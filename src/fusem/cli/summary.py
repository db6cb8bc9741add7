"""A model in words and numbers: the table of its components, and the same as JSON."""

from __future__ import annotations

import shutil
from typing import Any

import click
import numpy as np

from fusem.cli.model import n_columns_of
from fusem.cli.table import fitting, how_many, numbers, print_table
from fusem.plot.view import column_names, marginal

# Where the output is no terminal; a table that is wider is hard to read.
WIDTH = 100


def print_components(model: Any) -> None:
    """Print a column per component: weight, then what it says of each column of the rows.

    Columns that do not fit into the terminal are left out, and their number is told.
    """
    names = _names(model)
    lines = gaussian_lines if hasattr(model, "means_") else other_lines
    each, described = lines(model, names[:WIDTH])
    table = [
        ["component", *map(str, range(len(model.weights_)))],
        ["weight", *(f"{weight:.5f}" for weight in model.weights_)],
        *described,
    ]
    room = max(fitting(table, shutil.get_terminal_size((WIDTH, 24)).columns), 2 + each)
    shown = (room - 2) // each
    print_table(table[: 2 + each * shown])
    if hidden := len(names) - shown:
        click.echo(f"({how_many(hidden, 'more column')}; --json lists all)")


def gaussian_lines(model: Any, names: list[str]) -> tuple[int, list[list[str]]]:
    """Mean and standard deviation of each column; how many lines a column has."""
    along, table = marginal(model, tuple(range(len(names)))), []
    sd = np.sqrt(np.diagonal(along.covariances, axis1=1, axis2=2))
    for j, name in enumerate(names):
        table.append([f"mean {name}".rstrip(), *numbers(along.means[:, j])])
        table.append([f"sd {name}".rstrip(), *numbers(sd[:, j])])
    return 2, table


def other_lines(model: Any, names: list[str]) -> tuple[int, list[list[str]]]:
    """Rate or probability of each column, or of each code in it; how many lines a column has."""
    what, values = model._components_name.removesuffix("_"), getattr(model, model._components_name)
    what = {"rates": "rate", "probabilities": "p"}[what]
    if values.ndim == 2:
        return 1, [
            [f"{what} {name}".rstrip(), *numbers(values[:, j])] for j, name in enumerate(names)
        ]
    lines = [
        [f"{what} {name} = {m}", *numbers(values[:, j, m])]
        for j, name in enumerate(names)
        for m in range(values.shape[2])
    ]
    return values.shape[2], lines


def columns_in_words(model: Any) -> str:
    """How many columns, and their names as far as a line holds them."""
    return names_in_words(model, n_columns_of(model))


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
    record: dict[str, Any] = {"components": len(model.weights_)}
    if hasattr(model, "covariance_type"):
        record["covariance_type"] = model.covariance_type
    name = model._components_name
    record |= {
        "columns": column_names(model),
        "n_columns": n_columns_of(model),
        "weights": model.weights_,
        name.removesuffix("_"): getattr(model, name),
    }
    if hasattr(model, "covariance_type"):
        record["covariances"] = model.covariances_
    return record


def _names(model: Any) -> list[str]:
    names = column_names(model)
    if names is not None:
        return list(names)
    n_columns = n_columns_of(model)
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
