"""States that are mixtures of Gaussians: hmmlearn's steps where it takes the mode, else a slow twin's."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from fusem import GMMHMM, GaussianHMM
from fusem.exceptions import DegenerateComponentWarning
from tests.chain_paths import step_by_step
from tests.comparison import assert_bit_identical
from tests.models import fit_quietly
from tests.reference import Parameters
from tests.reference_hmm import best_path
from tests.reference_missing import expectation

PEER = json.loads(
    (Path(__file__).parent / "data" / "hmmlearn_gmm.json").read_text(encoding="utf-8")
)
K, M, D = 2, 3, 2
START, MOVES = np.array([0.4, 0.6]), np.array([[0.7, 0.3], [0.2, 0.8]])
TYPES = ("diag", "full", "tied", "spherical")
SHAPES = {"diag": (K, M, D), "spherical": (K, M), "full": (K, M, D, D), "tied": (K, D, D)}


def covariances(covariance_type, seed=3):
    rng = np.random.default_rng(seed)
    if covariance_type in ("diag", "spherical"):
        return rng.uniform(0.5, 2.0, SHAPES[covariance_type])
    noise = rng.normal(size=(*SHAPES[covariance_type][:-1], 2 * D))
    return 0.5 * np.eye(D) + noise @ np.swapaxes(noise, -1, -2) / (2 * D)


def model(covariance_type="diag", seed=3, **options):
    rng = np.random.default_rng(seed)
    made = GMMHMM(K, M, covariance_type=covariance_type, random_state=0, **options)
    made.startprob_, made.transmat_ = START, MOVES
    made.weights_, made.means_ = rng.dirichlet(np.full(M, 3.0), size=K), rng.normal(size=(K, M, D))
    made.covars_ = covariances(covariance_type)
    return made


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, D)) * 2.0


def matrices(made):
    """Covariance matrices (K, M, d, d), whatever the type."""
    given = made.covars_
    if made.covariance_type == "diag":
        return given[..., None] * np.eye(D)
    if made.covariance_type == "spherical":
        return given[..., None, None] * np.eye(D)
    return np.broadcast_to(given[:, None], (K, M, D, D)) if given.ndim == 3 else given


def part_logs(made, X):
    """Logarithms of weight · density (n, K, M); of missing values the marginal."""
    every, logs = matrices(made), np.zeros((len(X), K, M))
    for t, x in enumerate(X):
        seen = np.flatnonzero(~np.isnan(x))
        for k, m in np.ndindex(K, M) if seen.size else ():
            normal = multivariate_normal(made.means_[k, m, seen], every[k, m][np.ix_(seen, seen)])
            logs[t, k, m] = normal.logpdf(x[seen])
    return logs + np.log(made.weights_)


def expected_rows(made, X):
    """Rows as each Gaussian expects them (n, K, M, d), and the covariances of what they miss."""
    rows, spread = np.empty((len(X), K, M, D)), np.empty((len(X), K, M, D, D))
    for k, m in np.ndindex(K, M):
        one = Parameters(np.ones(1), made.means_[[k], m], matrices(made)[[k], m])
        part = expectation(X, one, "full")
        rows[:, k, m], spread[:, k, m] = part.rows[:, 0], part.covariances[:, 0]
    return rows, spread


def maximum(made, X):
    """Log-likelihood, weights, means, covariances of one exact step of EM."""
    logs = part_logs(made, X)
    evidence, gamma, _ = step_by_step(made.startprob_, made.transmat_, logsumexp(logs, axis=2))
    shares = gamma[..., None] * np.exp(logs - logsumexp(logs, axis=2, keepdims=True))
    shares = shares[~np.isnan(X).all(axis=1)]
    filled, spread = expected_rows(made, X[~np.isnan(X).all(axis=1)])
    counts = shares.sum(axis=0)
    means = np.einsum("tkm,tkmi->kmi", shares, filled) / counts[..., None]
    off = filled - means
    second = off[..., :, None] * off[..., None, :] + spread
    scatter = np.einsum("tkm,tkmij->kmij", shares, second)
    each = scatter / counts[..., None, None]
    covariance = {
        "full": each,
        "tied": scatter.sum(axis=1) / counts.sum(axis=1)[:, None, None],
        "diag": np.einsum("kmii->kmi", each),
        "spherical": np.einsum("kmii->km", each) / D,
    }[made.covariance_type]
    return evidence, counts / counts.sum(axis=1, keepdims=True), means, covariance


@pytest.mark.parametrize(
    "case", PEER["cases"], ids=lambda c: f"{c['covariance_type']}-{c['params']}"
)
def test_steps_are_those_of_hmmlearn(case):
    kind, priors = case["covariance_type"], case["priors"]
    made = model(kind, params=case["params"], init_params="", n_iter=3, tol=0.0, **priors)
    for name, value in PEER["start"].items():
        setattr(made, f"{name}_", np.array(value))
    made.covars_ = np.array(PEER["covars"][kind])
    fit_quietly(made, np.array(PEER["X"]), lengths=PEER["lengths"])
    np.testing.assert_allclose(made.monitor_.history, case["history"], rtol=1e-10)
    for name in ("startprob_", "transmat_", "weights_", "means_", "covars_"):
        np.testing.assert_allclose(getattr(made, name), case[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", TYPES)
def test_a_step_is_the_maximum(kind):
    X, made = rows(60), model(kind, init_params="", n_iter=1, tol=0.0)
    evidence, weights, means, covariance = maximum(made, X)
    assert made.score(X) == pytest.approx(evidence, rel=1e-12)
    fitted = fit_quietly(made, X)
    np.testing.assert_allclose(fitted.weights_, weights, rtol=1e-10)
    np.testing.assert_allclose(fitted.means_, means, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fitted.covars_, covariance, rtol=1e-10, atol=1e-12)
    assert fitted.covars_.shape == SHAPES[kind]


@pytest.mark.parametrize("kind", TYPES)
def test_the_posterior_never_falls(kind):
    """Under strong priors: what the M-step maximises is what the objective counts."""
    matrix = kind in ("full", "tied")
    priors = {
        "covars_prior": 3.0 * np.eye(D) if matrix else 2.5,
        "covars_weight": 6.0 if matrix else 1.5,
        "means_prior": 1.0, "means_weight": 5.0, "weights_prior": 4.0,
    }  # fmt: skip
    for options in (priors, {}):
        made = GMMHMM(K, M, covariance_type=kind, random_state=0, n_iter=25, tol=0.0, **options)
        fitted = fit_quietly(made, rows(150))
        assert (np.diff(fitted.history_["log_likelihood"]) > -1e-9).all()
    assert (np.diff(fitted.monitor_.history) > -1e-9).all()


def test_one_part_is_a_gaussian_state():
    X = rows(80)
    one = GMMHMM(2, 1, init_params="", n_iter=3)
    own = GaussianHMM(2, init_params="", n_iter=3, covars_prior=None)
    for made in (one, own):
        made.startprob_, made.transmat_ = START, MOVES
    own.means_, own.covars_ = np.array([[0.0, 1.0], [1.0, -1.0]]), np.ones((2, 2))
    one.weights_, one.means_, one.covars_ = np.ones((2, 1)), own.means_[:, None], np.ones((2, 1, 2))
    fit_quietly(one, X)
    fit_quietly(own, X)
    np.testing.assert_allclose(one.means_[:, 0], own.means_, rtol=1e-11)
    np.testing.assert_allclose(one.covars_[:, 0], own._covars_, rtol=1e-11)
    assert one.monitor_.history[-1] == pytest.approx(own.monitor_.history[-1], rel=1e-12)
    assert one.bic(X) == pytest.approx(own.bic(X), rel=1e-12)


def torn(n):
    """Rows with holes, some without any value."""
    X = rows(n)
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    X[[0, 5, 6, n - 1]] = np.nan
    return X


@pytest.mark.parametrize("kind", TYPES)
def test_of_missing_values_the_rest_counts(kind):
    X, made = torn(60), model(kind, init_params="", n_iter=15, tol=0.0)
    assert made.score(X) == pytest.approx(maximum(made, X)[0], rel=1e-12)
    logs = logsumexp(part_logs(made, X), axis=2)
    np.testing.assert_array_equal(made.predict(X), best_path(START, MOVES, logs)[1])
    assert (np.diff(fit_quietly(made, X).monitor_.history) > -1e-9).all()


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_a_step_with_holes_is_the_maximum(kind):
    X, made = torn(60), model(kind, init_params="", n_iter=1, tol=0.0)
    evidence, weights, means, covariance = maximum(made, X)
    fitted = fit_quietly(made, X)
    assert fitted.monitor_.history[0] == pytest.approx(evidence, rel=1e-12)
    np.testing.assert_allclose(fitted.weights_, weights, rtol=1e-9)
    np.testing.assert_allclose(fitted.means_, means, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fitted.covars_, covariance, rtol=1e-9, atol=1e-11)


def test_threads_change_no_bit_with_holes():
    X = torn(3000)
    one, two = (fit_quietly(model("full", init_params="", n_jobs=n), X) for n in (1, 2))
    assert_bit_identical(one.means_, two.means_)
    assert_bit_identical(one.covars_, two.covars_)


def test_float32_rows():
    X = rows(3000).astype(np.float32)
    single, double = (fit_quietly(model(init_params="", n_iter=5), x) for x in (X, X.astype(float)))
    np.testing.assert_allclose(single.means_, double.means_, atol=1e-4)
    np.testing.assert_allclose(single.covars_, double.covars_, atol=1e-4)
    assert single.score(X) == pytest.approx(double.score(X), rel=1e-6)


def test_parts_without_weight_or_rows_stay():
    made = model(init_params="", n_iter=4)
    made.weights_[0], made.means_[1, 2] = [0.5, 0.5, 0.0], 1e4
    before = made.means_.copy(), made.covars_.copy()
    fitted = fit_quietly(made, rows(60))
    assert fitted.weights_[0, 2] == fitted.weights_[1, 2] == 0.0
    for new, old in zip((fitted.means_, fitted.covars_), before):
        np.testing.assert_array_equal(new[[0, 1], 2], old[[0, 1], 2])
    assert np.isfinite(fitted.means_).all()


@pytest.mark.parametrize("kind", TYPES)
def test_a_part_that_collapses_keeps_its_covariance_and_its_state_is_named(kind):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 1, (100, 2)), np.full((20, 2), 99.0), rng.normal(5, 1, (100, 2))]
    made = model(kind, init_params="", n_iter=10)
    made.startprob_, made.transmat_ = np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.9, 0.1]])
    made.means_[0], made.means_[1] = [[0, 0], [5, 5], [2, 2]], 99.0
    made.weights_ = np.full((K, M), 1 / 3)
    with pytest.warns(DegenerateComponentWarning, match=r"state\(s\) 1 would be singular"):
        fit_quietly_but(made, X)
    np.testing.assert_allclose(made.means_[1], 99.0)
    assert np.isfinite(made.score(X))
    assert np.diff(made.history_["log_likelihood"]).min() > -1e-8


def fit_quietly_but(made, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made.fit(X)


@pytest.mark.parametrize("weight", [1e-21, 1e-60, 1e30])
def test_only_ratios_of_weights_matter(weight):
    X, lengths = rows(60), [20, 40]
    once, scaled = (
        fit_quietly(
            model(init_params="", n_iter=3, tol=0.0),
            X, lengths=lengths, sequence_weight=np.array([1.0, 2.0]) * factor,
        )
        for factor in (1.0, weight)
    )  # fmt: skip
    assert not np.allclose(once.means_, model().means_)
    for name in ("startprob_", "transmat_", "weights_", "means_", "covars_"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(once, name), rtol=1e-9)


def test_starts():
    """Two states of two clusters each, told by what follows what; known states; in the order of time."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1] * 4, 50)
    centres = np.array([[-6.0, 6.0], [-2.0, 2.0]])
    X = (centres[truth, rng.integers(2, size=400)] + rng.normal(size=400))[:, None]
    states = np.where(rng.random(400) < 0.1, truth, -1)
    fitted = fit_quietly(
        GMMHMM(2, 2, random_state=0, n_iter=100, algorithm="map"), X, states=states
    )
    assert (fitted.predict(X) == truth).mean() > 0.95
    np.testing.assert_allclose(np.sort(fitted.means_[..., 0]), centres, atol=0.6)
    made = GMMHMM(2, 2, random_state=0, algorithm="map", transmat_mask="left-right")
    assert (fit_quietly(made, X[:100]).predict(X[:100]) == truth[:100]).mean() > 0.95
    few = GMMHMM(2, 3, random_state=0, n_iter=1)  # fewer rows than parts near one state
    assert np.isfinite(
        fit_quietly(few, np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0]])).means_
    ).all()


@pytest.mark.parametrize("kind", ["diag", "tied"])
def test_draws_have_the_moments_of_their_state(kind):
    made = model(kind)
    means, spreads = made._moments(made._emission())
    X, states = made.sample(40_000, random_state=1)
    for k in range(K):
        np.testing.assert_allclose(X[states == k].mean(axis=0), means[k], atol=0.06)
        np.testing.assert_allclose(np.cov(X[states == k].T), spreads[k], atol=0.12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means_": np.zeros((2, 2))}, r"means_ must have shape .* = \(2, 3, d\), not \(2, 2\)"),
        ({"weights_": np.ones((2, 2))}, r"weights_ must have shape .* = \(2, 3\), not \(2, 2\)"),
        ({"weights_": np.ones((2, 3))}, "weights_ rows must sum to 1"),
        ({"covars_": np.ones((2, 3))}, r"must have shape \(2, 3, 2\) for covariance_type='diag'"),
        ({"covars_": np.zeros((2, 3, 2))}, "of Gaussian 0 of state 0, 1 of state 0"),
    ],
)
def test_wrong_parameters_are_refused(change, message):
    made = model()
    for name, value in change.items():
        setattr(made, name, value)
    with pytest.raises(ValueError, match=message):
        made.predict(rows(5))


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match=r"5 rows are fewer than n_components · n_mix = 6"):
        GMMHMM(2, 3).fit(rows(5))
