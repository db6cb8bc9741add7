"""A weight of 2 is a row twice, a weight of 0 is no row, and weights count everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusem
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, parameters_of
from tests.models import fit_quietly, model_at, stepped

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
any_case = st.sampled_from(CASES)

SINGLE_ROWS = ("k-means++", "random_from_data")  # starts that take one row per component

# Rows in another order are summed in another order; lanes of float32 rows round another way.
TOLERANCE = {np.float64: 1e-11, np.float32: 1e-5}


def assert_equal_models(actual, expected, case, dtype=np.float64) -> None:
    rtol = TOLERANCE[dtype]
    assert_same_parameters(
        parameters_of(actual), parameters_of(expected), case.covariance_type, rtol
    )
    np.testing.assert_allclose(actual.lower_bounds_, expected.lower_bounds_, rtol=rtol)


@by_type
@by_dtype
def test_weight_two_is_a_row_twice(case, dtype):
    X = case.data(1700, dtype=dtype)
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = stepped(case, X, sample_weight=counts)
    repeated = stepped(case, np.repeat(X, counts, axis=0))
    assert_equal_models(weighted, repeated, case, dtype)


@by_type
@by_dtype
def test_weight_zero_is_a_row_absent(case, dtype):
    X = case.data(1700, dtype=dtype)
    kept = np.random.default_rng(0).random(len(X)) < 0.7
    weighted = stepped(case, X, sample_weight=kept.astype(float))
    assert_equal_models(weighted, stepped(case, X[kept]), case, dtype)


@by_type
def test_row_of_weight_zero_may_lie_anywhere(case):
    """A row that does not count has no say in warnings, starts or likelihoods either."""
    X = case.data(1700)
    far = np.concatenate([X, np.full((3, X.shape[1]), 1e8)])
    weights = np.concatenate([np.ones(len(X)), np.zeros(3)])
    assert_equal_models(stepped(case, far, sample_weight=weights), stepped(case, X), case)


@by_type
def test_weights_of_one_are_no_weights(case):
    X = case.data(1700)
    assert_equal_models(stepped(case, X, sample_weight=np.ones(len(X))), stepped(case, X), case)


@settings(max_examples=20, deadline=None)
@given(case=any_case, power=st.integers(-60, 60), seed=st.integers(0, 99))
def test_scale_of_weights_is_nothing(case, power, seed):
    X = case.data(1100)
    weights = np.random.default_rng(seed).exponential(size=len(X))
    once = stepped(case, X, sample_weight=weights)
    scaled = stepped(case, X, sample_weight=weights * 2.0**power)
    assert_equal_models(scaled, once, case)


@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1e-8, 3.0, 1e100])
@pytest.mark.parametrize(
    ("case", "init_params"),
    # Not tied from single rows: scikit-learn's covariance then grows with the number of rows.
    [(case, init) for case in CASES for init in ("kmeans", "random")]
    + [(case, init) for case in (CASES[0], *CASES[2:]) for init in SINGLE_ROWS],
    ids=lambda value: getattr(value, "covariance_type", value),
)
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_scale_of_weights_is_nothing_to_the_start(case, scale, init_params):
    X = case.data(900)
    weights = np.random.default_rng(0).exponential(size=len(X))
    options = {"covariance_type": case.covariance_type, "random_state": 0, "max_iter": 2}
    options |= {"init_params": init_params, "reg_covar": 1e-2, "tol": 0.0}
    once, scaled = (
        fit_quietly(fusem.GaussianMixture(3, **options), X, sample_weight=given_weights)
        for given_weights in (weights, weights * scale)
    )
    assert_same_parameters(parameters_of(scaled), parameters_of(once), case.covariance_type, 1e-9)


@settings(max_examples=20, deadline=None)
@given(
    case=any_case,
    counts=st.lists(st.integers(0, 5), min_size=60, max_size=60).filter(lambda c: sum(c) > 40),
)
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_any_integer_weights_are_repeated_rows(case, counts):
    X = case.data(60, n_features=2)
    weighted = stepped(case, X, sample_weight=counts, reg_covar=0.1)
    repeated = stepped(case, np.repeat(X, counts, axis=0), reg_covar=0.1)
    assert_equal_models(weighted, repeated, case)


@by_type
def test_weights_count_in_the_criteria(case):
    X = case.data(1700)
    model = stepped(case, X)
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    repeated = np.repeat(X, counts, axis=0)
    rows = model.score_samples(X)
    assert model.score(X, sample_weight=counts) == pytest.approx(
        np.sum(counts * rows) / counts.sum(), rel=1e-12
    )
    for name in ("score", "aic", "bic", "icl"):
        criterion = getattr(model, name)
        weighted = criterion(X, sample_weight=counts)
        assert weighted == pytest.approx(criterion(repeated), rel=1e-12), name
        assert weighted != pytest.approx(criterion(X), rel=1e-6), name


@by_type
def test_criteria_are_their_formulas(case):
    X = case.data(1700)
    model = stepped(case, X)
    p = case.twin.n_parameters(case.n_components, case.n_features)
    total = case.twin.log_likelihoods(X, parameters_of(model)).sum()
    assert model.aic(X) == pytest.approx(2 * p - 2 * total, rel=1e-12)
    assert model.bic(X) == pytest.approx(p * np.log(len(X)) - 2 * total, rel=1e-12)
    assert model.icl(X) > model.bic(X)


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_weight_zero_is_absent_from_the_start(case, init_params):
    X = case.data(1700)
    kept = np.random.default_rng(0).random(len(X)) < 0.7
    options = {"n_components": 3, "covariance_type": case.covariance_type, "max_iter": 3}
    options |= {"random_state": 5, "init_params": init_params, "tol": 0.0}
    weighted = fusem.GaussianMixture(**options)
    fit_quietly(weighted, X, sample_weight=kept.astype(float))
    absent = fit_quietly(fusem.GaussianMixture(**options), X[kept])
    assert_same_parameters(
        parameters_of(weighted), parameters_of(absent), case.covariance_type, 1e-8
    )


@by_type
def test_weights_move_the_start(case):
    """All the weight on one of two clusters: k-means must not put a component on the other."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((400, 2)), rng.standard_normal((400, 2)) + 50.0])
    weights = np.repeat([1.0, 1e-9], 400)
    options = {"n_components": 2, "covariance_type": case.covariance_type, "random_state": 0}
    model = fusem.GaussianMixture(**options, max_iter=0).fit(X, sample_weight=weights)
    assert np.all(np.abs(model.means_) < 10.0)
    plain = fusem.GaussianMixture(**options, max_iter=0).fit(X)
    assert np.any(np.abs(plain.means_) > 10.0)


@by_type
def test_weights_count_in_the_stopping_rule(case):
    X = case.data(1700)
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = model_at(case, case.start(), tol=1e-5).fit(X, sample_weight=counts)
    repeated = model_at(case, case.start(), tol=1e-5).fit(np.repeat(X, counts, axis=0))
    assert weighted.converged_
    assert weighted.n_iter_ == repeated.n_iter_
    assert_equal_models(weighted, repeated, case)


@pytest.mark.parametrize(("weight", "dtype"), [(1e-50, "f4"), (1e40, "f4"), (1e307, "f8")])
def test_weights_out_of_range_are_named(weight, dtype):
    rows = np.random.default_rng(0).normal(size=(100, 2)).astype(dtype)
    with pytest.raises(ValueError, match="sample_weight has mean"):
        fusem.GaussianMixture(2).fit(rows, sample_weight=np.full(100, weight))


def test_a_first_row_of_weight_zero_says_nothing_about_columns():
    rows = np.random.default_rng(0).normal(size=(500, 2))
    rows[0] = 1e9
    weights = np.ones(500)
    weights[0] = 0.0
    model = fusem.GaussianMixture(1).fit(rows, sample_weight=weights)  # warnings are errors here
    np.testing.assert_allclose(model.means_[0], rows[1:].mean(axis=0), rtol=1e-12)


def test_read_only_weights_compile_nothing():
    from fusem.families import gaussian_diag

    rows, weights = np.random.default_rng(0).normal(size=(500, 2)), np.full(500, 2.0)
    signatures = gaussian_diag.kernels.sweep[np.float64].signatures
    fusem.GaussianMixture(1, covariance_type="diag").fit(rows, sample_weight=weights)
    compiled = len(signatures)  # tests before this one may have called the kernel otherwise
    weights.flags.writeable = False
    fusem.GaussianMixture(1, covariance_type="diag").fit(rows, sample_weight=weights)
    assert len(signatures) == compiled > 0
