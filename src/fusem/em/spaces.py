"""Memory that threads work in, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: a space some 0.15 ms, and up to 5 ms
where the machine is a virtual one whose host has to find the pages first.
"""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.em.workers import available_cores
from fusem.kernels.large_pages import PAGE, room

# Spaces, and what one of them and all may take: those for missing values take about 15 MB.
KEPT, MOST_BYTES, ALL_BYTES = max(8, 2 * available_cores()), 16 << 20, 64 << 20
_kept: list[Kept] = []  # the last one given back last
# Pieces for whatever a call works in, and the bytes of one: a thread takes one.
PIECES, MOST_OF_PIECE = max(4, available_cores()), 8 << 20
SMALL = 1 << 15  # bytes that malloc keeps; what is larger it may map anew, page by page
_pieces: list[NDArray[np.uint8]] = []
_returned: queue.SimpleQueue[NDArray[np.uint8]] = queue.SimpleQueue()  # yet to be put among them
_lock = threading.Lock()

Space = TypeVar("Space", bound=tuple[Any, ...])  # named tuples of arrays and of such tuples


class Kept(NamedTuple):
    """A space that was given back."""

    key: Hashable
    space: Any
    size: int  # bytes


def _take(key: Hashable) -> Any:
    """A space that was given back with the same key, if there is one."""
    with _lock:
        for at in reversed(range(len(_kept))):
            if _kept[at].key == key:
                return _kept.pop(at).space
    return None


def _give_back(key: Hashable, space: Any) -> bool:
    """Keep a space; False where it is a large one.

    Of too many those given back first are let go.
    """
    size = bytes_of(space)
    if size > MOST_BYTES:
        return False
    with _lock:
        _kept.append(Kept(key, space, size))
        while len(_kept) > KEPT or sum(kept.size for kept in _kept) > ALL_BYTES:
            del _kept[0]
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


@contextmanager
def scratch(size: int, dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """A flat array that may hold anything, in memory that the process keeps, where it is not too large."""
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < SMALL:
        yield np.empty(size, dtype)
        return
    memory = _piece(n_bytes)
    yield memory[:n_bytes].view(dtype)
    _returned.put(memory)  # not after an error: another thread may still write


def lent_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The same of any shape; its memory goes back when nothing refers to the array or to a view of it."""
    size = math.prod(shape)
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < SMALL:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_piece(n_bytes)))[:n_bytes].view(dtype).reshape(shape)


class _Loan:
    """A piece that goes back with the last array made of it: all of them refer to this."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        _returned.put(self._memory)  # it takes no lock: whatever this thread is at, it may come


def _collect() -> None:
    """Put what came back among the pieces; of too many those that were there first are let go."""
    while not _returned.empty():
        if (memory := _returned.get()).nbytes <= MOST_OF_PIECE:
            _pieces.append(memory)
    del _pieces[:-PIECES]


def _piece(n_bytes: int) -> NDArray[np.uint8]:
    """The smallest piece of so many bytes that was given back, of those alike the last one, or a new one."""
    best, least = None, math.inf
    with _lock:
        _collect()
        for at, piece in enumerate(_pieces):
            if n_bytes <= len(piece) <= least:
                best, least = at, len(piece)
        if best is not None:
            return _pieces.pop(best)
    # whole pages: they serve most other calls too
    return room(-(-n_bytes // PAGE) * PAGE, np.uint8)


def _forget() -> None:
    """In a child process: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _kept.clear()
    _pieces.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
