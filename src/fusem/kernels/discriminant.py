"""Which component a row may belong to: the largest of K linear functions of the row.

A guess, right where covariances are alike and components apart. It costs one multiply–add per column.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add_scaled,
    filled,
    lanes,
    load_wide,
    residual,
    store,
    where_less,
    zeros_wide,
)
from fusem.kernels.tile import LINE
from fusem.kernels.transpose import fetch

BLOCK = 4  # components at a time


class Discriminant(NamedTuple):
    """Linear functions of some of a row's columns; flat arrays, K a multiple of BLOCK."""

    columns: NDArray[np.int64]  # (c) that are read
    high: NDArray[Any]  # (c) the centre that is subtracted from them, dtype of the rows
    low: NDArray[Any]  # (c) what rounding the centre lost
    slope: NDArray[Any]  # (K · c)
    intercept: NDArray[np.float64]  # (K) −inf for those that no row can belong to


@helper
def guess(
    x,  # IN  (d columns) tile; OUT those that are read, about the centre
    functions,  # IN  Discriminant
    number,  # OUT which function of each row is largest, at [first + r], dtype of the rows
    first,
    d,
    tile,
    ahead,  # IN  address of rows that are wanted next
    row_bytes,  # IN  their size, 0 where they are not fetched
):
    """Guess the component of every row of a tile; 0 where no function is a number.

    Meanwhile the next tile is fetched: with many columns reading it would take as long as the guess.
    """
    columns, slope, intercept = functions.columns, functions.slope, functions.intercept
    c, strip = columns.size, 4 * lanes(x)
    share = strip * row_bytes * BLOCK // intercept.size // LINE + 1  # lines per block
    for r in range(0, tile, strip):
        best, which = filled(-math.inf, zeros_wide(x)), zeros_wide(x)
        for j in range(c):
            p = r * d + columns[j] * strip
            store(x, p, residual(load_wide(x, p), functions.high, functions.low, j))
        for k in range(0, intercept.size, BLOCK):
            s0, s1 = filled(intercept[k], best), filled(intercept[k + 1], best)
            s2, s3 = filled(intercept[k + 2], best), filled(intercept[k + 3], best)
            o0 = k * c
            o1, o2, o3 = o0 + c, o0 + 2 * c, o0 + 3 * c
            if row_bytes > 0:
                line = ahead + r * row_bytes + k // BLOCK * share * LINE
                for _ in range(share):
                    fetch(line)
                    line += LINE
            for j in range(c):
                row = load_wide(x, r * d + columns[j] * strip)
                s0, s1 = add_scaled(slope, o0 + j, row, s0), add_scaled(slope, o1 + j, row, s1)
                s2, s3 = add_scaled(slope, o2 + j, row, s2), add_scaled(slope, o3 + j, row, s3)
            which = where_less(best, s0, filled(k, best), which)
            best = where_less(best, s0, s0, best)
            which = where_less(best, s1, filled(k + 1.0, best), which)
            best = where_less(best, s1, s1, best)
            which = where_less(best, s2, filled(k + 2.0, best), which)
            best = where_less(best, s2, s2, best)
            which = where_less(best, s3, filled(k + 3.0, best), which)
            best = where_less(best, s3, s3, best)
        store(number, first + r, which)
