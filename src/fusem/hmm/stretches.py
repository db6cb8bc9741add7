"""Blocks of sequences cut into stretches that best paths go through at the same time."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fusem.hmm.layout import Ints, Layout


class Stretch(NamedTuple):
    """Blocks that one call goes through."""

    number: int
    first: int
    last: int
    opens: bool  # whether a sequence begins with it
    runs_on: bool  # whether the last one goes on after it


def stretches_of(layout: Layout, lengths: Ints, rows: int) -> list[Stretch]:
    """All blocks, cut by what does not depend on the number of threads.

    Parameters
    ----------
    rows : int
        Rows of a stretch, about; only a sequence that is longer is cut.
    """
    first, sequence = layout.blocks[:-1], layout.sequence[layout.blocks[:-1]]
    long = lengths[sequence] > rows
    place = np.where(long, layout.pieces[first], (np.cumsum(lengths) - lengths)[sequence])
    part, opens, closes = place // rows, layout.opens[first], layout.closes[layout.blocks[1:] - 1]
    new = np.flatnonzero(part[1:] != part[:-1]) + 1
    bounds = pairwise([0, *new.tolist(), layout.n_blocks])
    return [Stretch(i, a, b, bool(opens[a]), not closes[b - 1]) for i, (a, b) in enumerate(bounds)]
