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
    shares = _probabilities(model)
    what = "symbol" if shares is not None and (shares.ndim > 2 or width(model) == 1) else "column"
    _print_fitting([states, *columns], 1, per_column, what)


def emissions(model: Any) -> tuple[int, list[list[str]]]:
    """How many columns of the table a column of the data has, and these."""
    names, shares, rates = state_columns(model), _probabilities(model), _rates(model)
    if shares is not None:
        shares = shares.reshape(len(shares), -1)
        table = [[f"P({name})", *map(_share, shares[:, j])] for j, name in enumerate(names)]
        return 1, table
    if rates is not None:
        return 1, [[f"rate {name}".rstrip(), *numbers(rates[:, j])] for j, name in enumerate(names)]
    if hasattr(model, "components_"):
        components = model.components_
        return 2, _means_and_spreads(names, *model._family_of(components).moments(components))
    return 2, _means_and_spreads(names, np.asarray(model.means_), np.asarray(model.covars_))


def _probabilities(model: Any) -> Any:
    """Those of symbols (K, symbols), of several columns (K, columns, symbols); None of other states."""
    found = getattr(getattr(model, "components_", None), "probabilities", None)
    found = getattr(model, "emissionprob_", found)
    return None if found is None else np.asarray(found)


def _rates(model: Any) -> Any:
    """Those of counts (K, columns); None of other states."""
    found = getattr(model, "lambdas_", getattr(getattr(model, "components_", None), "rates", None))
    return None if found is None else np.asarray(found)


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
    shares, n_columns = _probabilities(model), width(model)
    codes = [] if shares is None else [str(code) for code in range(shares.shape[-1])]
    if shares is not None and n_columns == 1:
        return codes
    names = list(column_names(model) or map(str, range(n_columns)))
    if shares is not None and shares.ndim > 2:
        return [f"{name} = {code}" for name in names for code in codes]
    return [""] if n_columns == 1 and column_names(model) is None else names


def states_record(model: Any) -> dict[str, Any]:
    """Everything that defines the model, as plain values for JSON."""
    names = [name for name in model._emissions.values() if name != "components_"]
    arrays = {
        name.rstrip("_"): getattr(model, name) for name in ("startprob_", "transmat_", *names)
    }
    parts = model._component_arrays().items()
    arrays |= {name.removeprefix("components/"): value for name, value in parts}
    return {
        "states": model.n_components,
        "covariance_type": getattr(model, "covariance_type", None),
        "columns": column_names(model),
        "n_columns": width(model),
        **{name: np.asarray(value) for name, value in arrays.items()},
    }


def kind(model: Any) -> str:
    """Such as "GaussianHMM, 3 states, diag"."""
    form = getattr(model, "covariance_type", getattr(model, "family", None))
    size = how_many(model.n_components, "state")
    return ", ".join(filter(None, [type(model).__name__, size, form]))


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
