"""Forecasts: states by powers of the transitions, moments those of the mixture ahead."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import CategoricalHMM, MultinomialHMM, PoissonHMM
from fusem.families import categorical, poisson
from fusem.families.registry import FAMILIES
from tests.cases import CASES
from tests.chain_models import MEANS, MOVES, VARIANCES, every_path, model, rows


def test_states_and_moments_ahead():
    X = rows(5)
    proba, mean, covariance = model().forecast(X, steps=3)
    now = every_path(X).proba[-1]
    for step in range(3):
        now = now @ MOVES
        np.testing.assert_allclose(proba[step], now, rtol=1e-12)
        np.testing.assert_allclose(mean[step], now @ MEANS, rtol=1e-12)
        square = sum(p * (np.diag(v) + np.outer(m, m)) for p, m, v in zip(now, MEANS, VARIANCES))
        np.testing.assert_allclose(
            covariance[step], square - np.outer(mean[step], mean[step]), rtol=1e-12
        )
    one = model().forecast(X)
    assert [part.shape for part in one] == [(1, 3), (1, 2), (1, 2, 2)]


def test_every_sequence_has_its_own():
    X = rows(9)
    apart = [model().forecast(part, 2) for part in (X[:5], X[5:])]
    for together in (model().forecast(X, 2, lengths=[5, 4]), model().forecast([X[:5], X[5:]], 2)):
        assert together.covariance.shape == (2, 2, 2, 2)
        for i, alone in enumerate(apart):
            for part, whole in zip(alone, together):
                np.testing.assert_allclose(whole[i], part, rtol=1e-13)


def test_known_states_and_rows_as_they_come():
    X, states = rows(4), [-1, -1, -1, 1]
    ahead = model().forecast(X, 2, states=states)
    np.testing.assert_allclose(ahead.proba, [MOVES[1], MOVES[1] @ MOVES], rtol=1e-12)
    online = model().online()
    with pytest.raises(ValueError, match="call filter first"):
        online.forecast()
    online.filter(X)
    for part, whole in zip(online.forecast(2), model().forecast(X, 2)):
        np.testing.assert_allclose(part, whole, rtol=1e-12)


def test_drawn_futures_have_these_moments():
    """Futures drawn from the last state on, counts and offsets far from 0."""
    made = PoissonHMM(2, random_state=0)
    made.startprob_, made.transmat_ = np.array([0.5, 0.5]), np.array([[0.8, 0.2], [0.3, 0.7]])
    made.lambdas_ = np.array([[20.0, 1.0], [4.0, 9.0]])
    ahead = made.forecast(np.array([[20, 0], [21, 2]]), 2)  # surely state 0
    drawn = np.array([made.sample(3, seed, currstate=0)[0][1:] for seed in range(1500)])
    np.testing.assert_allclose(ahead.mean, drawn.mean(axis=0), atol=0.6)
    for step in range(2):
        np.testing.assert_allclose(ahead.covariance[step], np.cov(drawn[:, step].T), atol=7.0)
    assert ahead.covariance[1, 0, 1] < -20.0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.family)
def test_moments_of_gaussian_families(case):
    family, start = FAMILIES[case.family], case.start()
    params = family.from_covariances(start.means, start.covariances)
    means, covariances = family.moments(params)
    np.testing.assert_array_equal(means, start.means)
    whitening = family.whitening_matrices(params)
    identity = whitening @ covariances @ np.swapaxes(whitening, 1, 2)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(4), (3, 4, 4)), atol=1e-12)


def test_moments_of_counts_and_symbols():
    rates, chances = np.array([[2.0, 3.0]]), np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_array_equal(poisson.moments(poisson.Params(rates))[1], [np.diag([2.0, 3.0])])
    made = MultinomialHMM(1, n_trials=10)
    made.emissionprob_ = chances
    mean, covariance = made._moments(made._emission())
    np.testing.assert_allclose(mean, [[2.0, 5.0, 3.0]])
    np.testing.assert_allclose(covariance[0, 0], [1.6, -1.0, -0.6])
    symbols = CategoricalHMM(1)
    symbols.emissionprob_ = chances
    np.testing.assert_array_equal(symbols._moments(symbols._emission())[0], chances)
    two = categorical.Params(np.array([[[0.25, 0.75], [0.5, 0.5]]]))
    expected = [0.1875, -0.1875, 0.0, 0.0]
    np.testing.assert_array_equal(categorical.moments(two)[1][0, 0], expected)


def test_wrong_steps_are_refused():
    for steps in (0, 1.5):
        with pytest.raises(ValueError, match="steps must be a whole number of rows ≥ 1"):
            model().forecast(rows(3), steps)
