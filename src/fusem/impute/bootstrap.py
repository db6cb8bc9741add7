"""Weights of a Bayesian bootstrap: rows weighted at random, a fit to them is a draw of the parameters.

Weights are exponential (Rubin 1981) and belong to row numbers: the same whatever the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows
from fusem.mixture.draws import uniforms

BLOCK = 1 << 16  # rows


class BootstrapWeights(Rows):
    """Rows of one column: random weights, times the user's own.

    Parameters
    ----------
    n_rows : int
        How many.
    weights : Rows or None
        The user's own.
    seed : int
        Other weights for another one.
    """

    n_columns, dtype, names, label = 1, np.dtype(np.float64), None, "bootstrap weights"

    def __init__(self, n_rows: int, weights: Rows | None, seed: int) -> None:
        self.n_rows, self._count = n_rows, n_rows
        self._weights, self._seed = weights, seed

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """A new pass."""
        if self._weights is None:
            for first in range(0, self._count, BLOCK):
                yield self._drawn(first, min(BLOCK, self._count - first))
            return
        first = 0
        for block in self._weights.blocks():
            yield block * self._drawn(first, len(block))
            first += len(block)

    def _drawn(self, first: int, count: int) -> NDArray[np.float64]:
        return -np.log(uniforms(self._seed, first, count, 1))
