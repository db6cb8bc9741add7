"""What happened: one record per sweep, one per start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Sweep(NamedTuple):
    """One sweep of one start."""

    start: int
    iteration: int  # from 1
    log_likelihood: float  # mean per row, at the parameters before the step
    change: float  # against the sweep before; inf at the first
    seconds: float
    rows_per_second: float


@dataclass(frozen=True)
class StartRecord:
    """One start and how it ended."""

    index: int
    lower_bound: float  # mean log-likelihood per row at the last sweep; -inf if it failed at once
    n_iter: int
    converged: bool
    seconds: float
    error: str | None


FIELDS = np.dtype(
    [
        ("iteration", np.int64),
        ("log_likelihood", np.float64),
        ("change", np.float64),
        ("seconds", np.float64),
        ("rows_per_second", np.float64),
    ]
)


def as_array(sweeps: list[Sweep]) -> NDArray[np.void]:
    """The sweeps of one start as a structured array with the fields of `Sweep`, but for the start."""
    return np.array([tuple(sweep[1:]) for sweep in sweeps], dtype=FIELDS)
