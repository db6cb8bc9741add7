"""Every family equals its twin after one EM step, and scikit-learn after every iteration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture as Peer

from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, assert_within, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)

# (d, K): every d of 1, 2, 3, 4, 5, 7, 8, 16, 33 and every K of 1, 2, 3, 7, 20, where unrolled
# loops, vector widths and paddings change.
SIZES = [
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 20),
    (2, 2),
    (2, 7),
    (3, 3),
    (3, 20),
    (4, 3),
    (5, 2),
    (7, 3),
    (7, 7),
    (8, 2),
    (8, 20),
    (16, 1),
    (16, 7),
    (33, 2),
    (33, 20),
]
by_size = pytest.mark.parametrize(("d", "K"), SIZES)

# What float32 rows may cost against the same numbers in float64, whose totals are float64: the
# log-likelihood per row and, in units of standard deviations, each parameter after one step.
FLOAT32_BOUND = 1e-5


def rows_for(d: int, K: int) -> int:
    """Return enough rows for K covariance matrices; a multiple of nothing."""
    return 4 * d * K + 1013


def one_step(model, X, **fit_options):
    fitted = fit_quietly(model, X, **fit_options)
    return fitted.lower_bound_, parameters_of(fitted)


@by_type
@by_size
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_one_step_equals_the_twin(case, d, K, weighted):
    start, X = case.start(K, d), case.data(rows_for(d, K), K, d)
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.0, 3.0, size=len(X)) if weighted else None
    model = model_at(case, start, max_iter=1, reg_covar=1e-6)
    ours, params = one_step(model, X, sample_weight=weights)
    theirs, *expected = case.twin.em_step(X, weights, *start, 1e-6)
    assert ours == pytest.approx(theirs, rel=1e-11)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, 1e-11)


@by_type
@pytest.mark.parametrize("n", [2, 3, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 2049])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_one_step_equals_the_twin_at_any_number_of_rows(case, n):
    start, X = case.start(2, 3), case.data(n, 2, 3)
    # Two rows in three columns have no covariance of their own: regularisation makes it one.
    ours, params = one_step(model_at(case, start, max_iter=1, reg_covar=1.0), X)
    theirs, *expected = case.twin.em_step(X, None, *start, 1.0)
    assert ours == pytest.approx(theirs, rel=1e-11)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, 1e-11)


@settings(max_examples=40, deadline=None)
@given(
    case=st.sampled_from(CASES),
    n=st.integers(30, 600),
    d=st.integers(1, 20),
    K=st.integers(1, 9),
    dtype=st.sampled_from(DTYPES),
)
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_one_step_equals_the_twin_at_any_shape(case, n, d, K, dtype):
    start, X = case.start(K, d), case.data(n, K, d, dtype=dtype)
    ours, params = one_step(model_at(case, start, max_iter=1, reg_covar=0.5), X)
    theirs, *expected = case.twin.em_step(X, None, *start, 0.5)
    rtol = 1e-11 if dtype is np.float64 else FLOAT32_BOUND
    assert ours == pytest.approx(theirs, rel=rtol)
    weights = expected[0]
    if np.all(weights * n > 1e-3):  # of less the twin and the kernel round another rest
        assert_same_parameters(params, Parameters(*expected), case.covariance_type, rtol)


@by_type
@by_size
def test_posterior_equals_the_twin(case, d, K):
    start, X = case.start(K, d), case.data(rows_for(d, K), K, d)
    model = fit_quietly(model_at(case, start, max_iter=1), X)
    params = parameters_of(model)
    expected = case.twin.log_likelihoods(X, params)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-11)
    resp = case.twin.responsibilities(X, params)
    np.testing.assert_allclose(model.predict_proba(X), resp, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), resp.argmax(axis=1))
    assert model.score(X) == pytest.approx(expected.mean(), rel=1e-12)


@by_type
@by_size
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_iteration_equals_scikit_learn(case, d, K):
    """Both go on from where they are, one iteration at a time; a straight fit is the same."""
    start, X = case.start(K, d), case.data(rows_for(d, K), K, d)
    one_more = {"max_iter": 1, "tol": 0.0, "warm_start": True}
    peer = Peer(**case.start_arguments(start), **one_more)
    ours = model_at(case, start, **one_more)
    for _ in range(8):
        peer.fit(X)
        ours.fit(X)
        assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, rel=1e-9)
        expected = parameters_of(peer)
        assert_same_parameters(parameters_of(ours), expected, case.covariance_type, 1e-9)
    straight = fit_quietly(model_at(case, start, max_iter=8, tol=0.0), X)
    assert straight.n_iter_ == 8
    assert straight.lower_bound_ == pytest.approx(ours.lower_bound_, rel=1e-12)
    # Not the same bits: a warm start factorises the covariances anew, a straight fit goes on.
    expected = parameters_of(ours)
    assert_same_parameters(parameters_of(straight), expected, case.covariance_type, 1e-11)


@by_type
def test_stops_where_scikit_learn_stops(case):
    X = case.data()
    arguments = case.start_arguments(case.start())
    peer, ours = Peer(**arguments).fit(X), model_at(case, case.start()).fit(X)
    assert ours.converged_
    assert peer.converged_
    assert ours.n_iter_ == peer.n_iter_
    np.testing.assert_allclose(ours.lower_bounds_[-1], peer.lower_bound_, rtol=1e-9)
    assert_same_parameters(parameters_of(ours), parameters_of(peer), case.covariance_type, 1e-9)


def mirrored_clusters(n_features: int, n_clusters: int) -> np.ndarray:
    """Draw clusters, far apart, of exactly diagonal covariance: every sign of every row."""
    rng = np.random.default_rng(5)
    corner = np.array(np.meshgrid(*[[-1.0, 1.0]] * n_features)).reshape(n_features, -1).T
    base = np.round(rng.uniform(0.5, 2.0, size=(40, n_features)) * 64) / 64
    one = (base[:, None, :] * corner).reshape(-1, n_features)
    return np.concatenate([one * (1 + k) + 1000.0 * k for k in range(n_clusters)])


@pytest.mark.parametrize(("d", "K"), [(1, 1), (2, 1), (4, 1), (2, 3), (5, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_full_with_diagonal_data_equals_diag(d, K, dtype):
    full, _, diag, _ = CASES
    X = mirrored_clusters(d, K).astype(dtype)
    means = 1000.0 * np.arange(K)[:, None] + np.linspace(0.1, 0.2, d)
    weights = np.full(K, 1.0 / K)
    one = Parameters(weights, means, np.array([np.eye(d)] * K))
    other = Parameters(weights, means, np.ones((K, d)))
    dense = fit_quietly(model_at(full, one, max_iter=4, tol=0.0), X)
    sparse = fit_quietly(model_at(diag, other, max_iter=4, tol=0.0), X)
    tolerance = 1e-11 if dtype is np.float64 else FLOAT32_BOUND
    assert dense.lower_bound_ == pytest.approx(sparse.lower_bound_, rel=tolerance)
    expected = parameters_of(sparse)
    expected = expected._replace(covariances=expected.covariances[:, :, None] * np.eye(d))
    assert_same_parameters(parameters_of(dense), expected, "full", tolerance)


def assert_within_float32(case, X, params, model) -> None:
    """Assert that a model's results on float32 rows are near the twin's on the same numbers."""
    expected = case.twin.log_likelihoods(X.astype(np.float64), params)
    allowed = FLOAT32_BOUND * (1.0 + np.abs(expected))
    assert_within(model.score_samples(X), expected, allowed, "score_samples")
    resp = case.twin.responsibilities(X.astype(np.float64), params)
    np.testing.assert_allclose(model.predict_proba(X), resp, atol=10 * FLOAT32_BOUND)


@by_type
@by_size
def test_float32_is_within_its_bound(case, d, K):
    start = case.start(K, d)
    X = case.data(rows_for(d, K), K, d, dtype=np.float32)
    assert X.dtype == np.float32
    model = model_at(case, start, max_iter=1)
    ours, params = one_step(model, X)
    theirs, *expected = case.twin.em_step(X.astype(np.float64), None, *start, 1e-6)
    assert ours == pytest.approx(theirs, abs=FLOAT32_BOUND)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, FLOAT32_BOUND)
    assert_within_float32(case, X, params, model)


@by_type
def test_results_are_float64_whatever_the_rows(case):
    for dtype in (np.float32, np.float64):
        model = stepped(case, case.data(dtype=dtype))
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            assert getattr(model, name).dtype == np.float64, name


@by_type
def test_float32_bound_is_not_vacuous(case):
    X = case.data(301, dtype=np.float32)
    model = stepped(case, X)
    shifted = parameters_of(model)._replace(means=model.means_ + 1e-3)
    with pytest.raises(AssertionError):
        assert_within_float32(case, X, shifted, model)
