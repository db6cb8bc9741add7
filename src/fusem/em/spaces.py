"""Memory that threads work in, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: a space some 0.15 ms, and up to 5 ms
where the machine is a virtual one whose host has to find the pages first.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from fusem.em.workers import available_cores

# Spaces, and what one of them may take.
KEPT, MOST_BYTES = max(8, 2 * available_cores()), 3 << 20
_kept: list[tuple[Hashable, Any]] = []  # those given back, the last one last
_lock = threading.Lock()

Space = TypeVar("Space", bound=tuple[Any, ...])  # named tuples of arrays and of such tuples


def _take(key: Hashable) -> Any:
    """A space that was given back with the same key, if there is one."""
    with _lock:
        for at in reversed(range(len(_kept))):
            if _kept[at][0] == key:
                return _kept.pop(at)[1]
    return None


def _give_back(key: Hashable, space: Any) -> bool:
    """Keep a space; False where it is a large one.

    Of more than `KEPT` the one given back first is let go.
    """
    if bytes_of(space) > MOST_BYTES:
        return False
    with _lock:
        _kept.append((key, space))
        del _kept[:-KEPT]
    return True


def bytes_of(space: tuple[Any, ...]) -> int:
    """Of all its arrays."""
    return sum(
        part.nbytes if isinstance(part, np.ndarray) else bytes_of(part)
        for part in space
        if isinstance(part, (np.ndarray, tuple))
    )


class Spaces:
    """What threads of one engine work in, by a key that says what it is for and how large."""

    def __init__(self) -> None:
        self._own: dict[Hashable, queue.SimpleQueue[Any]] = {}

    @contextmanager
    def lent(
        self,
        key: Hashable,
        make: Callable[[], Space],
        may_keep: Callable[[Space], bool] = lambda space: True,
    ) -> Iterator[Space]:
        """Memory for the thread that asks, given back afterwards: to the process, or to this engine.

        Parameters
        ----------
        key : hashable
            What it is for: it may hold whatever a call with the same key has left.
        make : function
            New memory.
        may_keep : function, optional
            Whether another engine may have it afterwards.
        """
        own = self._own.setdefault(key, queue.SimpleQueue())
        try:
            space = own.get_nowait()
        except queue.Empty:
            space = _take(key) or make()
        try:
            yield space
        finally:
            if not (may_keep(space) and _give_back(key, space)):
                own.put(space)


def _forget() -> None:
    """In a child process: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
