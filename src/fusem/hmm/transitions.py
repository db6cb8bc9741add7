"""What is not to be estimated of the transitions: those that never happen, and rows that are given."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.hmm.chain_prior import SUM_TOLERANCE, normalised

Array = NDArray[np.float64]
# How many states on a transition may lead, from a state to itself or later ones.
REACH = {"left-right": 1, "bakis": 2, "upper": None}


class Constraints(NamedTuple):
    """Checked constraints of the transitions."""

    allowed: NDArray[np.bool_]  # (K, K)
    fixed: NDArray[np.bool_]  # (K) rows that are given
    rows: Array  # (K, K) those rows

    @property
    def forward_only(self) -> bool:
        """Whether no state can be left for one before it, and some for a later one."""
        allowed = self.allowed & ~(self.fixed[:, None] & (self.rows <= 0.0))
        return bool(len(allowed) > 1 and not np.tril(allowed, -1).any())

    @property
    def n_parameters(self) -> int:
        """Free parameters of the transitions."""
        return int((self.allowed.sum(axis=1) - 1)[~self.fixed].sum())

    def begun(self, drawn: Array, mixed: bool = False) -> Array:
        """Transitions to begin with, from drawn ones.

        Rows with a forbidden transition are half even, half as drawn, and with `mixed` all are: what is 0 at
        the start stays 0, so every transition that must be possible has to have a share.
        """
        even = self.allowed / self.allowed.sum(axis=1, keepdims=True)
        kept = np.where(self.allowed, drawn, 0.0)
        total = kept.sum(axis=1, keepdims=True)
        kept = np.where(total > 0.0, kept / np.where(total > 0.0, total, 1.0), even)
        free = self.allowed.all(axis=1, keepdims=True) & (not mixed)
        return self.with_fixed(np.where(free, drawn, 0.5 * (kept + even)))

    def with_fixed(self, transitions: Array) -> Array:
        """The same with the given rows in their places."""
        return np.where(self.fixed[:, None], self.rows, transitions)

    def check(self, transitions: Array) -> None:
        """Raise where transitions that were set are forbidden."""
        wrong = np.argwhere((transitions > 0.0) & ~self.allowed)
        if len(wrong):
            i, j = (int(k) for k in wrong[0])
            raise ValueError(
                f"transmat_[{i}, {j}] is {transitions[i, j]:g}, but transmat_mask forbids that transition: "
                "set it to 0, allow it, or add 't' to init_params."
            )


def constraints_of(mask: Any, fixed: Any, n_components: int) -> Constraints:
    """Constraints from `transmat_mask` and `transmat_fixed`, checked."""
    allowed = _mask(mask, n_components)
    given, rows = _fixed(fixed, n_components)
    wrong = np.argwhere((rows > 0.0) & ~allowed)
    if len(wrong):
        i, j = (int(k) for k in wrong[0])
        raise ValueError(
            f"transmat_fixed[{i}, {j}] is {rows[i, j]:g}, but transmat_mask forbids that transition."
        )
    return Constraints(allowed, given, rows)


def _mask(mask: Any, K: int) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones((K, K), dtype=bool)
    if isinstance(mask, str):
        if mask not in REACH:
            names = ", ".join(map(repr, REACH))
            raise ValueError(
                f"transmat_mask must be one of {names}, an array or None, not {mask!r}."
            )
        reach = REACH[mask]
        upper = np.triu(np.ones((K, K), dtype=bool))
        return upper if reach is None else upper & ~np.triu(upper, reach + 1)
    given = np.asarray(mask)
    if given.shape != (K, K):
        raise ValueError(
            f"transmat_mask must have shape (n_components, n_components) = {(K, K)}, not {given.shape}: "
            "True where a transition is allowed, from the state of the row to that of the column."
        )
    if given.dtype != bool and not np.isin(given, (0, 1)).all():
        raise ValueError(
            "transmat_mask must hold True (allowed) and False (forbidden), or 1 and 0; for given "
            "probabilities there is transmat_fixed."
        )
    allowed = given.astype(bool)
    nothing = np.flatnonzero(~allowed.any(axis=1))
    if nothing.size:
        raise ValueError(
            f"transmat_mask allows no transition from state {nothing[0]}: allow at least one, to itself "
            "if it is never left."
        )
    return allowed


def _fixed(fixed: Any, K: int) -> tuple[NDArray[np.bool_], Array]:
    if fixed is None:
        return np.zeros(K, dtype=bool), np.zeros((K, K))
    given = np.asarray(fixed, dtype=np.float64)
    if given.shape != (K, K):
        raise ValueError(
            f"transmat_fixed must have shape (n_components, n_components) = {(K, K)}, not {given.shape}: "
            "probabilities in rows that are given, NaN in those to estimate."
        )
    known = np.logical_not(np.isnan(given))
    rows: NDArray[np.bool_] = np.asarray(known.all(axis=1))
    mixed = np.flatnonzero(known.any(axis=1) & ~rows)
    if mixed.size:
        raise ValueError(
            f"transmat_fixed[{mixed[0]}] has both probabilities and NaN: give all of a row, or none. "
            "Single transitions can be forbidden by transmat_mask."
        )
    values = np.where(rows[:, None], given, 0.0)
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(
        rows & ((values < 0.0).any(axis=1) | ~(np.abs(sums - 1.0) <= SUM_TOLERANCE))
    )
    if wrong.size:
        raise ValueError(
            f"transmat_fixed[{wrong[0]}] must hold probabilities that sum to 1, not "
            f"{given[wrong[0]].tolist()}."
        )
    return rows, normalised(values, np.where(rows, sums, 1.0))


def in_order(start: Array) -> Array:
    """Probabilities of the first state to begin with, where no state goes back: half in state 0.

    Every state keeps a share: what is 0 at the start stays 0.
    """
    mixed = 0.25 * start + 0.25 / len(start)
    mixed[0] += 0.5
    return mixed
