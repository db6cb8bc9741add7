"""States that are known at some rows: posterior, score, path and fit are given them."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import GaussianHMM
from tests.chain_models import MOVES, START, every_path, logs, model, rows
from tests.chain_paths import constrained, step_by_step
from tests.models import fit_quietly

STATES = np.array([-1, 2, -1, -1, 0, -1])
UPPER = np.array([[0.7, 0.2, 0.1], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
LONG = 9000  # rows of a sequence that takes several blocks


def test_everything_is_given_what_is_known():
    X, made = rows(6), model()
    twin = every_path(X, states=STATES)
    assert made.score(X, states=STATES) == pytest.approx(twin.log_likelihood, rel=1e-12)
    proba = made.predict_proba(X, states=STATES)
    np.testing.assert_allclose(proba, twin.proba, atol=1e-12)
    assert (proba[[1, 4], [2, 0]] == 1.0).all()
    log_likelihood, same = made.score_samples(X, states=STATES)
    assert log_likelihood == pytest.approx(twin.log_likelihood, rel=1e-12)
    np.testing.assert_array_equal(same, proba)
    log_prob, path = made.decode(X, states=STATES)
    assert log_prob == pytest.approx(twin.logs.max(), rel=1e-12)
    np.testing.assert_array_equal(path, twin.best)
    np.testing.assert_array_equal(made.predict(X, states=STATES), twin.best)
    assert (path != made.predict(X)).any()
    best = made.decode(X, algorithm="map", states=STATES)[1]
    np.testing.assert_array_equal(best, twin.proba.argmax(axis=1))


def test_sequences_have_their_own():
    X, lengths = rows(11), [5, 6]
    states = np.concatenate([np.full(5, -1), STATES])
    parts = [X[:5], X[5:]]
    expected = np.concatenate(
        [model().predict_proba(X[:5]), every_path(X[5:], states=STATES).proba]
    )
    for given in (states, [states[:5], states[5:]]):
        got = model().predict_proba(parts, states=given)
        np.testing.assert_allclose(got, expected, atol=1e-12)
    got = model().predict_proba(X, lengths, states=states.astype(float))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_state_however_improbable_is_held():
    """Rows a hundred standard deviations from the state they are said to have: logarithms take over."""
    X, states = rows(5), np.array([-1, 0, -1, 1, -1])
    X[1], X[3] = 90.0, -80.0
    twin = every_path(X, states=states)
    made = model()
    assert made.score(X, states=states) == pytest.approx(twin.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(made.predict_proba(X, states=states), twin.proba, atol=1e-12)
    np.testing.assert_array_equal(made.predict(X, states=states), twin.best)


def test_one_step_of_em_is_that_of_the_possible_paths():
    X, states = rows(6), STATES
    twin = every_path(X, states=states)
    made = model(init_params="", covars_prior=None, n_iter=1, tol=0.0)
    fitted = fit_quietly(made, X, states=states)
    np.testing.assert_allclose(fitted.startprob_, twin.proba[0], atol=1e-12)
    expected = twin.moves / twin.moves.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.transmat_, expected, rtol=1e-12)
    means = twin.proba.T @ X / twin.proba.sum(axis=0)[:, None]
    np.testing.assert_allclose(fitted.means_, means, rtol=1e-12)
    assert fitted.monitor_.history[0] == pytest.approx(twin.log_likelihood, rel=1e-12)


def test_long_sequences_are_the_same_in_blocks():
    X, states = rows(LONG), np.full(LONG, -1)
    states[::7] = np.random.default_rng(1).integers(3, size=len(states[::7]))
    evidence, proba, path = step_by_step(START, MOVES, constrained(logs(X), states))
    made = model()
    assert made.score(X, states=states) == pytest.approx(evidence, rel=1e-12)
    np.testing.assert_allclose(made.predict_proba(X, states=states), proba, atol=1e-11)
    np.testing.assert_array_equal(made.predict(X, states=states), path)


def test_a_start_takes_the_numbers_of_known_states():
    """Few labels, in an order of their own: states get these numbers, and the others what is left."""
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=100).repeat(5)
    centres = rng.permutation(4)[:, None] * np.array([4.0, -3.0])
    X = centres[truth] + rng.normal(size=(500, 2))
    states = np.where(rng.random(500) < 0.05, truth, -1)
    fitted = fit_quietly(GaussianHMM(4, random_state=0, n_iter=30), X, states=states)
    assert (fitted.predict(X) == truth).mean() > 0.97
    states[states > 1] = -1
    fitted = fit_quietly(GaussianHMM(4, random_state=0, n_iter=30), X, states=states)
    for k in (0, 1):
        assert (fitted.predict(X)[truth == k] == k).mean() > 0.95
    assert (np.diff(fitted.history_["log_likelihood"]) > -1e-9).all()


def test_nothing_known_is_as_without():
    X = rows(50)
    plain = fit_quietly(GaussianHMM(3, random_state=0, n_iter=3), X)
    same = fit_quietly(GaussianHMM(3, random_state=0, n_iter=3), X, states=np.full(50, -1))
    np.testing.assert_array_equal(plain.means_, same.means_)
    np.testing.assert_array_equal(plain.transmat_, same.transmat_)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([0, 1], r"one state per row, shape \(6,\), not \(2,\)"),
        ([0, 1, 3, 0, 0, 0], r"states\[2\] is 3: there are states 0 … 2"),
        ([0, -2, 0, 0, 0, 0], r"states\[1\] is -2"),
        ([0, 0.5, 0, 0, 0, 0], "must be whole numbers"),
        ([0, np.nan, 0, 0, 0, 0], "must be whole numbers"),
        (["a"] * 6, "must be whole numbers"),
    ],
)
def test_wrong_states_are_refused(states, message):
    for method in (model(init_params="").fit, model().predict_proba):
        with pytest.raises(ValueError, match=message):
            method(rows(6), states=states)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([-1, 1, 0, -1, -1, -1], r"states\[2\] = 0 cannot follow states\[1\] = 1: .*transmat_mask"),
        (
            [2, -1, -1, 1, -1, -1],
            r"states\[3\] = 1 cannot follow states\[0\] = 2: .* no way of 3 step",
        ),
        ([1, -1, -1, -1, -1, -1], r"states\[0\] = 1 cannot be 0 step.* after the start"),
    ],
)
def test_states_that_the_mask_forbids_are_named(states, message):
    made = model([0.8, 0.0, 0.2], UPPER, transmat_mask="upper", init_params="")
    for method in (made.fit, made.predict, made.score):
        with pytest.raises(ValueError, match=message):
            method(rows(6), states=states)
    assert np.isfinite(made.score(rows(12), lengths=[6, 6], states=[-1, -1, 2, -1, -1, -1] * 2))
