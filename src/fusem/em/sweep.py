"""One sweep: every row of a source, through a kernel, to one statistic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.em.tree import Statistic, Tree
from fusem.em.workers import Workers
from fusem.kernels.tile import LEAF

SEGMENT_BYTES = 1 << 20
# What one segment should take: long against the hand-over, short against Ctrl-C. Half as long (and half the
# bytes) cost 2 to 6 % of a sweep by two threads, twice as long gained nothing.
SEGMENT_SECONDS = 2e-3
LEAST_SECONDS = 2e-4  # of a segment: less is not worth a second thread
WORTH_HELP = 6e-4  # seconds of a sweep: waking another thread takes up to 0.3 ms
SECONDS_PER_OPERATION = 5e-11

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
    leaves = int(max(1, min(rows, longest_segment(row_bytes)) / LEAF))
    return LEAF << (leaves.bit_length() - 1)


def longest_segment(row_bytes: int) -> int:
    """Rows of the longest segment there can be, whatever the arithmetic and the source."""
    return max(LEAF, SEGMENT_BYTES // row_bytes)


def sweep(
    rows: Rows,
    weights: Rows | None,
    rows_per_segment: int,
    size: int,
    work: Work,
    workers: Workers,
) -> Statistic | None:
    """Sum of the statistics of all segments, in a fixed order; None without rows.

    ``work(first_row, X, w, out)`` fills `out`, of `size` elements, with the statistic of a segment.
    """
    tree = Tree(size)

    def task(segment: tuple[int, NDArray[Any], NDArray[np.float64] | None]) -> None:
        first, X, w = segment
        statistic = tree.blank()
        work(first, X, w, statistic)
        tree.add(first // rows_per_segment, statistic)

    workers.run(segments(rows, weights, rows_per_segment), task)
    return tree.total()
