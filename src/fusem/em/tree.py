"""The upper part of the reduction tree: statistics of segments, merged in a fixed order.

Which statistics are added to which depends on the positions of the segments alone, not on the order
in which threads bring them; kernels do the same below, from leaves of rows to one segment.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

Statistic = NDArray[np.float64]


class Tree:
    """Merges statistics of consecutive segments of one or more units of rows each, given in any order.

    Two complete neighbours of the same height merge at once, so it holds about log2 of the
    number of segments at any time, and those that are early. Their memory is used again: new pages
    for statistics of many columns cost more than their arithmetic.

    Parameters
    ----------
    size : int
        Elements of a statistic.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._nodes: dict[tuple[int, int], Statistic] = {}
        self._spare: list[Statistic] = []
        self._lock = threading.Lock()

    def blank(self) -> Statistic:
        """Memory for a statistic, with anything in it."""
        with self._lock:
            return self._spare.pop() if self._spare else np.empty(self._size)

    def add(self, unit: int, statistic: Statistic, height: int = 0) -> None:
        """Put the statistic of 2^height units from `unit` on in its place; its memory is the tree's now."""
        index = unit >> height
        with self._lock:
            while (sibling := self._nodes.pop((height, index ^ 1), None)) is not None:
                statistic += sibling
                self._spare.append(sibling)
                height, index = height + 1, index >> 1
            self._nodes[height, index] = statistic

    def total(self) -> Statistic | None:
        """Fold what remains, right to left; None if nothing was added."""
        folded = None
        for _, statistic in sorted(self._nodes.items(), key=lambda node: node[0]):
            folded = statistic if folded is None else statistic + folded
        return folded
