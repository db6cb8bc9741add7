"""Rows so far out that their squared distances overflow: done again, scaled, in float64."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows
from fusem.em.values import bad_value
from fusem.mixture.engine import Model

if TYPE_CHECKING:
    from fusem.mixture.evaluation import Outcome

Array = NDArray[np.float64]


def repair_far_rows(
    family: ModuleType,
    model: Model,
    source: Rows,
    first: int,
    X: NDArray[Any],
    outcome: Outcome,
    rows: NDArray[np.intp],
) -> None:
    """Put right the outcome of these rows, whose log-densities are no finite numbers.

    Raises
    ------
    ValueError
        At the first infinity, naming its row and column.
    """
    if not rows.size:
        return
    far = X[rows].astype(np.float64)
    wrong = np.argwhere(np.isinf(far))
    if wrong.size:
        i, column = wrong[0]
        raise bad_value(source, far[i, column], first + int(rows[i]), int(column))
    patterns, pattern = np.unique(np.isnan(far), axis=0, return_inverse=True)
    for number, missing in enumerate(patterns):
        some = pattern.reshape(-1) == number
        known = np.flatnonzero(~missing)
        components = model.components
        if missing.any():
            components = family.marginal(components, known)
        relative, evidence = far_densities(
            family, Model(model.weights, components), far[some][:, known]
        )
        share = np.exp(relative - relative.max(axis=1, keepdims=True))
        if outcome.labels.size:
            outcome.labels[rows[some]] = relative.argmax(axis=1)
        if outcome.proba.size:
            outcome.proba[rows[some]] = share / share.sum(axis=1, keepdims=True)
        if outcome.evidence.size:
            outcome.evidence[rows[some]] = evidence


def far_densities(family: ModuleType, model: Model, X: Array) -> tuple[Array, Array]:
    """Log-densities (n, K) relative to the nearest component, and those of the mixture (n,).

    The nearest component takes the whole row, unless distances are equal.
    """
    scale = np.maximum(np.abs(X).max(axis=1), 1.0)
    squares = family.scaled_squares(model.components, X, scale)
    nearest = squares.min(axis=1, keepdims=True)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        excess = -0.5 * (squares - nearest) * scale[:, None] ** 2
        constant = family.operands(model.components, np.float64).constant
        beyond = np.where(squares == nearest, 0.0, excess) + model.log_weights + constant
        relative = np.where(model.weights > 0.0, beyond, -np.inf)
        top = relative.max(axis=1, keepdims=True)
        mass = np.exp(relative - top).sum(axis=1, keepdims=True)
        evidence = (top + np.log(mass))[:, 0] - 0.5 * nearest[:, 0] * scale**2
    return relative, evidence
