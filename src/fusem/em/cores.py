"""Processor cores: how many there are, and one for each thread of a run to begin on."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

CPU_SET = 128  # bytes that the C library has for a set of cores


def available_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _c_library() -> Any:
    """The C library where a thread can be moved: on Linux; None elsewhere."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    library = ctypes.PyDLL(None)
    return library if hasattr(library, "sched_getcpu") else None


_library = _c_library()


class Cores:
    """Cores that the threads of one run begin on: each on its own, as far as there are enough.

    In a virtual machine Linux takes a core that has slept, and is the host's meanwhile, for a busy one: a
    thread that is started or woken begins on its caller's, waits there for up to 4 ms, and then both have
    half of it until the scheduler looks again. So it is sent away before it begins, and is free afterwards.
    Tried: that it moves by itself when it has begun, 1.1 times as long for calls of 15 ms.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._allowed: set[int] = set()

    def begin(self) -> None:
        """Count the caller's thread."""
        if _library is not None:
            self._allowed = os.sched_getaffinity(0)
            self._taken.add(_library.sched_getcpu())

    def send_away(self, thread: int) -> None:
        """Keep a thread that waits, or has not begun, off the cores that are taken, until it joins."""
        if free := self._allowed - self._taken:
            cores = sum(1 << core for core in free)
            size = max(CPU_SET, cores.bit_length() // 8 + 1)
            mask = cores.to_bytes(size, "little")
            _library.pthread_setaffinity_np(ctypes.c_ulong(thread), ctypes.c_size_t(size), mask)

    def join(self) -> int:
        """Count the calling thread, where another one has begun on another core; return the core's number.

        −1 where that cannot be known.
        """
        if _library is None:
            return -1
        core: int = _library.sched_getcpu()
        with suppress(OSError):  # a sandbox that forbids it
            if core in self._taken and (free := self._allowed - self._taken):
                os.sched_setaffinity(0, free)
                core = _library.sched_getcpu()
            os.sched_setaffinity(0, self._allowed)
        self._taken.add(core)
        return core
