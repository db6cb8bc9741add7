"""The same starts as scikit-learn's mixture, drawn, given or continued, and the same errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from tests.cases import CASES
from tests.comparison import assert_bit_identical, assert_same_parameters, parameters_of
from tests.models import fit_quietly, model_at, pair

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_start = pytest.mark.parametrize(
    "init_params", ["kmeans", "k-means++", "random", "random_from_data"]
)

# What these fits compare is numbers, not warnings.
quiet = pytest.mark.filterwarnings(
    "ignore::fusem.exceptions.FusemWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)


@by_type
@by_start
@pytest.mark.parametrize("seed", [0, 1])
@quiet
def test_same_start_as_scikit_learn(case, init_params, seed):
    X = case.data(2100, n_features=2)
    # Single rows have no variance. scikit-learn's diag and spherical find rounding errors of 1e-13
    # there; the default regularisation would not hide them.
    options = {"init_params": init_params, "random_state": seed, "reg_covar": 1e-2}
    ours, peer = pair(case, max_iter=0, **options)
    ours.fit(X), peer.fit(X)
    # of single rows scikit-learn's weights are 1 / n each until the first step
    single = init_params in ("k-means++", "random_from_data")
    assert peer.weights_.sum() == pytest.approx(3 / 2100 if single else 1.0)
    peer.weights_ /= peer.weights_.sum()
    assert_same_parameters(parameters_of(ours), parameters_of(peer), case.covariance_type, 1e-9)
    assert ours.n_iter_ == peer.n_iter_ == 0
    assert ours.converged_ == peer.converged_
    np.testing.assert_allclose(
        ours.precisions_cholesky_, peer.precisions_cholesky_, rtol=1e-7, atol=1e-12
    )


@by_type
@by_start
@quiet
def test_same_fit_as_scikit_learn(case, init_params):
    X = case.data(2100, n_features=2)
    ours, peer = pair(case, init_params=init_params, reg_covar=1e-2, max_iter=200)
    ours.fit(X), peer.fit(X)
    assert ours.n_iter_ == peer.n_iter_
    assert ours.converged_ == peer.converged_
    assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, rel=1e-9)
    assert_same_parameters(parameters_of(ours), parameters_of(peer), case.covariance_type, 1e-7)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))


@by_type
@quiet
def test_same_start_at_the_largest_size(case):
    X = case.data(50_000, n_features=2)
    ours, peer = pair(case, max_iter=0)
    ours.fit(X), peer.fit(X)
    assert_same_parameters(parameters_of(ours), parameters_of(peer), case.covariance_type, 1e-9)


@by_type
@quiet
def test_same_random_state_through_several_starts(case):
    X = case.data(900, n_features=2)
    for state in (3, np.random.RandomState(3)):
        ours, peer = pair(case, n_init=3, random_state=state, init_params="random", max_iter=30)
        peer.set_params(random_state=3)
        ours.fit(X), peer.fit(X)
        assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, rel=1e-8)
        assert len(ours.starts_) == 3


@by_type
def test_partly_given_start(case):
    X = case.data(900)
    start = case.start_arguments(case.start())
    for name in ("weights_init", "means_init", "precisions_init"):
        ours, peer = pair(case, max_iter=2, tol=0.0, **{name: start[name]})
        fit_quietly(ours, X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peer.fit(X)
        assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, rel=1e-9)
        assert_same_parameters(parameters_of(ours), parameters_of(peer), case.covariance_type, 1e-8)


@by_type
@quiet
def test_warm_start_goes_on(case):
    X = case.data(900)
    model = pair(case, warm_start=True, max_iter=1, tol=0.0)[0]
    bounds = [model.fit(X).lower_bound_ for _ in range(5)]
    straight = pair(case, max_iter=5, tol=0.0)[0].fit(X)
    np.testing.assert_allclose(bounds, straight.lower_bounds_, rtol=1e-12)
    assert_same_parameters(
        parameters_of(model), parameters_of(straight), case.covariance_type, 1e-10
    )
    assert model.n_iter_ == 1


@by_type
def test_warm_start_stops_at_once_after_convergence(case):
    X = case.data(900)
    model = pair(case, warm_start=True)[0].fit(X)
    assert model.converged_
    assert model.fit(X).n_iter_ == 1
    assert model.converged_


@by_type
def test_warm_start_of_another_shape_is_an_error(case):
    X = case.data(900)
    model = pair(case, warm_start=True)[0].fit(X)
    before = model.means_.copy()
    with pytest.raises(ValueError, match=r"2 features.*warm_start=True.*4"):
        model.fit(X[:, :2])
    with pytest.raises(ValueError, match=r"n_components is 5.*warm_start=True.*3 components"):
        model.set_params(n_components=5).fit(X)
    assert_bit_identical(model.means_, before)


@by_type
def test_start_only(case):
    X = case.data(900)
    model = model_at(case, case.start(), max_iter=0).fit(X)
    assert_same_parameters(parameters_of(model), case.start(), case.covariance_type, 1e-12)
    assert model.n_iter_ == 0
    assert not model.converged_
    assert list(model.lower_bounds_) == []
    assert model.lower_bound_ == -np.inf
    assert len(model.history_) == 0


def wrong_starts(case):
    """Starts that scikit-learn refuses: what to spoil, how, and hence what it says."""
    K, d = case.n_components, case.n_features
    name = f"{case.covariance_type} precision"
    good = case.invert(case.start().covariances)
    short = good[:-1, :-1] if case.covariance_type == "tied" else good[:-1]
    yield "weights_init", np.full(K + 1, 1.0 / (K + 1))
    yield "weights_init", np.array([1.5, -0.5, 0.0])
    yield "weights_init", np.full(K, 0.5)
    yield "weights_init", np.array([0.5, np.nan, 0.5])
    yield "means_init", np.zeros((K, d + 1))
    yield "means_init", np.zeros((K + 1, d))
    yield "means_init", np.full((K, d), np.inf)
    yield "precisions_init", short
    yield "precisions_init", -good
    if case.covariance_type in ("full", "tied"):
        skew = good.copy()
        skew[..., 0, 1] += 1.0
        yield "precisions_init", skew
    assert name


@by_type
def test_wrong_starts_say_what_scikit_learn_says(case):
    X = case.data(900)
    for name, value in wrong_starts(case):
        ours, peer = pair(case, **{name: value})
        with pytest.raises(ValueError) as theirs:  # noqa: PT011 - compared below
            peer.fit(X)
        with pytest.raises(ValueError) as said:  # noqa: PT011
            ours.fit(X)
        if "weights' should be in the range" in str(theirs.value):
            # scikit-learn goes on with the smallest weight as the largest, and the reverse.
            assert "The parameter 'weights' should be in the range [0, 1]" in str(said.value)
        else:
            first = str(theirs.value).splitlines()[0]
            assert first in str(said.value), name


@by_type
@by_start
@quiet
def test_float32_rows_start_as_their_values_do_in_float64(case, init_params):
    """k-means on float32 rows would draw other rows."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(0, 3, (8, 4)), 2500, axis=0)
    X = (centres + rng.normal(size=centres.shape)).astype(np.float32)
    options = {"n_components": 8, "init_params": init_params, "random_state": 3, "reg_covar": 1e-3}
    one, other = (
        pair(case, **options, max_iter=3, tol=0.0)[0].fit(rows) for rows in (X, X.astype(float))
    )
    np.testing.assert_allclose(one.means_, other.means_, rtol=0, atol=1e-5)
