"""Threads that help: kept for the next run, gone when nobody needs them, and before a fork."""

import _thread
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fusem.em import crew as crews
from fusem.em.cores import Cores
from fusem.em.crew import Crew
from fusem.em.workers import Line, Turn, Workers


@pytest.fixture
def crew(monkeypatch):
    """The process's helpers: none yet."""
    crew = Crew()
    monkeypatch.setattr(crews, "_crew", crew)
    yield crew
    crew.dismiss()


def together(n):
    """A run of n threads, each of which has begun; their identifiers."""
    all_here, seen = threading.Barrier(n, timeout=30), set()

    def work(item):
        all_here.wait()
        seen.add(threading.get_ident())

    Workers(n).run(iter(range(n)), work)
    return seen


def wait_for(condition):
    """Whether it is true within some seconds."""
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def gone(some):
    """Whether none of some helpers runs any more."""
    return wait_for(lambda: not {helper.thread for helper in some} & set(sys._current_frames()))


def test_a_helper_is_kept_for_the_next_run(crew):
    first = together(2)
    (helper,) = crew.helpers
    assert together(2) == first
    assert crew.helpers == [helper]


def test_runs_with_more_threads_add_helpers(crew):
    assert len(together(2)) == 2
    assert len(together(4)) == 4
    assert len(crew.helpers) == 3
    assert len(together(2)) == 2


def test_runs_at_the_same_time_have_helpers_of_their_own(crew):
    """Were there one for both, one of the two would wait for ever."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(together, 2) for _ in range(2)]
        assert all(len(run.result(timeout=60)) == 2 for run in runs)
    assert not crew._called


def test_a_helper_without_work_ends(crew, monkeypatch):
    monkeypatch.setattr(crews, "IDLE", 0.01)
    together(3)
    before = list(crew.helpers)
    assert wait_for(lambda: not crew.helpers)
    assert gone(before)
    assert len(together(3)) == 3  # others come


def test_a_turn_that_comes_just_before_the_end_is_taken(crew, monkeypatch):
    """Time is up again and again while turns are put."""
    monkeypatch.setattr(crews, "IDLE", 0.0)
    for _ in range(200):
        assert len(together(2)) == 2


def test_helpers_are_dismissed_where_none_is_at_work(crew):
    together(3)
    before = list(crew.helpers)
    crew.dismiss()
    assert not crew.helpers
    assert gone(before)
    assert len(together(3)) == 3


def test_helpers_at_work_are_not_dismissed(crew):
    both, at_work, go = threading.Barrier(2, timeout=30), threading.Event(), threading.Event()

    def work(item):
        both.wait()
        at_work.set()
        assert go.wait(30)

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(lambda: Workers(2).run(iter(range(2)), work))
        assert at_work.wait(30)
        crew.dismiss()
        assert len(crew.helpers) == 1
        go.set()
        run.result(timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads of others
def test_before_a_fork_helpers_end_and_the_child_has_its_own(crew):
    together(3)
    before = list(crew.helpers)
    child = os.fork()
    if child == 0:
        os._exit(3 if crews.crew() is not crew and len(together(3)) == 3 else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert not crew.helpers
    assert gone(before)


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("places", [[(Cores, "begin")], [(Turn, "end")], [(Line, "serve")],
                                    [(Line, "feed"), (Line, "clear")]])  # fmt: skip
def test_an_interrupted_run_is_not_under_way(crew, monkeypatch, places):
    """By one Ctrl-C, or by two."""
    for cls, method in places:
        monkeypatch.setattr(cls, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        Workers(2).run(iter(range(4)), lambda item: None)
    assert not crew._called


def test_a_run_whose_source_cannot_be_closed_is_not_under_way(crew):
    def items():
        try:
            yield from range(10)
        finally:
            raise OSError("disk")

    def work(item):
        raise ValueError(item)

    with pytest.raises(OSError, match="disk"):
        Workers(2).run(items(), work)
    assert not crew._called


def test_a_run_that_is_lost_is_forgotten(crew, monkeypatch):
    """As after Ctrl-C just before its end."""
    monkeypatch.setattr(crew, "release", lambda cores: None)
    together(2)
    assert not crew._called


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_handles_a_signal_may_fork(crew, monkeypatch):
    begin, children = Cores.begin, []

    def forked(self):  # as if a signal came here, where the lock is held
        begin(self)
        child = os.fork()
        if child == 0:
            os._exit(3)
        children.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    monkeypatch.setattr(Cores, "begin", forked)
    assert len(together(2)) == 2
    assert children == [3]


def test_no_more_helpers_are_called_than_there_are_items(crew):
    done = []
    Workers(50).run(iter(range(3)), done.append)
    assert sorted(done) == [0, 1, 2]
    assert len(crew.helpers) == 2


def test_where_no_thread_can_be_started_the_caller_does_all(crew, monkeypatch):
    def refused(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refused)
    done = []
    Workers(3).run(iter(range(20)), done.append)
    assert done == list(range(20))
    assert not crew.helpers
    assert crew._turns.empty()  # nobody would take them
