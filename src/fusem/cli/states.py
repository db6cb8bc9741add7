"""A hidden Markov model in words and numbers: tables of its chain and its states, and the same as JSON."""

from __future__ import annotations

import shutil
from typing import Any

import click
import numpy as np

from fusem.cli.table import fitting, how_many, numbers, print_table
from fusem.plot.view import column_names, width

WIDTH = 100
LEAST = 1e-5  # of a probability that is not written as 0


def print_states(model: Any) -> None:
    """Print the chain (start, moves to each state), then what each state emits.

    That is a line per state, or per Gaussian where states are mixtures. Columns that do not fit into the
    terminal are left out, and their number is told.
    """
    states = ["state", *map(str, range(model.n_components))]
    start, moves = np.asarray(model.startprob_), np.asarray(model.transmat_)
    chain = [states, ["start", *map(_share, start)]]
    chain += [[f"to {k}", *map(_share, moves[:, k])] for k in range(model.n_components)]
    _print_fitting(chain, 1, 1, "state")
    click.echo()
    if _mixtures(model):
        _print_fitting(gaussians(model), 3, 2, "column")
        return
    per_column, columns = emissions(model)
    what = "symbol" if _symbols(model) else "column"
    _print_fitting([states, *columns], 1, per_column, what)


def emissions(model: Any) -> tuple[int, list[list[str]]]:
    """How many columns of the table a column of the data has, and these."""
    names = state_columns(model)
    if hasattr(model, "emissionprob_"):
        shares = np.asarray(model.emissionprob_)
        table = [[f"P({name})", *map(_share, shares[:, j])] for j, name in enumerate(names)]
        return 1, table
    if hasattr(model, "lambdas_"):
        rates = np.asarray(model.lambdas_)
        return 1, [[f"rate {name}".rstrip(), *numbers(rates[:, j])] for j, name in enumerate(names)]
    return 2, _means_and_spreads(names, np.asarray(model.means_), np.asarray(model.covars_))


def gaussians(model: Any) -> list[list[str]]:
    """The same of states that are mixtures, a line per Gaussian: its state, number, weight and columns."""
    components = model._emission()
    weights = components.weights
    state, part = np.indices(weights.shape).reshape(2, -1)
    table = [
        ["state", *map(str, state)],
        ["part", *map(str, part)],
        ["weight", *map(_share, weights.ravel())],
    ]
    moments = model._family_of(components).base.moments(components.parts)
    return table + _means_and_spreads(state_columns(model), *moments)


def _means_and_spreads(names: list[str], means: Any, covariances: Any) -> list[list[str]]:
    sd = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    table = []
    for j, name in enumerate(names):
        table.append([f"mean {name}".rstrip(), *numbers(means[:, j])])
        table.append([f"sd {name}".rstrip(), *numbers(sd[:, j])])
    return table


def state_columns(model: Any) -> list[str]:
    """What the states' parameters are about: columns of the data, or its symbols."""
    if _symbols(model):
        return [str(code) for code in range(np.shape(model.emissionprob_)[1])]
    names = column_names(model)
    if names is not None:
        return list(names)
    n_columns = width(model)
    return [""] if n_columns == 1 else [str(j) for j in range(n_columns)]


def states_record(model: Any) -> dict[str, Any]:
    """Everything that defines the model, as plain values for JSON."""
    arrays = ("startprob_", "transmat_", *model._emissions.values())
    return {
        "states": model.n_components,
        "covariance_type": getattr(model, "covariance_type", None),
        "columns": column_names(model),
        "n_columns": width(model),
        **{name.rstrip("_"): np.asarray(getattr(model, name)) for name in arrays},
    }


def kind(model: Any) -> str:
    """Such as "GaussianHMM, 3 states, diag"."""
    form = getattr(model, "covariance_type", None)
    size = how_many(model.n_components, "state")
    return ", ".join(filter(None, [type(model).__name__, size, form]))


def _symbols(model: Any) -> bool:
    return hasattr(model, "emissionprob_") and width(model) == 1


def _mixtures(model: Any) -> bool:
    return hasattr(model, "weights_")


def _share(value: float) -> str:
    return "0" if value == 0 else "<0.00001" if value < LEAST else f"{value:.5f}"


def _print_fitting(table: list[list[str]], heads: int, group: int, what: str) -> None:
    """Print as many columns, in groups, as fit beside each other; the heads and the first group always."""
    room = fitting(table, shutil.get_terminal_size((WIDTH, 24)).columns)
    shown = max(1, (room - heads) // group)
    print_table(table[: heads + group * shown])
    if hidden := (len(table) - heads) // group - shown:
        click.echo(f"({how_many(hidden, f'more {what}')}; --json lists all)")
