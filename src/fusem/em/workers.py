"""Threads that work on segments of rows; the caller's thread reads them and works too.

Kernels release the interpreter lock, so segments are computed in parallel. A few segments wait at a time;
what stops one stops all.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from numbers import Integral
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from fusem.em.cores import Cores, available_cores
from fusem.em.crew import crew

Item = TypeVar("Item")
QUEUE = 1  # items that wait, per thread


def effective_jobs(n_jobs: int | None) -> int:
    """Number of threads that `n_jobs` stands for: None is 1, −1 all cores, −2 all but one."""
    if n_jobs is None:
        return 1
    if not isinstance(n_jobs, (int, Integral)):
        raise TypeError(
            f"n_jobs must be a number of threads, -1 for all cores, or None, not {n_jobs!r}."
        )
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use -1 for all cores or a positive number.")
    return n_jobs if n_jobs > 0 else max(1, available_cores() + 1 + n_jobs)


class Workers:
    """`n_jobs` threads; the caller's own is one of them, the others are the process's helpers."""

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = effective_jobs(n_jobs)

    def run(self, items: Iterator[Item], work: Callable[[Item], None]) -> None:
        """Call ``work(item)`` for every item; the error of the earliest item that failed is raised.

        The iterator runs in the caller's thread: a source may hold a database connection. An error of
        its own counts as that of the item it would have been.
        """
        if self.n_jobs == 1:
            for item in items:
                work(item)
            return
        line, cores, helpers = Line(work), Cores(), crew()
        turns: list[Turn] = []

        def call_helper() -> None:
            if len(turns) < self.n_jobs - 1:
                turns.append(Turn(line, cores))
                helpers.call(turns[-1], cores)

        try:
            line.feed(items, QUEUE * self.n_jobs, call_helper)
            line.close()
            line.serve()
        except BaseException:  # also Ctrl-C: threads stop after the item in hand
            line.clear()
            raise
        finally:
            try:
                line.close()
                for turn in turns:
                    turn.end()
                if isinstance(items, Generator):
                    items.close()
            finally:
                helpers.release(cores)
        line.raise_earliest()
        for turn in turns:
            turn.raise_error()


class Turn:
    """Work on a line in another thread, if that begins before all is done: the first has the ticket."""

    def __init__(self, line: Line[Any], cores: Cores) -> None:
        self._line: Line[Any] | None = line
        self._cores = cores
        self._ticket, self._serving = _thread.allocate_lock(), _thread.allocate_lock()
        self._error: BaseException | None = None

    def take(self) -> None:
        """Serve the line, unless all is done."""
        with self._serving:
            if not self._ticket.acquire(blocking=False):
                return
            line, self._line = self._line, None
            assert line is not None
            try:
                self._cores.join()
                line.serve()
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                self._error = error

    def end(self) -> None:
        """Wait for the thread; one that has not begun has nothing left to do, and may never begin."""
        if self._ticket.acquire(blocking=False):
            self._line = None
        else:
            with self._serving:
                pass

    def raise_error(self) -> None:
        """Raise what the line did not catch: what was no `Exception`."""
        if self._error is not None:
            raise self._error


ALONE = Workers(1)  # the caller's thread, for what is not worth another


class Line(Generic[Item]):
    """Items that wait for a thread, first come first served: what precedes a failed item was begun before."""

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._waiting: SimpleQueue[tuple[int, Item] | None] = SimpleQueue()
        self._errors: list[tuple[int, Exception]] = []

    def feed(self, items: Iterator[Item], most: int, call_helper: Callable[[], None]) -> None:
        """Put every item in line; where more than `most` wait, do the first of them here.

        A helper is called for every item but the first: waking one takes as long as a small sweep.
        """
        number = 0
        try:
            for item in items:
                self._waiting.put((number, item))
                number += 1
                if number > 1:
                    call_helper()
                if self._waiting.qsize() > most:
                    with suppress(Empty):
                        self._do(self._waiting.get_nowait())
                if self._errors:
                    break
        except Exception as error:  # noqa: BLE001 - raised when all before it are done
            self._errors.append((number, error))

    def close(self) -> None:
        """Let all threads go home when nothing waits any more."""
        self._waiting.put(None)

    def clear(self) -> None:
        """Forget all that waits."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()

    def serve(self) -> None:
        """Do what waits until the line is closed."""
        while (entry := self._waiting.get()) is not None:
            self._do(entry)
        self._waiting.put(None)  # for the next thread

    def _do(self, entry: tuple[int, Item] | None) -> None:
        assert entry is not None  # before the line is closed
        number, item = entry
        if any(number > failed for failed, _ in self._errors):
            return
        try:
            self._work(item)
        except Exception as error:  # noqa: BLE001 - raised in the caller's thread
            self._errors.append((number, error))

    def raise_earliest(self) -> None:
        """Raise the error of the earliest item that failed; keep none, nor what their frames hold."""
        if self._errors:
            earliest = min(self._errors, key=lambda failed: failed[0])[1]
            self._errors.clear()
            try:
                raise earliest
            finally:
                del earliest
