"""Threads that help others: the process keeps them for the next call, and lets go those nobody has needed.

To start a thread and to wait for its end takes twice as long as to wake one and to wait until it has done.
"""

from __future__ import annotations

import _thread
import atexit
import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol
from weakref import WeakKeyDictionary

from fusem.em.cores import Cores

IDLE = 2.0  # seconds without a turn after which a thread ends
PATIENCE = 1.0  # seconds that ending threads are waited for


class Turn(Protocol):
    """What a thread takes."""

    def take(self) -> None:
        """Do the work; errors are kept for who called."""


class Helper:
    """A thread that takes one turn after the other.

    Nobody waits for it to begin, as `threading` does: where a core is idle that takes up to a millisecond.
    """

    def __init__(self, crew: Crew, turns: SimpleQueue[Turn | None]) -> None:
        self._crew, self._turns = crew, turns
        self.ended = _thread.allocate_lock()
        self.ended.acquire()
        self.thread = _thread.start_new_thread(self._help, ())

    def _help(self) -> None:
        try:
            while (turn := self._next()) is not None:
                turn.take()
                del turn  # and what its work refers to
        except BaseException:
            self._crew.leave(self)
            raise
        finally:
            self.ended.release()

    def _next(self) -> Turn | None:
        """What it does next; None, its end, where it is dismissed or there is nothing for long."""
        while True:
            try:
                return self._turns.get(timeout=IDLE)
            except Empty:
                if self._crew.leave(self, unless_called=True):
                    return None


class Crew:
    """All helpers, and the turns that wait for one."""

    def __init__(self) -> None:
        self._turns: SimpleQueue[Turn | None] = SimpleQueue()
        self._lock = threading.RLock()  # what handles a signal may fork, or fit
        # Turns of each run that is under way; those of a run that was interrupted at its very end go with it.
        self._called: WeakKeyDictionary[Cores, int] = WeakKeyDictionary()
        self.helpers: list[Helper] = []

    def call(self, turn: Turn, cores: Cores) -> None:
        """Let a helper take it, on a core of its own where no other run is under way."""
        with self._lock:
            self._called[cores] = self._called.get(cores, 0) + 1
            before = len(self.helpers)
            with suppress(RuntimeError):  # no more threads to be had: fewer will do
                while len(self.helpers) < sum(self._called.values()):
                    self.helpers.append(Helper(self, self._turns))
            cores.begin()
            # others that there are may be at work, where they are
            nobody_works = len(self._called) == self._called[cores] == 1
            for helper in self.helpers[0 if nobody_works else before :]:
                cores.send_away(helper.thread)
            if self.helpers:
                self._turns.put(turn)

    def release(self, cores: Cores) -> None:
        """The run of these cores is over."""
        with self._lock:
            self._called.pop(cores, None)

    def leave(self, helper: Helper, unless_called: bool = False) -> bool:
        """Forget a helper before it ends: its identifier stands for none then. Whether it may end."""
        with self._lock:  # none is called meanwhile that does not come
            if unless_called and not self._turns.empty():
                return False
            if helper in self.helpers:
                self.helpers.remove(helper)
            return True

    def dismiss(self) -> None:
        """End all helpers, where none is at work."""
        with self._lock:
            if self._called:
                return
            leaving, self.helpers = self.helpers, []
            turns, self._turns = self._turns, SimpleQueue()  # others that come have their own
            for _ in leaving:
                turns.put(None)
        end = time.monotonic() + PATIENCE
        for helper in leaving:
            helper.ended.acquire(timeout=max(0.0, end - time.monotonic()))


_crew = Crew()


def crew() -> Crew:
    """The process's."""
    return _crew


def _dismiss() -> None:
    _crew.dismiss()


def _forget() -> None:
    """In a child process, where no other thread is."""
    global _crew
    _crew = Crew()


atexit.register(_dismiss)
if hasattr(os, "register_at_fork"):
    # where no call is under way, none of these threads is missing in the child
    os.register_at_fork(before=_dismiss, after_in_child=_forget)
