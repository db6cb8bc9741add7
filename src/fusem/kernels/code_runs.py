"""Sequences cut into runs, which are gone through side by side: which rows are whose."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.policy import Kernel
from fusem.kernels.states import LANES


class CodeRuns(NamedTuple):
    """Runs of rows, one after the other."""

    opens: NDArray[Any]  # whether a sequence begins with it
    first: NDArray[Any]  # of its own rows
    last: NDArray[Any]  # after them
    enter: NDArray[Any]  # the row of its first step; before its own, where it opens no sequence
    at: NDArray[Any]  # where what its steps leave begins
    kept: NDArray[Any]  # its number among those of sequences that are cut; −1: it is one


def runs_of(
    lengths: NDArray[np.int64], longest: int, group: int, warm: int, rows: int, width: int
) -> tuple[CodeRuns, NDArray[np.int64], int]:
    """Cut sequences; how many runs each has, and how much all their steps leave.

    Parameters
    ----------
    lengths : array of int
    longest : int
        Rows of a sequence that is not cut.
    group : int
        Rows of eight runs, at least, where there are more of a sequence.
    warm : int
        Rows that are gone through before a run that opens no sequence: whole steps.
    rows : int
        Of a step.
    width : int
        Numbers that a step leaves.
    """
    counts = np.empty(len(lengths), dtype=np.int64)
    total = _count[np.int64](lengths, longest, group, counts)
    opens, numbers = np.empty(total, dtype=np.bool_), np.empty((5, total), dtype=np.int64)
    runs = CodeRuns(opens, *numbers)
    size = _cut[np.int64](lengths, counts, warm, rows, width, *runs)
    return runs, counts, size


def _count_runs(
    lengths,  # IN
    longest,
    group,
    counts,  # OUT of each sequence
):
    """Of how many runs sequences are; of all of them."""
    total = 0
    for sequence in range(lengths.size):
        counts[sequence] = 1
        if lengths[sequence] > longest:
            groups = max(1, lengths[sequence] // group)
            if groups > 1:
                groups -= groups % 2  # as many for each of two threads
            counts[sequence] = LANES * groups
        total += counts[sequence]
    return total


def _cut_runs(
    lengths,  # IN  rows of sequences
    counts,  # IN  runs
    warm,
    rows,
    width,
    opens,  # OUT those of CodeRuns
    first,
    last,
    enter,
    at,
    kept,
):
    """Runs of equal length, but for the first of a sequence, which has what is left over."""
    run = begin = size = number = 0
    for sequence in range(lengths.size):
        count, end = counts[sequence], begin + lengths[sequence]
        each = (lengths[sequence] - 1 - warm) // count // rows * rows if count > 1 else 0
        for later in range(count - 1, -1, -1):
            opens[run], last[run] = later == count - 1, end - later * each
            first[run] = begin if opens[run] else last[run] - each
            enter[run] = begin + 1 if opens[run] else first[run] - warm
            at[run], steps = size, last[run] - enter[run]
            size += (steps // rows + steps % rows) * width
            kept[run] = number if count > 1 else -1
            number += 1 if count > 1 else 0
            run += 1
        begin = end
    return size


_count, _cut = Kernel(_count_runs, "count_code_runs"), Kernel(_cut_runs, "cut_code_runs")
