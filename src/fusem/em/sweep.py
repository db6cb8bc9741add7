"""One sweep: every row of a source, through a kernel, to one statistic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.tree import Statistic, Tree
from fusem.em.workers import Workers
from fusem.kernels.tile import LEAF

SEGMENT_BYTES = 1 << 20
# What one segment should take: long against the hand-over, which takes 20 to 30 µs, short against Ctrl-C.
SEGMENT_SECONDS = 2e-3
# Rows in memory are cut longer, by this power of two at most and up to so many seconds, and shorter again
# towards the end, so that threads end together: a segment is no more than what is left for a thread. Tried
# half of that: 4 % slower with 1 to 4 columns.
TALLEST = 3
LONGEST_SECONDS = 1e-2
LEAST_SECONDS = 2e-4  # of a segment: less is not worth a second thread
WORTH_HELP = 6e-4  # seconds of a sweep: waking another thread takes up to 0.3 ms
SECONDS_PER_OPERATION = 5e-11

Segment = tuple[int, NDArray[Any], NDArray[np.float64] | None]
Work = Callable[[int, NDArray[Any], NDArray[np.float64] | None, Statistic], None]


def segment_rows(operations: float, row_bytes: int, n_rows: int | None, n_jobs: int) -> int:
    """Rows per segment, a power of two of leaves: results do not depend on it, only speed does.

    Parameters
    ----------
    operations : float
        Arithmetic per row.
    row_bytes : int
        Size of a row: sources that convert or cut anew hold copies of the segments in hand.
    n_rows : int or None
        Rows in all, where that is known.
    n_jobs : int
        Threads; each should get several segments.
    """
    seconds = operations * SECONDS_PER_OPERATION  # per row
    rows = SEGMENT_SECONDS / seconds
    if n_rows is not None and n_jobs > 1 and n_rows * seconds > WORTH_HELP:
        rows = min(rows, max(n_rows / (8 * n_jobs), LEAST_SECONDS / seconds))
    leaves = int(max(1, min(rows, SEGMENT_BYTES / row_bytes) / LEAF))
    return LEAF << (leaves.bit_length() - 1)


def tallest(operations: float, rows_per_segment: int) -> int:
    """Power of two by which segments of so many rows may be longer."""
    most = LONGEST_SECONDS / (operations * SECONDS_PER_OPERATION * rows_per_segment)
    return min(TALLEST, max(0, int(most).bit_length() - 1))


def longest_segment(row_bytes: int, leaf: int = LEAF) -> int:
    """Rows of the longest segment there can be, whatever the arithmetic and the source."""
    return max(leaf, SEGMENT_BYTES // row_bytes) << TALLEST


def sweep(
    rows: Rows,
    weights: Rows | None,
    rows_per_segment: int,
    height: int,
    size: int,
    work: Work,
    workers: Workers,
) -> Statistic | None:
    """Sum of the statistics of all segments, in a fixed order; None without rows.

    Parameters
    ----------
    rows_per_segment, height : int
        Rows of the shortest segments; those of rows in memory may be 2^height times as long.
    size : int
        Elements of a statistic.
    work : function
        ``work(first_row, X, w, out)`` fills `out` with the statistic of a segment.
    """
    tree = Tree(size)

    def task(segment: tuple[int, Segment]) -> None:
        height, (first, X, w) = segment
        statistic = tree.blank()
        work(first, X, w, statistic)
        tree.add(first // rows_per_segment, statistic, height)

    workers.run(tapered(rows, weights, rows_per_segment, height, workers.n_jobs), task)
    return tree.total()


def tapered(
    rows: Rows, weights: Rows | None, rows_per_segment: int, most: int, n_jobs: int
) -> Iterator[tuple[int, Segment]]:
    """Segments of 2^height times so many rows, with their heights: never longer than one before."""
    if not (rows.in_place and (weights is None or weights.in_place)):
        most = 0
    for first, X, w in segments(rows, weights, rows_per_segment << most):
        begin = 0
        while begin < len(X):
            share = ((rows.n_rows or 0) - first - begin) // (n_jobs * rows_per_segment)
            height = min(most, max(0, share.bit_length() - 1))
            end = begin + (rows_per_segment << height)
            yield height, (first + begin, X[begin:end], None if w is None else w[begin:end])
            begin = end


def longer_segments(
    rows: Rows,
    weights: Rows | None,
    rows_per_segment: int,
    operations: float,
    bytes_per_row: int,
    n_jobs: int,
) -> Iterator[Segment]:
    """Segments for what is said of every row: longer ones where rows are in memory.

    Parameters
    ----------
    rows_per_segment : int
        Rows of the shortest.
    operations : float
        Arithmetic per row.
    bytes_per_row : int
        What is made of a row beside what the caller has room for: a segment's shall be no more than its rows.
    """
    small = SEGMENT_BYTES // (bytes_per_row * rows_per_segment)
    most = min(tallest(operations, rows_per_segment), max(0, small.bit_length() - 1))
    return (segment for _, segment in tapered(rows, weights, rows_per_segment, most, n_jobs))
