"""Memory that threads work in, kept by the process for the next call.

Memory that is new must be touched, which takes as long as many rows: of a space 0.15 ms and more, and up to
5 ms where the machine is a virtual one whose host has to find the pages first.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.em.cores import available_cores
from fusem.kernels.large_pages import LEAST, LEAST_RESULT, PAGE, room

# Spaces that are kept, and bytes of one and of all: those for missing values take about 20 MB.
KEPT, MOST_BYTES, ALL_BYTES = max(16, 2 * available_cores()), 24 << 20, 64 << 20
_kept: list[Kept] = []  # the last one given back last
# Bytes of one piece, for whatever a call works in, and of all.
MOST_OF_PIECE, ALL_PIECES = 16 << 20, 32 << 20
SMALL = 1 << 15  # bytes that malloc keeps; what is larger it may map anew, page by page
_pieces: list[NDArray[np.uint8]] = []
# Those of arrays that may be in use, by their id.
_lent: dict[int, tuple[weakref.ref[_Loan], NDArray[np.uint8]]] = {}
_lock = threading.Lock()

Space = TypeVar("Space", bound=tuple[Any, ...])  # named tuples of arrays and of such tuples


class Kept(NamedTuple):
    """A space, what it may be used for, and the bytes of its pages."""

    key: Hashable
    space: Any
    size: int


def _take(key: Hashable) -> Kept | None:
    """A space that was given back with the same key, if there is one."""
    with _lock:
        for at in reversed(range(len(_kept))):
            if _kept[at].key == key:
                return _kept.pop(at)
    return None


def _give_back(kept: Kept) -> bool:
    """Keep a space in place of those with other keys, given back before; False where there is no room."""
    let_go: list[Kept] = []
    if kept.size > MOST_BYTES:
        return False
    with _lock:
        places = KEPT - len(_kept) - 1
        free = ALL_BYTES - sum([other.size for other in _kept]) - kept.size
        if min(places, free) < 0:
            others = [other for other in _kept if other.key != kept.key]
            while others and min(places, free) < 0:
                let_go.append(others.pop(0))
                places, free = places + 1, free + let_go[-1].size
            if min(places, free) < 0:
                return False
            gone = set(map(id, let_go))
            _kept[:] = [other for other in _kept if id(other) not in gone]
        _kept.append(kept)
    return True  # what was let go is freed when the lock is free


def bytes_of(space: tuple[Any, ...]) -> int:
    """Of the pages of all its arrays."""
    sizes = (array.nbytes for array in {id(array): array for array in _arrays(space)}.values())
    return sum(size if size < LEAST else -(-size // PAGE) * PAGE for size in sizes)


def _arrays(space: tuple[Any, ...]) -> Iterator[NDArray[Any]]:
    """Those of a named tuple and of the tuples in it."""
    for part in space:
        if isinstance(part, np.ndarray):
            yield part
        elif isinstance(part, tuple):
            yield from _arrays(part)


class Spaces:
    """What threads of one engine work in, by a key that says what it is for and how large."""

    def __init__(self) -> None:
        self._own: dict[Hashable, queue.SimpleQueue[Kept]] = {}

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
        kept = self.take(key, make)
        try:
            yield kept.space
        finally:
            self.give_back(kept, may_keep(kept.space))

    def take(self, key: Hashable, make: Callable[[], Space]) -> Kept:
        """The same for who gives it back."""
        own = self._own.get(key)
        if own is not None:
            with suppress(queue.Empty):
                return own.get_nowait()
        kept = _take(key)
        if kept is None:
            made = make()
            kept = Kept(key, made, bytes_of(made))
        return kept

    def give_back(self, kept: Kept, to_all: bool) -> None:
        """To the process where another engine may have it, else to this engine."""
        if not (to_all and _give_back(kept)):
            self._own.setdefault(kept.key, queue.SimpleQueue()).put(kept)


@contextmanager
def scratch(size: int, dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """A flat array that may hold anything, in memory that the process keeps, where it is not too large."""
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < SMALL:
        yield np.empty(size, dtype)
        return
    memory = _piece(n_bytes)
    yield memory[:n_bytes].view(dtype)
    if n_bytes <= MOST_OF_PIECE:  # not after an error: another thread may still write
        with _lock:
            _pieces.append(memory)
            _collect()


def lent_array(shape: tuple[int, ...], dtype: DTypeLike, most: float = math.inf) -> NDArray[Any]:
    """The same of any shape; its memory goes back when nothing refers to the array or to a view of it.

    Parameters
    ----------
    shape, dtype
    most : float, optional
        Bytes of a piece that is too large for it.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if not SMALL <= n_bytes <= MOST_OF_PIECE:
        return np.empty(shape, dtype)
    memory = _piece(n_bytes, most)
    loan = _Loan(memory)
    _lent[id(memory)] = weakref.ref(loan), memory
    return np.asarray(loan)[:n_bytes].view(dtype).reshape(shape)


def result(n: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array for the user, all of it written: `lent_array` where its last page is not wasted.

    They may keep it: it takes no piece of more pages than it needs.
    """
    n_bytes = n * np.dtype(dtype).itemsize
    if n_bytes < LEAST_RESULT:
        return np.empty(n, dtype)
    return lent_array((n,), dtype, most=n_bytes + PAGE)


class _Loan:
    """What all arrays made of a piece refer to."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.__array_interface__ = memory.__array_interface__


def _collect() -> None:
    """Put pieces that nothing refers to any more among the others; of too many the first are let go.

    They are looked for when one is wanted: a function that gave them back would swallow a Ctrl-C that came
    just then. What is interrupted here loses a piece, and gives none to two.
    """
    for number, (loan, memory) in list(_lent.items()):
        if loan() is None:
            del _lent[number]
            _pieces.append(memory)
    while sum(map(len, _pieces)) > ALL_PIECES:
        del _pieces[0]


def _piece(n_bytes: int, most: float = math.inf) -> NDArray[np.uint8]:
    """The smallest piece of so many bytes that was given back, of those alike the last one, or a new one.

    One of `most` bytes and more is too large.
    """
    best, least = None, most
    with _lock:
        _collect()
        for at, piece in enumerate(_pieces):
            if n_bytes <= len(piece) <= least and len(piece) < most:
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
