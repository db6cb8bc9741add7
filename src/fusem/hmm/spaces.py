"""Memory of threads for the recursions, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: a space some 0.15 ms, and up to 5 ms
where the machine is a virtual one whose host has to find the pages first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable

import numpy as np

from fusem.em.workers import available_cores
from fusem.kernels.states import ChainSpace

# Spaces, and what one of them may take.
KEPT, MOST_BYTES = max(8, 2 * available_cores()), 3 << 19
_kept: list[tuple[Hashable, ChainSpace]] = []  # those given back, the last one last
_lock = threading.Lock()


def take(key: Hashable) -> ChainSpace | None:
    """A space that was given back with the same key, if there is one."""
    with _lock:
        for at in reversed(range(len(_kept))):
            if _kept[at][0] == key:
                return _kept.pop(at)[1]
    return None


def give_back(key: Hashable, space: ChainSpace) -> bool:
    """Keep a space; False where it is a large one, or knows patterns of missing values.

    Of more than `KEPT` the one given back first is let go.
    """
    parts = (part for part in (*space, *space.tile) if isinstance(part, np.ndarray))
    if space.missing is not None or sum(part.nbytes for part in parts) > MOST_BYTES:
        return False
    with _lock:
        _kept.append((key, space))
        del _kept[:-KEPT]
    return True


def _forget() -> None:
    """In a child process: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
