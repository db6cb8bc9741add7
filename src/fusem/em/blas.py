"""BLAS held to the caller's thread while small matrix problems are solved between sweeps.

OpenBLAS's threads go on spinning for 30 to 100 ms after they helped, on cores that the next sweep needs: at
d = 128 that took a quarter of an iteration.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

SINGLE = 8192  # elements; up to here OpenBLAS calls no other thread, not even for a matrix times a vector
# The limit is the process's: who sets it must be who takes it back. Among fusem's threads that is so; where
# another library sets one of its own meanwhile and takes it back later, BLAS keeps the one thread it found.
_lock = threading.RLock()


def _forget_lock() -> None:
    """In a forked child: the thread that held the lock is not there."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks for libraries, some 20 ms


def one_thread(elements: int) -> AbstractContextManager[None]:
    """Hold BLAS to one thread, where arrays of so many elements would wake more."""
    return nullcontext() if elements <= SINGLE else _held()


@contextmanager
def _held() -> Iterator[None]:
    with _lock, _controller().limit(limits=1, user_api="blas"):
        yield
