"""States that are known at some rows: checked against the model, and what a start makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.hmm.engine import ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import PART, Observations

UNKNOWN = -1


def check_states(states: Any, n_rows: int, n_components: int) -> Ints | None:
    """States of all rows, −1 where not known; None where none is.

    Parameters
    ----------
    states : array-like of int of shape (n_rows,), list of such arrays, or None
        As a user gives them.
    """
    if states is None:
        return None
    if isinstance(states, (list, tuple)) and all(np.ndim(part) == 1 for part in states):
        states = np.concatenate([np.asarray(part) for part in states])
    given = np.asarray(states)
    if given.shape != (n_rows,):
        raise ValueError(
            f"states must have one state per row, shape ({n_rows},), not {given.shape}: 0 … "
            f"{n_components - 1}, and −1 where the state is not known."
        )
    numbers = np.issubdtype(given.dtype, np.number) and not np.iscomplexobj(given)
    if not numbers or not np.array_equal(given, np.floor(given)):
        raise ValueError("states must be whole numbers: a state, or −1 where it is not known.")
    wrong = np.flatnonzero((given < UNKNOWN) | (given >= n_components))
    if wrong.size:
        raise ValueError(
            f"states[{wrong[0]}] is {given[wrong[0]]:g}: there are states 0 … {n_components - 1}, and −1 "
            "stands for a state that is not known."
        )
    if not (given > UNKNOWN).any():
        return None
    return np.ascontiguousarray(given, dtype=np.int64)


def check_possible(states: Ints | None, observations: Observations, model: ChainModel) -> None:
    """Raise where a chain cannot go through the known states: named are the rows."""
    if states is None:
        return
    rows = np.flatnonzero(states > UNKNOWN)
    sequence = np.searchsorted(observations.ends, rows, side="right")
    first = (observations.ends - observations.lengths)[sequence]
    follows = np.zeros(len(rows), dtype=bool)
    follows[1:] = sequence[1:] == sequence[:-1]
    steps = np.where(follows, np.diff(rows, prepend=0), rows - first)
    before = np.where(follows, np.roll(states[rows], 1), -1)
    allowed, begins = model.transitions > 0.0, model.start > 0.0
    for length in np.unique(steps):
        ways = _ways(allowed, int(length))
        chosen = steps == length
        going = chosen & follows
        impossible = going & ~ways[before, states[rows]]
        entered = chosen & ~follows & ~(begins @ ways)[states[rows]]
        wrong = np.flatnonzero(impossible | entered)
        if wrong.size:
            at = int(wrong[0])
            what = f"states[{rows[at]}] = {states[rows[at]]}"
            if follows[at]:
                last = f"states[{rows[at - 1]}] = {states[rows[at - 1]]}"
                problem = f"cannot follow {last}: transmat_ (transmat_mask) allows no way of {length} step(s)"
            else:
                problem = (
                    f"cannot be {length} step(s) after the start of its sequence: startprob_ and transmat_ "
                    "(transmat_mask) allow no way"
                )
            raise ValueError(f"{what} {problem}. Give other states, or allow what happens there.")


def _ways(allowed: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Which state can be reached from which in so many steps."""
    ways, power = np.eye(len(allowed), dtype=bool), allowed
    while steps:
        if steps & 1:
            ways = ways @ power
        power, steps = power @ power, steps >> 1
    return ways


def means_of_known(observations: Observations, n_components: int) -> NDArray[np.float64]:
    """Means of the rows whose state is known, (K, d); NaN where there are none."""
    shape = n_components, observations.n_columns
    total, counts = np.zeros(shape), np.zeros(shape)
    assert observations.states is not None
    for first in range(0, observations.n_rows, PART):
        last = min(first + PART, observations.n_rows)
        states = observations.states[first:last]
        X = observations.part(first, last)[states > UNKNOWN].astype(np.float64)
        seen = ~np.isnan(X)
        labels = states[states > UNKNOWN]
        np.add.at(total, labels, np.where(seen, X, 0.0))
        np.add.at(counts, labels, seen)
    with np.errstate(invalid="ignore"):
        return total / counts
