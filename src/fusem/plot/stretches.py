"""A long series in as many stretches as can be seen: what each holds, nothing left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_ROWS = 2_000  # drawn one by one; a screen has no more columns
STRETCHES = 1_000


class Stretches(NamedTuple):
    """Runs of rows that are drawn as one."""

    edges: NDArray[np.int64]  # (m + 1) row numbers

    @property
    def single(self) -> bool:
        """Whether each is one row."""
        return int(self.edges[-1] - self.edges[0]) == len(self.edges) - 1

    def least(self, values: Array) -> Array:
        """The least value of each; NaN where it has none."""
        return np.fmin.reduceat(values, self.edges[:-1] - self.edges[0])

    def greatest(self, values: Array) -> Array:
        """The greatest value of each; NaN where it has none."""
        return np.fmax.reduceat(values, self.edges[:-1] - self.edges[0])

    def means(self, values: Array) -> Array:
        """The mean of each, column by column."""
        sums = np.add.reduceat(values, self.edges[:-1] - self.edges[0], axis=0, dtype=np.float64)
        return np.asarray(sums / np.diff(self.edges)[:, None])

    def shares(self, codes: NDArray[np.int64], n_codes: int) -> Array:
        """The share of each of the codes 0 … n_codes − 1 in each stretch, (m, n_codes)."""
        sizes = np.diff(self.edges)
        places = np.repeat(np.arange(len(sizes)) * n_codes, sizes) + codes
        counts = np.bincount(places, minlength=len(sizes) * n_codes)
        return np.asarray(counts.reshape(-1, n_codes) / sizes[:, None])


def stretches(first: int, last: int) -> Stretches:
    """Cut the rows from `first` up to `last` where they are too many to be drawn one by one."""
    n = last - first
    m = n if n <= MAX_ROWS else STRETCHES
    return Stretches(first + (np.arange(m + 1) * n) // m)
