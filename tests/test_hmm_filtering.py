"""Filtering equals brute force over the paths up to each row; row by row it is the same as whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.chain_models import MOVES, START, every_path, logs, model, rows
from tests.chain_paths import step_by_step

LENGTHS = [5, 1, 6]
STATES = np.array([-1, 2, -1, -1, 0, -1])


def filtered(X, states=None):
    """p(state | rows up to here) of one sequence, path by path."""
    return np.array(
        [
            every_path(X[: t + 1], states=None if states is None else states[: t + 1]).proba[-1]
            for t in range(len(X))
        ]
    )


def test_probabilities_are_those_of_the_paths_so_far():
    X, made = rows(12), model()
    expected = np.concatenate([filtered(X[:5]), filtered(X[5:6]), filtered(X[6:])])
    proba = made.filter_proba(X, LENGTHS)
    np.testing.assert_allclose(proba, expected, atol=1e-13)
    ends = np.cumsum(LENGTHS) - 1
    np.testing.assert_allclose(proba[ends], made.predict_proba(X, LENGTHS)[ends], atol=1e-12)
    np.testing.assert_allclose(
        made.filter_proba(X[:6], states=STATES), filtered(X[:6], STATES), atol=1e-13
    )


def test_missing_values_are_left_out():
    X = rows(5)
    X[1], X[3, 0] = np.nan, np.nan
    np.testing.assert_allclose(model().filter_proba(X), filtered(X), atol=1e-13)
    online = model().online()
    np.testing.assert_allclose([online.filter(x) for x in X], filtered(X), atol=1e-13)


def test_long_sequences(monkeypatch):
    """Several calls for one sequence, and densities that only logarithms can tell apart."""
    monkeypatch.setattr("fusem.hmm.sequence_filter.CALL_ROWS", 50)
    X = rows(333)
    X[40], X[41] = 95.0, -90.0
    upper = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]])
    for moves in (MOVES, upper):
        proba = model(moves=moves).filter_proba(X)
        for t in (39, 40, 41, 42, 200, 332):
            expected = step_by_step(START, moves, logs(X[: t + 1]))[1][-1]
            np.testing.assert_allclose(proba[t], expected, atol=1e-10)


@pytest.mark.parametrize("lag", [0, 2])
def test_row_by_row(lag):
    X, made = rows(7), model()
    online, expected = made.online(lag=lag), made.filter_proba(X)
    np.testing.assert_array_equal(online.proba, START)
    assert online.smoothed().shape == (0, 3)
    for t, x in enumerate(X):
        np.testing.assert_allclose(online.filter(x), expected[t], atol=1e-14)
        assert online.n_rows == t + 1
        assert online.log_likelihood == pytest.approx(made.score(X[: t + 1]), rel=1e-12)
        smoothed = made.predict_proba(X[: t + 1])[-lag - 1 :]
        np.testing.assert_allclose(online.smoothed(), smoothed, atol=1e-12)
        np.testing.assert_allclose(online.proba, online.smoothed()[-1], atol=1e-12)


def test_several_rows_at_a_time_and_another_sequence():
    X, made = rows(7), model()
    online = made.online(lag=3)
    parts = [online.filter(part) for part in (X[:4], X[4:4], X[4:5], X[5:])]
    np.testing.assert_allclose(np.concatenate(parts), made.filter_proba(X), atol=1e-14)
    np.testing.assert_allclose(online.smoothed(), made.predict_proba(X)[-4:], atol=1e-12)
    assert online.reset() is online
    assert (online.n_rows, online.log_likelihood) == (0, 0.0)
    np.testing.assert_allclose(online.filter(X[2]), filtered(X[2:3])[0], atol=1e-14)


def test_parameters_are_those_of_the_moment_it_was_made():
    made, x = model(), rows(1)[0]
    online = made.online()
    made.means_, made.startprob_ = made.means_ + 5.0, np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(online.filter(x), filtered(x[None])[0], atol=1e-14)


def test_what_is_impossible_has_no_probabilities():
    X, made = rows(4), model([1.0, 0.0, 0.0], np.eye(3))
    states = np.array([-1, -1, 0, -1])
    np.testing.assert_array_equal(made.filter_proba(X, states=states), [[1.0, 0.0, 0.0]] * 4)
    far = X.copy()
    far[2] = 1e200  # densities underflow to −∞
    proba = made.filter_proba(far)
    np.testing.assert_array_equal(proba, [[1.0, 0.0, 0.0]] * 2 + [[0.0] * 3] * 2)
    online = made.online()
    np.testing.assert_array_equal(online.filter(far), proba)
    assert online.log_likelihood == -np.inf
    assert made.score(far) == -np.inf


def test_wrong_rows_are_refused():
    online = model().online()
    with pytest.raises(
        ValueError, match=r"row of 2 values, shape \(2,\), or rows \(n, 2\), not \(3,\)"
    ):
        online.filter([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="infinity"):
        online.filter([1.0, np.inf])
    with pytest.raises(ValueError, match="lag must be"):
        model().online(lag=-1)
    assert online.n_rows == 0
