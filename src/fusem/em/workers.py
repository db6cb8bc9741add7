"""Threads that work on segments of rows while the caller's thread reads the next ones.

Kernels release the interpreter lock, so segments are computed in parallel. A few segments are in hand
at a time; what stops one stops all.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")


def available_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def effective_jobs(n_jobs: int | None) -> int:
    """Number of threads that `n_jobs` stands for: None is 1, −1 all cores, −2 all but one."""
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use -1 for all cores or a positive number.")
    return n_jobs if n_jobs > 0 else max(1, available_cores() + 1 + n_jobs)


class Workers:
    """`n_jobs` threads for as long as the `with` block lasts; one thread means the caller's own."""

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = effective_jobs(n_jobs)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.n_jobs > 1:
            self._pool = ThreadPoolExecutor(self.n_jobs, thread_name_prefix="fusem")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run(self, items: Iterator[Item], work: Callable[[Item], None]) -> None:
        """Call ``work(item)`` for every item; the error of the earliest item that failed is raised.

        The iterator runs in the caller's thread: a source may hold a database connection.
        """
        if self._pool is None:
            for item in items:
                work(item)
            return
        pending: deque[Future[None]] = deque()
        try:
            for item in items:
                if len(pending) > 2 * self.n_jobs:
                    pending.popleft().result()
                pending.append(self._pool.submit(work, item))
            while pending:
                pending.popleft().result()
        finally:  # also when Ctrl-C lands in `result`: threads stop after the segment in hand
            for future in pending:
                future.cancel()
            wait(pending)
