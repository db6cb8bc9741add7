"""Memory of threads for the recursions, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: some 0.15 ms for one space, and up to 5 ms
where the machine is a virtual one and its host must find the pages first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from fusem.kernels.states import ChainSpace

KEPT, MOST_BYTES = 8, 3 << 19  # spaces, and what one of them may take
_kept: deque[tuple[Hashable, ChainSpace]] = deque(maxlen=KEPT)  # those given back last


def take(key: Hashable) -> ChainSpace:
    """A space that was given back with the same key; LookupError where there is none."""
    for _ in range(KEPT):
        known, space = _kept.popleft()  # IndexError where there is no other
        if known == key:
            return space
        _kept.append((known, space))
    raise LookupError(key)


def give_back(key: Hashable, space: ChainSpace) -> None:
    """Keep a space, but for a large one; of more than `KEPT` the oldest is let go."""
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
    if sum(part.nbytes for part in parts) <= MOST_BYTES:
        _kept.append((key, space))
