"""Threads of one run begin each on a core of its own, and stay free to go elsewhere."""

import os
import threading

import pytest

from fusem.em import cores, workers
from fusem.em.cores import Cores, available_cores
from fusem.em.workers import Workers

two = pytest.mark.skipif(
    cores._core_now is None or available_cores() < 2,
    reason="threads are moved on Linux, where there is another core",
)


def in_a_thread(work):
    """What a function returns that runs in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@two
def test_a_thread_on_a_taken_core_moves_and_is_not_kept_there():
    run = Cores()
    allowed = os.sched_getaffinity(0)
    taken = run.join()

    def work():
        os.sched_setaffinity(0, {taken})  # as if the scheduler had put it there
        os.sched_setaffinity(0, allowed)
        return run.join(), os.sched_getaffinity(0)

    core, then = in_a_thread(work)
    assert core != taken
    assert then == allowed


@two
def test_a_thread_stays_where_no_other_core_is_free():
    run = Cores()
    only = run.join()

    def work():
        os.sched_setaffinity(0, {only})
        return run.join(), os.sched_getaffinity(0)

    assert in_a_thread(work) == (only, {only})


@two
def test_a_thread_that_may_not_move_works_where_it_is(monkeypatch):
    run = Cores()
    core = run.join()
    calls = []

    def refused(*given):
        calls.append(given)
        raise PermissionError("not here")

    monkeypatch.setattr(cores, "_core_now", lambda: core)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert run.join() == core
    assert len(calls) == 1


def test_without_a_way_to_ask_nothing_is_done(monkeypatch):
    monkeypatch.setattr(cores, "_core_now", None)
    assert Cores().join() == -1


def test_every_thread_of_a_run_joins(monkeypatch):
    joined, both = set(), threading.Barrier(2, timeout=30)

    class Recorded(Cores):
        def join(self):
            joined.add(threading.get_ident())
            return super().join()

    monkeypatch.setattr(workers, "Cores", Recorded)
    threads = set()

    def work(item):
        threads.add(threading.get_ident())
        if item < 2:
            both.wait()  # so that each thread has one

    with Workers(2) as two_workers:
        two_workers.run(iter(range(4)), work)
    assert joined == threads
    assert len(threads) == 2
