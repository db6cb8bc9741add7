"""Values that counts and codes cannot be: errors that name the first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.observations import FEW_VALUES, Observations
from fusem.mixture.categorical import check_size
from fusem.mixture.count_fitting import Values


def check_counts(observations: Observations, workers: Workers, one_by_one: bool = True) -> bool:
    """Refuse what is no whole number ≥ 0, or missing where only whole rows may be; whether any is missing."""
    if _few_codes(observations) is not None:
        return False
    return _check(observations, Values(observations.rows, "count", None, one_by_one), workers)


def check_codes(observations: Observations, n_codes: int, workers: Workers) -> bool:
    """Refuse what is no whole number from 0 to n_codes − 1; whether any is missing."""
    largest = _few_codes(observations)
    if largest is not None and largest < n_codes:
        return False
    limits = np.full(observations.n_columns, n_codes, dtype=np.int64)
    return _check(observations, Values(observations.rows, "code", limits, True), workers)


def number_of_codes(observations: Observations, n_states: int, workers: Workers) -> int:
    """One more than the largest code; refuses what is none, and codes too large for a probability each."""
    largest = Values(observations.rows, "code", None, True).largest_codes(workers)
    limits = np.maximum(largest + 1, 1)
    check_size(n_states, limits)
    return int(limits.max())


def _few_codes(observations: Observations) -> int | None:
    """The largest of few rows that are small codes, kept for best paths; None of others."""
    codes = observations.codes() if observations.n_rows <= FEW_VALUES else None
    return None if codes is None else codes[1]


def _check(observations: Observations, values: Values, workers: Workers) -> bool:
    integers = observations.integers()
    if integers is not None and all(map(values.hold, integers)):
        return False
    values.check(0, observations.part(0, 0))  # compiles in this thread

    missing = []

    def work(first: int, part: NDArray[Any]) -> None:
        if values.check(first, part):
            missing.append(first)

    observations.look_at(work, workers)
    return bool(missing)
