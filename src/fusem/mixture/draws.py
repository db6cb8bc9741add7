"""Random numbers that belong to rows: the same whatever the chunks, the source and the threads.

Row i takes its numbers from a counter-based generator (Philox) at a place of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]
BLOCK = 4  # numbers that the generator makes at a time


class Draws(NamedTuple):
    """Random numbers for the missing values of some rows."""

    normal: Array  # (n · d) standard normal
    uniform: Array  # (n) in [0, 1)


def uniforms(seed: int, first: int, rows: int, each: int) -> Array:
    """Numbers in (0, 1), (rows, each), of the rows from `first` on."""
    begin = first * each
    generator = np.random.Philox(key=seed)
    generator.advance(begin // BLOCK)
    raw = generator.random_raw(begin % BLOCK + rows * each)[begin % BLOCK :]
    return np.asarray(((raw >> np.uint64(12)) + 0.5) * 2.0**-52).reshape(rows, each)


def draws(seed: int, first: int, missing: NDArray[np.bool_]) -> Draws:
    """What it takes to draw the missing values (n, d) of the rows from `first` on."""
    n, d = missing.shape
    numbers = uniforms(seed, first, n, d + 1)
    normal = np.zeros((n, d))
    normal[missing] = ndtri(numbers[:, :d][missing])
    return Draws(normal.reshape(-1), np.ascontiguousarray(numbers[:, d]))
