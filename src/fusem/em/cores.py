"""Processor cores: how many there are, and one for each thread of a run to begin on."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress


def available_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _way_to_ask() -> Callable[[], int] | None:
    """The C library's `sched_getcpu`, where a thread can be moved too: on Linux."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    with suppress(AttributeError, OSError):
        asked: Callable[[], int] = ctypes.PyDLL(None).sched_getcpu
        return asked
    return None


_core_now = _way_to_ask()


class Cores:
    """Cores that the threads of one run began on.

    In a virtual machine Linux takes a core that has slept, and is the host's meanwhile, for a busy one: a
    thread that is started or woken begins on its caller's, and both have half of it for 2 to 4 ms, until
    the scheduler looks again. So one that finds itself there moves once; it is not kept on its core.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def join(self) -> int:
        """Let the calling thread go on where no other one began, if there is such a core; return its number.

        −1 where that cannot be known.
        """
        if _core_now is None:
            return -1
        core = _core_now()
        if core in self._taken:
            allowed = os.sched_getaffinity(0)
            if free := allowed - self._taken:
                with suppress(OSError):  # a sandbox that forbids it
                    os.sched_setaffinity(0, free)
                    core = _core_now()
                    os.sched_setaffinity(0, allowed)
        self._taken.add(core)
        return core
