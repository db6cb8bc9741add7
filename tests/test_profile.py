"""`profile_loglik`: equals the log-likelihood of changed models, from one pass over the data."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fusem
from tests.cases import CASES

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)


def fitted(case, n_features=0):
    start = case.start(n_features=n_features)
    model = fusem.GaussianMixture(len(start.weights), covariance_type=case.covariance_type)
    model.weights_, model.means_, model.covariances_ = start
    return model


def brute_force(model, X, change, grid):
    """Score a copy of the model for each value."""
    scores = []
    for value in grid:
        changed = copy.deepcopy(model)
        change(changed, value)
        scores.append(changed.score(X))
    return scores


@by_case
def test_weights(case):
    model, X = fitted(case), case.data()

    def change(changed, value):
        others = [1, 2]
        rest = changed.weights_[others] / changed.weights_[others].sum()
        changed.weights_ = np.array([value, *(1 - value) * rest])

    grid = [0.01, 0.3, 0.99]
    found = fusem.profile_loglik(model, X, "weights[0]", grid)
    np.testing.assert_allclose(found, brute_force(model, X, change, grid), rtol=1e-12)


@by_case
def test_means(case):
    model, X = fitted(case), case.data()

    def change(changed, value):
        means = changed.means_.copy()
        means[1, 2] = value
        changed.means_ = means

    grid = np.linspace(-2, 2, 5)
    found = fusem.profile_loglik(model, X, "means[1, 2]", grid)
    np.testing.assert_allclose(found, brute_force(model, X, change, grid), rtol=1e-12)


def change_variance(covariance_type, changed, value):
    """Set the variance of component 1, column 2, as the docstring of profile_loglik promises."""
    covariances = changed.covariances_.copy()
    if covariance_type == "spherical":
        covariances[1] = value
    elif covariance_type == "diag":
        covariances[1, 2] = value
    else:
        matrix = covariances if covariance_type == "tied" else covariances[1]
        scale = np.ones(len(matrix))
        scale[2] = np.sqrt(value / matrix[2, 2])
        matrix *= np.outer(scale, scale)
    changed.covariances_ = covariances


@by_case
def test_variances_and_standard_deviations(case):
    model, X = fitted(case), case.data()
    grid = np.array([0.25, 1.0, 4.0])
    expected = brute_force(
        model, X, lambda changed, value: change_variance(case.covariance_type, changed, value), grid
    )
    variances = fusem.profile_loglik(model, X, "covariances[1,2]", grid)
    deviations = fusem.profile_loglik(model, X, "sd[1, 2]", np.sqrt(grid))
    np.testing.assert_allclose(variances, expected, rtol=1e-12)
    np.testing.assert_allclose(deviations, expected, rtol=1e-12)


def test_the_column_may_be_left_out_of_one():
    case = CASES[0]
    model, x = fitted(case, n_features=1), case.data(n_features=1)
    for kind in ("means", "covariances", "sd"):
        long = fusem.profile_loglik(model, x, f"{kind}[2, 0]", [0.5, 1.5])
        np.testing.assert_array_equal(
            fusem.profile_loglik(model, x, f"{kind}[2]", [0.5, 1.5]), long
        )


def test_the_model_stays_as_it_was():
    case = CASES[0]
    model = fitted(case)
    before = [array.copy() for array in (model.weights_, model.means_, model.covariances_)]
    for parameter in ("weights[0]", "means[0, 0]", "covariances[0, 0]"):
        fusem.profile_loglik(model, case.data(), parameter, [0.1, 0.9])
    for old, new in zip(before, (model.weights_, model.means_, model.covariances_), strict=True):
        np.testing.assert_array_equal(old, new)


def test_weight_of_0_and_1():
    x = np.array([-1.0, 0.0, 2.0])
    model = fusem.GaussianMixture(2)
    model.weights_ = np.array([0.5, 0.5])
    model.means_ = np.array([[0.0], [1.0]])
    model.covariances_ = np.ones((2, 1, 1))
    normal = -0.5 * np.log(2 * np.pi)
    expected = normal - 0.5 * np.array([np.mean((x - 1) ** 2), np.mean(x**2)])
    found = fusem.profile_loglik(model, x, "weights[0]", [0.0, 1.0])
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_chunks_change_no_bit_and_are_read_once():
    case = CASES[0]
    model, X = fitted(case), case.data(n_rows=5000)
    passes = []

    def chunks():
        passes.append(1)
        return iter(np.array_split(X, 7))

    grid = np.linspace(0, 1, 5)
    from_array = fusem.profile_loglik(model, X, "weights[1]", grid)
    rows = fusem.rows(chunks)
    passes.clear()
    np.testing.assert_array_equal(fusem.profile_loglik(model, rows, "weights[1]", grid), from_array)
    assert len(passes) == 1


def test_integer_weights_repeat_rows():
    case = CASES[0]
    model, X = fitted(case), case.data(n_rows=3000)
    times = np.random.default_rng(0).integers(0, 4, size=len(X))
    grid = [-1.0, 0.0, 1.0]
    weighted = fusem.profile_loglik(model, X, "means[0, 0]", grid, sample_weight=times)
    repeated = fusem.profile_loglik(model, np.repeat(X, times, axis=0), "means[0, 0]", grid)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("weight[0]", r"'weight\[0\]' is not a parameter.*weights\[component\]"),
        ("means[0; 1]", "is not a parameter"),
        ("means[-1, 0]", "is not a parameter"),
        (0, "parameter=0 is not a parameter"),
        ("weights[0, 1]", "a weight has no column"),
        ("weights[3]", "components 0 to 2"),
        ("means[0]", "lacks the column, one of 0 to 3"),
        ("sd[0, 4]", "columns 0 to 3"),
    ],
)
def test_a_parameter_that_is_not_there(parameter, message):
    case = CASES[0]
    with pytest.raises(ValueError, match=message):
        fusem.profile_loglik(fitted(case), case.data(), parameter, [0.5])


@pytest.mark.parametrize(
    ("parameter", "grid", "message"),
    [
        ("weights[0]", [0.5, 1.1], r"grid\[1\] = 1.1, .* within 0 and 1"),
        ("weights[0]", [np.nan], "within 0 and 1"),
        ("means[0, 0]", [np.inf], "must be finite"),
        ("covariances[0, 0]", [1.0, 0.0], r"grid\[1\] = 0, .* above 0"),
        ("sd[0, 0]", [-1.0], "above 0"),
        ("means[0, 0]", [], r"shape \(0,\)"),
        ("means[0, 0]", [[1.0]], r"shape \(1, 1\)"),
    ],
)
def test_a_grid_out_of_range(parameter, grid, message):
    case = CASES[0]
    with pytest.raises(ValueError, match=message):
        fusem.profile_loglik(fitted(case), case.data(), parameter, grid)


def test_the_weight_of_an_only_component_is_1():
    model = fusem.GaussianMixture(1)
    model.weights_, model.means_, model.covariances_ = (
        np.ones(1),
        np.zeros((1, 1)),
        np.ones((1, 1, 1)),
    )
    assert np.isfinite(fusem.profile_loglik(model, np.zeros(3), "weights[0]", [1.0])).all()
    with pytest.raises(ValueError, match="the only value possible is 1"):
        fusem.profile_loglik(model, np.zeros(3), "weights[0]", [0.5])


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0, -1.0], "negative"), ([0.0, 0.0], "zero"), ([1.0], "rows")]
)
def test_weights_of_rows_that_will_not_do(weights, message):
    model = fitted(CASES[0])
    with pytest.raises(ValueError, match=message):
        fusem.profile_loglik(model, np.zeros((2, 4)), "weights[0]", [0.5], sample_weight=weights)


def test_a_row_that_is_not_a_number_is_named():
    X = np.zeros((70_000, 4))
    X[66_000, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.* at row 66000, column 1"):
        fusem.profile_loglik(fitted(CASES[0]), X, "weights[0]", [0.5])
