"""What the raw rows are like: how many, their weight, mean and variance of each column."""

from __future__ import annotations

import queue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.sweep import longest_segment, segment_rows, sweep
from fusem.em.workers import Workers
from fusem.kernels.scan import HEADER, scan
from fusem.kernels.tile import LEAF, Workspace, levels_of, workspace

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """One pass over the rows."""

    n_rows: int
    weight: float  # sum of the sample weights; the number of rows without them
    means: Array  # (d,) weighted
    variances: Array  # (d,) weighted, divisor `weight`; exactly 0 for a constant column


def summarise(rows: Rows, weights: Rows | None, workers: Workers) -> Summary:
    """Count, weigh and describe the rows.

    Raises
    ------
    ValueError
        Without rows; at NaN, an infinity, or a value whose square overflows, naming the first by row
        and column; at negative or all-zero weights.
    """
    d = rows.n_columns
    row_bytes = d * rows.dtype.itemsize
    length = segment_rows(30.0 + 5.0 * d, row_bytes, rows.n_rows, workers.n_jobs)
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

    total = sweep(rows, weights, length, size, work, workers)
    if total is None:
        raise ValueError(
            f"Found array with 0 sample(s) (shape=(0, {d})) while a minimum of 1 is required."
        )
    weight, sums, squares = total[1], total[HEADER : HEADER + d], total[HEADER + d :]
    if weight <= 0.0:
        raise ValueError("sample_weight is zero for every row: at least one must be positive.")
    check_scale(weight / total[2], rows.dtype)
    if not np.isfinite(total).all():
        raise not_finite(rows)
    small = np.flatnonzero((squares == 0.0) & (sums != 0.0))
    if small.size:
        raise ValueError(
            f"The values of column {small[0]} of {rows.label} are so small that their squares underflow "
            "float64. Multiply the column by a constant."
        )
    mean = sums / weight
    variances = np.maximum(squares / weight - mean**2, 0.0)
    variances[variances < 4.0 * np.finfo(np.float64).eps * squares / weight] = 0.0
    return Summary(int(total[2]), float(weight), shift + mean, variances)


def _first_row(rows: Rows, weights: Rows | None) -> Array:
    """The first row of positive weight: near the others, so that sums about it lose nothing."""
    for _, X, w in segments(rows, weights, LEAF):
        counted = np.arange(len(X)) if w is None else np.flatnonzero(w > 0.0)
        if counted.size:
            first = np.array(X[counted[0]], dtype=np.float64)
            return np.where(np.isfinite(first), first, 0.0)
    return np.zeros(rows.n_columns)


def check_weights(w: Array, first: int) -> None:
    """Weights of a segment's rows must be finite and not negative; `first` is its first row."""
    wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0.0)))
    if wrong.size:
        row = wrong[0]
        what = "negative" if w[row] < 0.0 else "NaN" if np.isnan(w[row]) else "infinite"
        raise ValueError(
            f"sample_weight is {what} ({w[row]:g}) at row {first + row}: weights must be finite and not "
            "negative. Use 0 to leave a row out."
        )


def check_scale(mean_weight: float, dtype: np.dtype[Any]) -> None:
    """Weights must be of a size that responsibilities in the dtype of the rows can hold."""
    largest = 1e15 if dtype == np.float32 else 1e200
    if not 1.0 / largest <= mean_weight <= largest:
        raise ValueError(
            f"sample_weight has mean {mean_weight:.3g}, out of range for {dtype} rows: only ratios of "
            "weights matter, so divide them by their mean."
        )


def not_finite(rows: Rows) -> ValueError:
    """The error that names the first NaN, infinity or value too large for its square."""
    for first, X, _ in segments(rows, None, LEAF):
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(X.astype(np.float64) ** 2)
        if wrong.any():
            row, column = (int(index) for index in np.argwhere(wrong)[0])
            return bad_value(rows, X[row, column], first + row, column)
    return ValueError(
        f"The sums over {rows.label} overflow {rows.dtype}: scale the columns to a smaller range"
        + (" or convert to float64." if rows.dtype == np.float32 else ".")
    )


def bad_value(rows: Rows, value: Any, row: int, column: int) -> ValueError:
    """The error that names a NaN, an infinity or a value too large, and where it stands."""
    name = f"column {column}" if rows.names is None else f"column {rows.names[column]!r}"
    label, place = rows.label, f"row {row}, {name}"
    if np.isnan(value):
        return ValueError(
            f"Input {label} contains NaN, first at {place}. Drop or fill the rows with missing values "
            "(masked cells and nulls count as NaN)."
        )
    if np.isinf(value):
        return ValueError(
            f"Input {label} contains infinity or a value too large for its dtype, first at {place}. "
            "Drop or clip it."
        )
    return ValueError(
        f"Input {label} contains a value too large, {value:g} at {place}: its square overflows float64. "
        "Divide the column by a constant."
    )
