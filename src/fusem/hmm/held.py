"""Covariances that a step would make singular: they keep their last value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import SingularComponents

Array = NDArray[np.float64]


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
    """The family's parameters, covariances that are not positive definite replaced by those before.

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
    held: set[int] = set()
    while True:  # an error may name only those that fail first
        try:
            return family.from_covariances(means, covariances), sorted(held)
        except SingularComponents as problem:
            if held.issuperset(problem.components):
                raise
            held |= set(problem.components)
            covariances = covariances.copy()
            covariances[problem.components] = before[problem.components]
