"""The most probable paths of sequences gone through whole: those of the twin, whatever their lengths."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.em.workers import Workers
from fusem.hmm import path, path_sequences, path_whole
from fusem.hmm.engine import ChainEngine
from fusem.hmm.observations import Observations
from fusem.hmm.path import Paths, best_paths
from fusem.hmm.path_whole import FEW, each_whole, whole_paths
from fusem.kernels.viterbi_whole import ALIKE
from tests.comparison import assert_bit_identical
from tests.hmms import chain
from tests.test_hmm_path_sequences import check, check_layouts
from tests.test_hmm_paths import cut_short

# Of a sequence one row stands alone, and lanes leave some over: none, one and seven.
EDGES = [1, 2, ALIKE, ALIKE + 1, ALIKE + 2, ALIKE + 8]
LENGTHS = {"long": [5000], "edges": EDGES, "some": [700, 3, 2000, 41, 900]}
KINDS = [
    ("gaussian_diag", 1, 1), ("gaussian_diag", 4, 3), ("gaussian_full", 3, 9), ("gaussian_tied", 6, 2),
    ("gaussian_spherical", 5, 4), ("poisson", 8, 1),
]  # fmt: skip


def engine_of(given, X, missing=False):
    return ChainEngine(given.family, len(given.model.start), X.shape[1], X.dtype, missing)


def found(given, n_jobs=2, X=None):
    """Log-densities and states; the sequences must be such as are taken whole."""
    observations = Observations(given.X if X is None else X, given.lengths)
    engine = engine_of(given, observations.part(0, 1))
    assert each_whole(engine, observations)
    workers = Workers(n_jobs)
    return whole_paths(engine, given.model, observations, workers)


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize(("name", "n_states", "d"), KINDS)
def test_whole_sequences(name, n_states, d, kind):
    given = chain(name, n_states, LENGTHS[kind], d)
    check(given, *found(given))


@pytest.mark.parametrize("kind", LENGTHS)
def test_segments_and_threads_change_nothing(kind, monkeypatch):
    given = chain("gaussian_diag", 4, LENGTHS[kind], 3)
    once = found(given)
    for segment in (1, 800):
        monkeypatch.setattr(path_sequences, "LONGEST_SEGMENT", segment)
        for n_jobs in (1, 2, 3):
            for value, expected in zip(found(given, n_jobs), once, strict=True):
                assert_bit_identical(value, expected)


@pytest.mark.parametrize("d", [1, 3])
def test_rows_are_read_where_they_are(d):
    check_layouts(found, chain("gaussian_diag", 3, LENGTHS["some"], d))


def with_chain(given, start, moves):
    return given._replace(
        model=given.model._replace(start=np.array(start), transitions=np.array(moves))
    )


def test_what_cannot_be_is_minus_infinity():
    given = chain("gaussian_diag", 3, LENGTHS["some"])
    given = with_chain(given, [1.0, 0.0, 0.0], [[0.0, 1.0, 0], [0, 0, 1], [0.5, 0, 0.5]])
    evidence, states = found(given)
    check(given, evidence, states)
    first = np.cumsum(given.lengths) - given.lengths
    assert (states[first] == 0).all()
    for at in (first[2], first[2] + 1999, first[3]):  # in lanes, at their end, and alike in all
        far = np.where(np.arange(len(given.X)) == at, 1e300, given.X.T).T
        evidence, _ = found(given, X=far)
        assert np.flatnonzero(evidence == -np.inf).tolist() == [2 if at < first[3] else 3]


def circling(n_states):
    """States follow each other but for once in a million; only the second sequence's rows say anything."""
    circle = 0.999999 * np.roll(np.eye(n_states), 1, axis=1) + 1e-6 / n_states
    start = np.arange(n_states, 0.0, -1.0) / np.arange(n_states + 1).sum()
    given = with_chain(chain("gaussian_diag", n_states, [3000, 900, 5000, 2000]), start, circle)
    X = np.where(np.repeat([True, False, True, True], given.lengths)[:, None], 0.0, given.X)
    return given._replace(X=X)


@pytest.mark.parametrize("n_states", [3, 8])
def test_sequences_whose_paths_do_not_meet(n_states):
    given = circling(n_states)
    check(given, *found(given))


def test_dear_densities_are_not_worked_out_eight_times(monkeypatch):
    monkeypatch.setattr(path_whole, "CHEAP", 0.0)
    given = circling(3)
    engine, observations = engine_of(given, given.X), Observations(given.X, given.lengths)
    assert not each_whole(engine, observations)
    monkeypatch.setattr(path_whole, "LONG", 900)
    assert found(given) is None
    workers = Workers(2)
    check(given, *best_paths(engine, given.model, observations, workers))


def test_chains_that_do_not_come_back_go_step_by_step(monkeypatch):
    given = chain("gaussian_diag", 3, [5000, 400])
    given = with_chain(
        given, [1.0, 0.0, 0.0], [[0.999, 0.001, 0.0], [0.0, 0.999, 0.001], [0.0, 0.0, 1.0]]
    )
    monkeypatch.setattr(path, "whole_paths", None)
    observations = Observations(given.X, given.lengths)
    workers = Workers(2)
    found = best_paths(engine_of(given, given.X), given.model, observations, workers)
    check(given, *found)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "n_states", "d", "dtype"),
    [("gaussian_diag", 3, 1, "f8"), ("gaussian_spherical", 3, 3, "f8"), ("gaussian_full", 3, 2, "f8"),
     ("gaussian_tied", 3, 2, "f8"), ("gaussian_diag", 17, 3, "f8"), ("gaussian_diag", 3, 6, "f4"),
     ("gaussian_full", 3, 6, "f4"),
     pytest.param("gaussian_tied", 3, 6, "f4", marks=pytest.mark.thorough),
     pytest.param("gaussian_full", 9, 2, "f4", marks=pytest.mark.thorough)],
)  # fmt: skip
def test_no_path_has_a_density_with_what_is_no_number(name, n_states, d, dtype, bad, monkeypatch):
    """In every kernel: `GaussianHMM` looks for missing values only where this is so."""
    cut_short(monkeypatch)
    for lengths in ([3000, 700], [30] * 40):
        given = chain(name, n_states, lengths, d)
        for row in (0, 1, 40, len(given.X) - 1):
            X = given.X.astype(dtype)
            X[row, d // 2] = bad
            engine, observations = engine_of(given, X), Observations(X, given.lengths)
            workers = Workers(1)
            with np.errstate(invalid="ignore"):
                ways = [best_paths(engine, given.model, observations, workers)[0]]
                ways.append(Paths(engine, given.model, observations, workers).evidence)
            sequence = np.searchsorted(np.cumsum(lengths), row, side="right")
            for evidence in ways:
                assert np.flatnonzero(~np.isfinite(evidence)).tolist() == [sequence]


def test_which_sequences_are_taken_whole(monkeypatch):
    given = chain("gaussian_full", 3, [5000, 400])

    def taken(lengths=given.lengths, n_states=3, states=None, missing=False):
        observations = Observations(np.zeros((np.sum(lengths), 2)), lengths)
        observations.states = states
        more = given._replace(model=given.model._replace(start=np.full(n_states, 1 / n_states)))
        return each_whole(engine_of(more, given.X, missing), observations)

    assert taken()
    assert not taken(states=np.full(5400, -1))
    assert not taken(missing=True)
    assert not taken(n_states=9)
    assert taken(lengths=[1] * FEW)
    assert not taken(lengths=[1] * (FEW + 1))
    assert taken(lengths=[ALIKE] * (FEW + 1))
    assert taken(lengths=[1_000_000])
    monkeypatch.setattr(path_whole, "LONGEST", 1e-2)
    assert not taken(lengths=[1_000_000])


@pytest.mark.parametrize("n_states", [3, 8])
def test_it_is_what_estimators_use(n_states, monkeypatch):
    """As long as they are worth one thread; every sequence is the same alone."""
    given = chain("gaussian_diag", n_states, [3000, 600, 9])
    calls = []
    monkeypatch.setattr(path, "whole_paths", lambda *all: calls.append(all) or whole_paths(*all))
    observations = Observations(given.X, given.lengths)
    workers = Workers(1)
    evidence, states = best_paths(engine_of(given, given.X), given.model, observations, workers)
    assert calls
    for value, rows, own in zip(
        evidence, np.split(given.X, [3000, 3600]), np.split(states, [3000, 3600]), strict=True
    ):
        alone = best_paths(engine_of(given, rows), given.model, Observations(rows), workers)
        assert_bit_identical(alone[0], np.array([value]))
        assert_bit_identical(alone[1], own)
