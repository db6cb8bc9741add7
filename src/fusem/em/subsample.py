"""A random subsample of rows that depends on the seed and the row numbers alone.

Every row has a key from a counter-based generator (Philox) at its own number; the rows with the
smallest keys are kept. Chunk sizes and sources cannot change which rows these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.kernels.tile import LEAF

SEGMENT = 64 * LEAF


def keys(seed: int, first: int, count: int) -> NDArray[np.uint64]:
    """The keys of rows first … first + count; `first` must be a multiple of 4 (Philox' block)."""
    generator = np.random.Philox(key=seed)
    generator.advance(first // 4)
    return np.asarray(generator.random_raw(count), dtype=np.uint64)


def subsample(
    rows: Rows, weights: Rows | None, size: int, seed: int, blank: bool = False
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """At most `size` rows of positive weight, in the order of the source, and their weights.

    Rows without any value are not among them, where there may be any: `blank`.
    """
    chosen = np.empty(0, dtype=np.uint64)
    X = np.empty((0, rows.n_columns), dtype=rows.dtype)
    w = np.empty(0)
    for first, segment, given in segments(rows, weights, SEGMENT):
        new, v = keys(seed, first, len(segment)), np.ones(len(segment)) if given is None else given
        limit = np.iinfo(np.uint64).max if len(chosen) < size else chosen.max()
        take = (v > 0.0) & (new <= limit)
        if blank:
            take &= ~np.isnan(segment).all(axis=1)
        chosen = np.concatenate([chosen, new[take]])
        X, w = np.concatenate([X, segment[take]]), np.concatenate([w, v[take]])
        if len(chosen) > size:
            keep = np.sort(np.argpartition(chosen, size - 1)[:size])
            chosen, X, w = chosen[keep], X[keep], w[keep]
    return X, None if weights is None else w
