"""Threads that help others: the process keeps them for the next call, and lets go those nobody has needed.

To start a thread and to wait for its end takes as long as some hundred thousand rows; to wake one a tenth.
"""

from __future__ import annotations

import _thread
import atexit
import os
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

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

    def __init__(self, crew: Crew) -> None:
        self._crew, self.ended = crew, _thread.allocate_lock()
        self.ended.acquire()
        self.thread = _thread.start_new_thread(self._help, ())

    def _help(self) -> None:
        try:
            while (turn := self._crew.next_turn(self)) is not None:
                turn.take()
                del turn  # and what its work refers to
        finally:
            self._crew.leave(self)
            self.ended.release()


class Crew:
    """All helpers, and the turns that wait for one."""

    def __init__(self) -> None:
        self._turns: SimpleQueue[Turn | None] = SimpleQueue()
        self._lock = _thread.allocate_lock()
        self._called: dict[int, int] = {}  # turns of each run that is under way
        self.helpers: list[Helper] = []

    def call(self, turns: Sequence[Turn], cores: Cores) -> None:
        """Let a helper take each, on cores of their own where no other run is under way."""
        with self._lock:
            self._called[id(cores)] = len(turns)
            try:
                while len(self.helpers) < sum(self._called.values()):
                    self.helpers.append(Helper(self))
            except RuntimeError:  # no more threads to be had: fewer will do
                pass
            if len(self._called) == 1:  # else some are at work, where they are
                cores.begin()
                for helper in self.helpers:
                    cores.send_away(helper.thread)
            for turn in turns:
                self._turns.put(turn)

    def release(self, cores: Cores) -> None:
        """The run of these cores is over."""
        with self._lock:
            self._called.pop(id(cores), None)

    def next_turn(self, helper: Helper) -> Turn | None:
        """What a helper does next; None, its end, where there is nothing for long."""
        while True:
            try:
                return self._turns.get(timeout=IDLE)
            except Empty:
                with self._lock:  # none is called meanwhile that does not come
                    if self._turns.empty():
                        self._forget(helper)
                        return None

    def leave(self, helper: Helper) -> None:
        """Forget a helper before it ends: its identifier stands for none then."""
        with self._lock:
            self._forget(helper)

    def _forget(self, helper: Helper) -> None:
        if helper in self.helpers:
            self.helpers.remove(helper)

    def dismiss(self) -> None:
        """End all helpers, where none is at work."""
        with self._lock:
            if self._called:
                return
            leaving, self.helpers = self.helpers, []
            for _ in leaving:
                self._turns.put(None)
        for helper in leaving:
            helper.ended.acquire(timeout=PATIENCE)


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
    # a process without other threads forks into one that nothing hangs in
    os.register_at_fork(before=_dismiss, after_in_child=_forget)
