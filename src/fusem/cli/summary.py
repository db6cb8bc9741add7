"""A model in words and numbers: the table of its components, and the same as JSON."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from fusem.cli.table import number, print_table
from fusem.plot.view import column_names, marginal

# A terminal shows about this many columns of numbers; --json has them all.
SHOWN_COLUMNS = 4


def print_components(model: Any) -> None:
    """Print one line per component: weight, then mean and standard deviation by column."""
    names = _names(model)
    shown = tuple(range(min(len(names), SHOWN_COLUMNS)))
    along = marginal(model, shown)
    sd = np.sqrt(np.diagonal(along.covariances, axis1=1, axis2=2))
    header = ["component", "weight"]
    for j in shown:
        header += [f"mean {names[j]}".rstrip(), f"sd {names[j]}".rstrip()]
    rows = []
    for k, weight in enumerate(along.weights):
        cells = [str(k), f"{weight:.5f}"]
        for j in shown:
            cells += [number(along.means[k, j]), number(sd[k, j])]
        rows.append(cells)
    print_table(header, rows)
    hidden = len(names) - len(shown)
    if hidden:
        click.echo(f"({hidden} more columns; --json lists them all)")


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
        "log_likelihood": getattr(model, "lower_bound_", None),
        "settings": {name: value for name, value in model.get_params().items() if _simple(value)},
    }


def _simple(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
