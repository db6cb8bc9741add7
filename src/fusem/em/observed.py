"""What was observed of rows with missing values, NaN: sums of every column, and where the holes are."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.sweep import longest_segment, segment_rows, sweep, tallest
from fusem.em.values import check_weights, column_name, not_finite
from fusem.em.workers import Workers
from fusem.kernels.patterns import WORD, words_of
from fusem.kernels.scan import HEADER
from fusem.kernels.scan_missing import KINDS, scan_missing
from fusem.kernels.tile import LEAF, levels_of

Array = NDArray[np.float64]


class Missing(NamedTuple):
    """Where values are missing, NaN."""

    n_complete: int  # rows without a missing value
    n_empty: int  # rows without any value
    observed: Array  # (d,) weight of the rows that have a value in the column
    together: NDArray[np.bool_]  # (d, d) whether any row has values in both columns


class Observed(NamedTuple):
    """Sums over the rows with a value in each column, about a shift."""

    n_rows: int
    weight: float  # of the rows with any value
    shift: Array  # (d,)
    sums: Array  # (d,)
    squares: Array  # (d,)
    missing: Missing


def scan_observed(rows: Rows, weights: Rows | None, workers: Workers) -> Observed:
    """Look at rows some of whose values are not finite: those that are NaN are missing.

    Raises
    ------
    ValueError
        At an infinity or a value whose square overflows; at a column without any value.
    """
    d, row_bytes = rows.n_columns, rows.n_columns * rows.dtype.itemsize
    operations = 60.0 + 15.0 * d
    length = segment_rows(operations, row_bytes, rows.n_rows, workers.n_jobs)
    shift = _first_values(rows, weights)
    kernel, kind = scan_missing[rows.dtype], np.empty(0, dtype=rows.dtype)
    words, size = words_of(d), HEADER + KINDS + 3 * d
    together = np.zeros(d * words, dtype=np.int64)
    room, lock = (levels_of(longest_segment(row_bytes)) - 1) * size, threading.Lock()

    def work(first: int, X: NDArray[Any], w: Array | None, out: Array) -> None:
        if w is not None:
            check_weights(w, first)
        given, place = np.empty(0) if w is None else w, (X.ctypes.data, *X.strides, len(X))
        bits, seen = np.empty(LEAF * words, dtype=np.int64), np.zeros_like(together)
        kernel(*place, d, given, kind, shift, bits, seen, np.empty(room), out)
        with lock:
            np.bitwise_or(together, seen, out=together)

    nowhere = np.empty(size)  # compiles in this thread, where Ctrl-C can interrupt it
    bits = np.empty(LEAF * words, dtype=np.int64)
    kernel(0, 0, 0, 0, d, np.empty(0), kind, shift, bits, together, np.empty(room), nowhere)
    total = sweep(rows, weights, length, tallest(operations, length), size, work, workers)
    assert total is not None
    observed, sums, squares = np.split(total[HEADER + KINDS :], 3)
    if not np.isfinite(total).all():
        raise not_finite(rows)
    if total[1] <= 0.0:
        weighed = "" if weights is None else " and a positive weight"
        raise ValueError(f"{rows.label} has no row with a value{weighed}: nothing can be fitted.")
    never = np.flatnonzero(observed <= 0.0)
    if never.size:
        names = ", ".join(column_name(rows, int(j)) for j in never[:10])
        raise ValueError(
            f"{rows.label} has no observed value in {names}: all are missing (NaN), and nothing can be "
            "said about it. Drop the column."
        )
    complete, empty = total[HEADER : HEADER + KINDS]
    bit = np.arange(d)
    pairs = (together.reshape(d, words)[:, bit // WORD] >> (bit % WORD)) & 1
    missing = Missing(int(complete), int(empty), observed, pairs.astype(bool))
    return Observed(int(total[2]), float(total[1]), shift, sums, squares, missing)


def _first_values(rows: Rows, weights: Rows | None) -> Array:
    """The first observed value of each column in a row of positive weight."""
    values = np.full(rows.n_columns, np.nan)
    for _, X, w in segments(rows, weights, LEAF):
        for j in np.flatnonzero(np.isnan(values)):
            seen = ~np.isnan(X[:, j]) if w is None else ~np.isnan(X[:, j]) & (w > 0.0)
            if seen.any():
                values[j] = X[seen.argmax(), j]
        if not np.isnan(values).any():
            break
    return np.where(np.isfinite(values), values, 0.0)
