"""Blocks of sequences cut into stretches that best paths go through at the same time."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fusem.hmm.layout import Ints, Layout
from fusem.kernels.states import LANES


class Stretch(NamedTuple):
    """Blocks that one call goes through: as one part, or as several of equal length side by side."""

    number: int  # of its first part
    after: int  # of the first part of the next one
    first: int
    last: int
    opens: bool  # whether a sequence begins with it
    runs_on: bool  # whether the last one goes on after it
    in_one: bool = True  # whether it is taken as one part, else all parts are lanes of vectors

    @property
    def parts(self) -> slice:
        """Numbers of its parts."""
        return slice(self.number, self.number + 1 if self.in_one else self.after)


def stretches_of(layout: Layout, lengths: Ints, rows: int, least_lane: int | None) -> list[Stretch]:
    """All blocks, cut by what does not depend on the number of threads.

    Parameters
    ----------
    rows : int
        Rows of a stretch, about; only a sequence that is longer is cut.
    least_lane : int or None
        Rows that a part has at least where there are several side by side; None where there may be none.
    """
    first, sequence = layout.blocks[:-1], layout.sequence[layout.blocks[:-1]]
    long = lengths[sequence] > rows
    place = np.where(long, layout.pieces[first], (np.cumsum(lengths) - lengths)[sequence])
    part, opens, closes = place // rows, layout.opens[first], layout.closes[layout.blocks[1:] - 1]
    new = part[1:] != part[:-1]
    if least_lane is not None:  # blocks that begin or end a long sequence stand alone
        new |= long[:-1] & opens[:-1] | long[1:] & closes[1:]
    stretches, number = [], 0
    for a, b in pairwise([0, *(np.flatnonzero(new) + 1).tolist(), layout.n_blocks]):
        inner = long[a] and not opens[a] and not closes[a:b].any()
        lane, left = divmod(np.subtract(*layout.rows(a, b)[::-1]), LANES)
        in_one = least_lane is None or not inner or left > 0 or lane < least_lane
        after = number + (1 if in_one else LANES)
        stretches.append(Stretch(number, after, a, b, bool(opens[a]), not closes[b - 1], in_one))
        number = after
    return stretches
