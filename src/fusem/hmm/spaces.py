"""Memory of threads for the recursions, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: a space some 0.15 ms, and up to 5 ms
where the machine is a virtual one whose host has to find the pages first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable

from fusem.kernels.states import ChainSpace

# Spaces, and what one of them may take.
KEPT, MOST_BYTES = max(8, 2 * (os.cpu_count() or 1)), 3 << 19
_kept: deque[tuple[Hashable, ChainSpace]] = deque(maxlen=KEPT)  # those given back last


def take(key: Hashable) -> ChainSpace | None:
    """A space that was given back with the same key, if there is one."""
    for _ in range(len(_kept)):
        try:
            known, space = _kept.popleft()
        except IndexError:  # other threads were faster
            return None
        if known == key:
            return space
        _kept.append((known, space))
    return None


def give_back(key: Hashable, space: ChainSpace) -> bool:
    """Keep a space; False where it is a large one, or knows patterns of missing values.

    Of more than `KEPT` the oldest is let go.
    """
    tile = space.tile
    parts = (
        space.factor,
        space.alpha,
        space.gamma,
        space.shares,
        tile.x,
        tile.logp,
        tile.scratch,
        tile.tree,
    )
    if space.missing is not None or sum(part.nbytes for part in parts) > MOST_BYTES:
        return False
    _kept.append((key, space))
    return True
