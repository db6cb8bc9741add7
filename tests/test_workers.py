"""Threads: who reads the source, whose error is raised, what is left behind."""

import sqlite3
import threading
import time
import weakref

import numpy as np
import pytest

import fusem
from fusem.em.workers import Workers, effective_jobs


def test_a_source_is_read_by_the_thread_that_fits():
    """A database connection may be used by the thread that opened it alone."""
    rows = np.random.default_rng(0).normal(size=(5000, 2))
    database = sqlite3.connect(":memory:")
    database.execute("create table numbers (a real, b real)")
    database.executemany("insert into numbers values (?, ?)", rows.tolist())

    def chunks():
        cursor = database.execute("select a, b from numbers")
        while part := cursor.fetchmany(700):
            yield np.array(part)

    ours = fusem.GaussianMixture(2, n_jobs=2, random_state=0, tol=1.0).fit(chunks)
    expected = fusem.GaussianMixture(2, n_jobs=1, random_state=0, tol=1.0).fit(rows)
    np.testing.assert_array_equal(ours.means_, expected.means_)
    database.close()


def test_the_error_of_the_earliest_item_is_raised():
    late_failed = threading.Event()

    def work(item):
        if item == 1:
            late_failed.wait(10)  # item 2 fails first
            raise ValueError("item 1")
        if item == 2:
            late_failed.set()
            raise ValueError("item 2")

    workers = Workers(3)
    with pytest.raises(ValueError, match="item 1"):
        workers.run(iter(range(20)), work)


def test_an_error_of_the_source_is_raised_and_work_ends():
    done = []

    def items():
        yield 1
        raise OSError("disk")

    workers = Workers(2)
    with pytest.raises(OSError, match="disk"):
        workers.run(items(), done.append)
    assert done == [1]


def test_an_error_that_is_no_exception_is_not_lost():
    caller = threading.get_ident()
    began = threading.Event()

    def work(item):
        if threading.get_ident() != caller:
            began.set()
            raise SystemExit("helper")
        began.wait(10)

    workers = Workers(2)
    with pytest.raises(SystemExit, match="helper"):
        workers.run(iter(range(20)), work)


def test_work_may_use_the_same_threads():
    done = []
    workers = Workers(2)
    workers.run(iter(range(4)), lambda _: workers.run(iter(range(3)), done.append))
    assert sorted(done) == sorted([0, 1, 2] * 4)


def test_what_work_refers_to_is_given_back():
    class Anything:
        pass

    held = Anything()
    gone = weakref.ref(held)
    workers = Workers(3)
    workers.run(iter(range(20)), lambda _item, _held=held: None)
    del held
    end = time.monotonic() + 10
    while gone() is not None and time.monotonic() < end:
        time.sleep(0.001)
    assert gone() is None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_source_is_closed_when_work_fails(n_jobs):
    closed = []

    def items():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    def work(item):
        raise ValueError(item)

    workers = Workers(n_jobs)
    with pytest.raises(ValueError, match="0"):
        workers.run(items(), work)
    assert closed == [True]


def test_every_item_is_worked_on_once():
    for n_jobs in (1, 2, 4):
        done = []
        workers = Workers(n_jobs)
        workers.run(iter(range(100)), done.append)
        assert sorted(done) == list(range(100))


def test_number_of_threads():
    assert effective_jobs(None) == 1
    assert effective_jobs(3) == 3
    assert effective_jobs(-1) >= 1
    assert effective_jobs(-10_000) == 1
    with pytest.raises(ValueError, match="n_jobs == 0"):
        effective_jobs(0)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Workers(0)
