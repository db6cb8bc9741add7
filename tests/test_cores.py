"""Threads of one run begin each on a core of its own, and stay free to go elsewhere."""

import _thread
import os
import threading
import time

import pytest

from fusem.em import cores, crew
from fusem.em.cores import Cores, available_cores
from fusem.em.workers import Workers


def can_move():
    """Whether threads may be moved, and there is where to."""
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except (AttributeError, PermissionError):
        return False
    return cores._library is not None and available_cores() > 1


two = pytest.mark.skipif(
    not can_move(),
    reason="threads are moved on Linux, where that is allowed and there are two cores",
)


def begun():
    """The cores of a run, its caller's counted, and the caller's."""
    run = Cores()
    run.begin()
    (core,) = run._taken
    return run, core


def in_a_thread(work, meanwhile=lambda thread: None):
    """What a function returns that runs in a thread of its own, after `meanwhile` was told of the thread."""
    found, go, done = [], threading.Lock(), threading.Lock()

    def body():
        try:
            with go:
                found.append(work())
        finally:
            done.release()

    done.acquire()
    with go:
        meanwhile(_thread.start_new_thread(body, ()))
    assert done.acquire(timeout=30)
    return found[0]


@two
def test_a_thread_that_waits_is_sent_away():
    run, taken = begun()
    allowed = os.sched_getaffinity(0)
    assert in_a_thread(lambda: os.sched_getaffinity(0)) == allowed
    assert in_a_thread(lambda: os.sched_getaffinity(0), run.send_away) == allowed - {taken}


@two
def test_it_joins_elsewhere_and_is_not_kept_there():
    run, taken = begun()
    allowed = os.sched_getaffinity(0)
    core, then = in_a_thread(lambda: (run.join(), os.sched_getaffinity(0)), run.send_away)
    assert core != taken
    assert then == allowed
    assert run._taken == {taken, core}


@two
def test_a_thread_on_a_taken_core_moves():
    """As if the scheduler had put it there."""
    run, taken = begun()
    allowed = os.sched_getaffinity(0)

    def work():
        os.sched_setaffinity(0, {taken})
        os.sched_setaffinity(0, allowed)
        return run.join(), os.sched_getaffinity(0)

    core, then = in_a_thread(work)
    assert core != taken
    assert then == allowed


@two
def test_a_thread_stays_where_no_other_core_is_free():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        run, only = begun()
        core, then = in_a_thread(lambda: (run.join(), os.sched_getaffinity(0)), run.send_away)
    finally:
        os.sched_setaffinity(0, allowed)
    assert core == only == min(allowed)
    assert then == {only}


@two
def test_a_thread_that_may_not_move_works_where_it_is(monkeypatch):
    run, core = begun()
    calls = []

    def refused(*given):
        calls.append(given)
        raise PermissionError("not here")

    class Library:
        @staticmethod
        def sched_getcpu():
            return core

    monkeypatch.setattr(cores, "_library", Library)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert run.join() == core
    assert len(calls) == 1


def test_where_nothing_can_be_asked_nothing_is_done(monkeypatch):
    monkeypatch.setattr(cores, "_library", None)
    run = Cores()
    run.begin()
    run.send_away(threading.get_ident())
    assert run.join() == -1
    assert run._taken == set()


@two
def test_threads_of_workers_are_free_while_they_work(monkeypatch):
    allowed, seen, both = os.sched_getaffinity(0), {}, threading.Barrier(2, timeout=30)
    monkeypatch.setattr(crew, "_crew", crew.Crew())  # with helpers of others any may come

    def work(item):
        if item < 2:
            both.wait()  # so that each thread has one
        seen.setdefault(threading.get_ident(), []).append(os.sched_getaffinity(0))

    workers = Workers(2)
    for _ in range(3):
        workers.run(iter(range(4)), work)
    assert len(seen) == 2
    assert all(each == allowed for masks in seen.values() for each in masks)


@two
def test_runs_within_a_run_leave_threads_as_they_are(monkeypatch):
    monkeypatch.setattr(crew, "_crew", crew.Crew())
    allowed, seen, both = os.sched_getaffinity(0), [], threading.Barrier(2, timeout=30)

    def work(item):
        if item < 2:
            both.wait()  # so that each thread has one
        workers.run(iter(range(3)), lambda _: seen.append(os.sched_getaffinity(0)))
        seen.append(os.sched_getaffinity(0))

    workers = Workers(2)
    workers.run(iter(range(4)), work)
    assert not crew.crew()._called
    assert len(seen) == 16
    assert all(each == allowed for each in seen)


@two
def test_a_run_sends_its_threads_away(monkeypatch):
    sent, joined, both = [], [], threading.Barrier(2, timeout=30)

    class Recorded(Cores):
        def send_away(self, thread):
            sent.append(thread)
            super().send_away(thread)

        def join(self):
            joined.append(threading.get_ident())
            return super().join()

    monkeypatch.setattr("fusem.em.workers.Cores", Recorded)
    monkeypatch.setattr(crew, "_crew", crew.Crew())

    def work(item):
        if item < 2:
            both.wait()

    workers = Workers(2)
    workers.run(iter(range(4)), work)
    assert [helper.thread for helper in crew.crew().helpers] == sent
    assert joined == sent
    assert threading.get_ident() not in joined


@two
def test_runs_of_several_threads_leave_helpers_free(monkeypatch):
    """What one of them has sent away may take the other's turn."""
    monkeypatch.setattr(crew, "_crew", crew.Crew())
    allowed, seen = os.sched_getaffinity(0), []

    def work(item):
        seen.append(os.sched_getaffinity(0))
        time.sleep(1e-3)  # as if it took that long

    def runs(pause):  # so that each is alone now and then
        for _ in range(50):
            Workers(2).run(iter(range(6)), work)
            time.sleep(pause)

    threads = [threading.Thread(target=runs, args=(pause,)) for pause in (1e-3, 2.5e-3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 600
    assert all(each == allowed for each in seen)
