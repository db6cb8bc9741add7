"""Covariances that a step would make singular: they keep their last value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import SingularComponents, diagonals

Array = NDArray[np.float64]
ROUNDING = 4.0 * np.finfo(np.float64).eps  # of a mean, as a share of it


def singular(problem: SingularComponents, remedy: str, n_rows: int | None = None) -> ValueError:
    """What to tell of states whose covariance is singular, and what to do."""
    states = ", ".join(map(str, problem.components))
    few = "" if n_rows is None else f" (n_samples = {n_rows})"
    return ValueError(
        f"The covariance of state(s) {states} is not positive definite: too few rows{few}, or columns that "
        f"are constant or combinations of others there. {remedy}"
    )


def with_held(
    family: Any, means: Array, covariances: Array, before: Array
) -> tuple[Any, list[int]]:
    """The family's parameters, singular covariances replaced by those before.

    Singular are those that are not positive definite, and those of rows that all have one value, but for the
    last digits: what is left of a variance then is the rounding of its mean.

    Parameters
    ----------
    means : array of shape (n, d)
    covariances, before : arrays of shape (n, …)
        In the form of the family; those before are positive definite.

    Returns
    -------
    params : NamedTuple
    held : list of int
        Which kept the covariance from before.
    """
    held = set(np.flatnonzero(only_rounding(means, covariances)).tolist())
    covariances = covariances.copy()
    covariances[list(held)] = before[list(held)]
    while True:  # an error may name only those that fail first
        try:
            return family.from_covariances(means, covariances), sorted(held)
        except SingularComponents as problem:
            if held.issuperset(problem.components):
                raise
            held |= set(problem.components)
            covariances[problem.components] = before[problem.components]


def only_rounding(means: Array, covariances: Array) -> NDArray[np.bool_]:
    """Which covariances have a variance that is no more than the rounding of its mean."""
    squares = (ROUNDING * means) ** 2
    if covariances.ndim == 1:
        return np.asarray(means.shape[1] * covariances <= squares.sum(axis=1))
    variances = covariances if covariances.ndim == 2 else diagonals(covariances)
    return np.asarray((variances <= squares).any(axis=1))
