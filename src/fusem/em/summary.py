"""What the raw rows are like: how many, their weight, mean and variance of each column."""

from __future__ import annotations

import queue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.observed import Missing, scan_observed
from fusem.em.sweep import longest_segment, segment_rows, sweep, tallest
from fusem.em.values import check_scale, check_weights
from fusem.em.workers import Workers
from fusem.kernels.scan import HEADER, scan
from fusem.kernels.tile import LEAF, Workspace, levels_of, workspace

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """One pass over the rows; means and variances are those of observed values."""

    n_rows: int
    weight: float  # sum of the sample weights of rows with any value; their number without weights
    means: Array  # (d,) weighted
    variances: (
        Array  # (d,) weighted, divisor the sum of the weights; exactly 0 for a constant column
    )
    missing: Missing | None = None  # None where no value is

    @property
    def n_used(self) -> int:
        """Rows with any value."""
        return self.n_rows - (0 if self.missing is None else self.missing.n_empty)

    @property
    def observed(self) -> Array:
        """Share of the weight that has a value in each column, (d,)."""
        if self.missing is None:
            return np.ones(len(self.means))
        return self.missing.observed / self.weight


def summarise(rows: Rows, weights: Rows | None, workers: Workers) -> Summary:
    """Count, weigh and describe the rows.

    Raises
    ------
    ValueError
        Without rows; at an infinity or a value whose square overflows, naming the first by row and column;
        at a column without any value; at negative or all-zero weights.
    """
    d = rows.n_columns
    row_bytes = d * rows.dtype.itemsize
    operations = 30.0 + 5.0 * d
    length = segment_rows(operations, row_bytes, rows.n_rows, workers.n_jobs)
    shift = _first_row(rows, weights)
    unit, nothing = np.ones(d), np.zeros(d)
    kernel, kind = scan[rows.dtype], np.empty(0, dtype=rows.dtype)
    levels, size = levels_of(longest_segment(row_bytes)), HEADER + 2 * d
    spaces: queue.SimpleQueue[Workspace] = queue.SimpleQueue()
    for _ in range(workers.n_jobs):
        spaces.put(workspace(d, 1, 0, size, levels, np.float64))

    nowhere = np.empty(size)
    with_space = spaces.get()  # compiles in this thread, where Ctrl-C can interrupt it
    kernel(0, 0, 0, 0, d, np.empty(0), kind, shift, nothing, unit, with_space, nowhere)
    spaces.put(with_space)

    def work(first: int, X: NDArray[Any], w: Array | None, out: Array) -> None:
        if w is not None:
            check_weights(w, first)
        given = np.empty(0) if w is None else w
        place = X.ctypes.data, X.strides[0], X.strides[1], len(X)
        space = spaces.get()
        kernel(*place, d, given, kind, shift, nothing, unit, space, out)
        spaces.put(space)

    total = sweep(rows, weights, length, tallest(operations, length), size, work, workers)
    if total is None:
        raise ValueError(
            f"{rows.label}: Found array with 0 sample(s) (shape=(0, {d})) while a minimum of 1 is required."
        )
    weight, sums, squares = total[1], total[HEADER : HEADER + d], total[HEADER + d :]
    if weight <= 0.0:
        raise ValueError("sample_weight is zero for every row: at least one must be positive.")
    check_scale(weight / total[2], rows.dtype)
    if np.isfinite(total).all():
        moments = _moments(rows, shift, np.full(d, weight), sums, squares)
        return Summary(int(total[2]), float(weight), *moments)
    seen = scan_observed(rows, weights, workers)
    moments = _moments(rows, seen.shift, seen.missing.observed, seen.sums, seen.squares)
    return Summary(seen.n_rows, seen.weight, *moments, seen.missing)


def _moments(
    rows: Rows, shift: Array, weight: Array, sums: Array, squares: Array
) -> tuple[Array, Array]:
    """Mean and variance of each column from sums about a shift."""
    small = np.flatnonzero((squares == 0.0) & (sums != 0.0))
    if small.size:
        raise ValueError(
            f"The values of column {small[0]} of {rows.label} are so small that their squares underflow "
            "float64. Multiply the column by a constant."
        )
    mean = sums / weight
    variances = np.maximum(squares / weight - mean**2, 0.0)
    variances[variances < 4.0 * np.finfo(np.float64).eps * squares / weight] = 0.0
    return shift + mean, variances


def _first_row(rows: Rows, weights: Rows | None) -> Array:
    """The first row of positive weight: near the others, so that sums about it lose nothing."""
    for _, X, w in segments(rows, weights, LEAF):
        counted = np.arange(len(X)) if w is None else np.flatnonzero(w > 0.0)
        if counted.size:
            first = np.array(X[counted[0]], dtype=np.float64)
            return np.where(np.isfinite(first), first, 0.0)
    return np.zeros(rows.n_columns)
