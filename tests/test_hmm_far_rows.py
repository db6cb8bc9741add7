"""Rows far from all states: best paths before and after them are what they would be without."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import GaussianHMM
from fusem.em.workers import Workers
from fusem.hmm import path
from fusem.hmm.observations import Observations
from fusem.hmm.path import Paths, best_paths
from tests.comparison import assert_bit_identical
from tests.hmms import chain, densities
from tests.reference_hmm import best_path
from tests.test_hmm_path_sequences import engine_of
from tests.test_hmm_paths import cut_short

LENGTHS = {"whole": [5000, 900], "side by side": [100] * 40}
FAR = 1e10


def far(name, n_states, lengths, at=(0, 37, 1234, 1235, 3100)):
    """A chain with rows so far away that their log-densities leave no digit of others."""
    given = chain(name, n_states, lengths, 2)
    X = given.X.copy()
    X[list(at)] *= FAR
    return given._replace(X=X)


def check(given, evidence, states):
    """The twin's, of log-densities less the largest of each row."""
    logs = densities(given)
    top = logs.max(axis=1, keepdims=True)
    ends = np.cumsum(given.lengths)[:-1]
    parts = np.split(logs - top, ends), np.split(top, ends), np.split(states, ends)
    for value, part, tops, own in zip(evidence, *parts, strict=True):
        largest, expected = best_path(given.model.start, given.model.transitions, part)
        np.testing.assert_array_equal(own, expected)
        np.testing.assert_allclose(value, largest + tops.sum(), rtol=1e-12)


def found(given, n_jobs=2):
    observations = Observations(given.X, given.lengths)
    workers = Workers(n_jobs)
    return best_paths(engine_of(given, given.X), given.model, observations, workers)


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("n_states", [3, 8, 12, 17])
def test_paths_with_far_rows(n_states, kind):
    given = far("gaussian_tied", n_states, LENGTHS[kind])
    outcome = found(given)
    check(given, *outcome)
    for value, again in zip(outcome, found(given, 1), strict=True):
        assert_bit_identical(value, again)


def test_a_lost_digit_is_seen():
    given = far("gaussian_tied", 3, LENGTHS["whole"])
    evidence, states = found(given)
    states[1300] = (states[1300] + 1) % 3
    with pytest.raises(AssertionError):
        check(given, evidence, states)


def test_stretches_with_far_rows(monkeypatch):
    cut_short(monkeypatch)
    given = far("gaussian_tied", 6, LENGTHS["whole"])
    observations, engine = Observations(given.X, given.lengths), engine_of(given, given.X)
    workers = Workers(2)
    paths = Paths(engine, given.model, observations, workers)
    assert engine.alarmed
    check(
        given,
        paths.evidence + path.tops_of_far_rows(engine, given.model, observations),
        paths.states,
    )


def test_near_rows_are_looked_at_once(monkeypatch):
    monkeypatch.setattr(path, "tops_of_far_rows", None)
    given = chain("gaussian_tied", 3, LENGTHS["whole"])
    found(given)
    with pytest.raises(TypeError):
        found(far("gaussian_tied", 3, LENGTHS["whole"]))


def test_impossible_rows_stay_so():
    given = far("gaussian_tied", 3, [3000, 900, 2000])
    X = given.X.copy()
    X[3100] = 1e300
    evidence, _ = found(given._replace(X=X))
    assert np.isfinite(evidence).tolist() == [True, False, True]


def test_margins_beside_a_far_row():
    rng = np.random.default_rng(0)
    model = GaussianHMM(2, covariance_type="diag")
    model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]
    model.means_, model.covars_ = [[0.0], [3.0]], [[1.0], [1.0]]
    X = rng.normal(size=(50, 1)) + 3.0 * (rng.random((50, 1)) < 0.5)
    before = model.path_margin(X[:25]), model.path_margin(X[26:])
    X[25] = 1e9
    margins = model.path_margin(X)
    np.testing.assert_allclose(margins[:20], before[0][:20], rtol=1e-4)
    np.testing.assert_allclose(margins[32:], before[1][6:], rtol=1e-4)
