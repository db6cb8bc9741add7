"""Processor cores: how many there are, and one for each thread of a run to begin on."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from typing import Any


def available_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _c_library() -> Any:
    """The C library where it can move a thread: on Linux; None elsewhere."""
    if sys.platform != "linux" or sys.byteorder != "little":
        return None
    library = ctypes.PyDLL(None)
    if not all(hasattr(library, name) for name in ("sched_getcpu", "pthread_setaffinity_np")):
        return None
    library.pthread_setaffinity_np.argtypes = ctypes.c_ulong, ctypes.c_size_t, ctypes.c_char_p
    return library


_library = _c_library()


class Cores:
    """Cores that the threads of one run begin on: helpers elsewhere than their caller.

    In a virtual machine Linux takes a core that has slept, and is the host's meanwhile, for a busy one: a
    thread that is started or woken begins on its caller's, waits there for up to 4 ms, and then both have
    half of it until the scheduler looks again. So it is sent away before it begins, and is free afterwards.
    """

    def __init__(self) -> None:
        self._caller = 0  # the thread that has begun
        self._taken: set[int] = set()
        self._free = b""  # the other cores, a bit for each

    def begin(self) -> None:
        """Count the caller's thread."""
        if _library is None:
            return
        self._caller = threading.get_native_id()
        self._taken.add(_library.sched_getcpu())
        free = os.sched_getaffinity(0) - self._taken
        bits = bytearray(max(free, default=-8) // 8 + 1)
        for core in free:
            bits[core // 8] |= 1 << core % 8
        self._free = bytes(bits)

    def send_away(self, thread: int) -> None:
        """Keep a thread that waits, or has not begun, off the caller's core until it joins."""
        if self._free:
            _library.pthread_setaffinity_np(thread, len(self._free), self._free)

    def join(self) -> int:
        """Let the calling thread use all cores that the caller may, now that it has begun; the one it is on.

        Another run may have sent it away. −1 where that cannot be known, or nothing has begun.
        """
        if not self._caller:
            return -1
        core: int = _library.sched_getcpu()
        with suppress(OSError):  # a sandbox that forbids it
            allowed = os.sched_getaffinity(self._caller)
            if core in self._taken and (free := allowed - self._taken):
                os.sched_setaffinity(0, free)
                core = _library.sched_getcpu()
            os.sched_setaffinity(0, allowed)
        self._taken.add(core)
        return core
