"""Parts of a mixture: some columns alone, the others given some, and what is expected of missing values."""

from __future__ import annotations

import numpy as np
import pytest

import fusem
from tests.cases import CASES
from tests.comparison import assert_bit_identical, assert_within, parameters_of
from tests.models import stepped
from tests.reference_missing import expectation, imputed

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)


@pytest.fixture(params=CASES, ids=lambda case: case.covariance_type)
def fitted(request):
    X = request.param.data(800)
    return request.param, stepped(request.param, X), X


def test_the_marginal_is_the_density_of_what_is_observed(fitted):
    case, model, X = fitted
    part = model.marginal([3, 1])
    rows = np.full_like(X, np.nan)
    rows[:, [3, 1]] = X[:, [3, 1]]
    expected = expectation(rows, parameters_of(model), case.covariance_type)
    assert_within(part.score_samples(X[:, [3, 1]]), expected.log_likelihoods, 1e-11, "densities")
    assert part.n_features_in_ == 2
    assert part.covariance_type == case.covariance_type


def test_the_conditional_is_the_joint_over_the_marginal(fitted):
    _, model, X = fitted
    for row in X[:20]:
        given = model.condition({2: row[2], 0: row[0]})
        joint, own = (
            model.score_samples(row[None]),
            model.marginal([0, 2]).score_samples(row[None, [0, 2]]),
        )
        assert_within(given.score_samples(row[None, [1, 3]]), joint - own, 1e-10, "densities")


def test_what_is_expected_of_missing_values(fitted):
    case, model, X = fitted
    rows = X[:60].copy()
    rows[np.random.default_rng(0).random(rows.shape) < 0.4] = np.nan
    rows[0] = np.nan
    mean, covariance = model.predict_missing(rows)
    params = parameters_of(model)
    assert_within(mean, imputed(rows, params, case.covariance_type), 1e-10, "means")
    expected = expectation(rows, params, case.covariance_type)
    for i, row in enumerate(rows):
        share, values = expected.responsibilities[i], expected.rows[i]
        apart = values - mean[i]
        spread = np.einsum("k,kij->ij", share, expected.covariances[i])
        spread += np.einsum("k,ki,kj->ij", share, apart, apart)
        known = ~np.isnan(row)
        spread[known] = spread[:, known] = 0.0
        assert_within(covariance[i], spread, 1e-10, "covariances")


def test_conditioning_on_nothing_and_on_a_far_value(fitted):
    _, model, X = fitted
    same = model.condition({})
    assert_within(same.score_samples(X), model.score_samples(X), 1e-12, "densities")
    far = model.condition({0: 1e160})
    expected = model.predict_missing(np.array([[1e160, np.nan, np.nan, np.nan]]))[0][0, 1:]
    assert_within(far.weights_ @ far.means_ / 1e160, expected / 1e160, 1e-10, "mean")


def test_columns_by_name():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(CASES[0].data(300), columns=["a", "b", "c", "d"])
    model = fusem.GaussianMixture(2, random_state=0).fit(table)
    assert list(model.marginal(["c", "a"]).feature_names_in_) == ["c", "a"]
    given = model.condition({"b": 1.0})
    assert list(given.feature_names_in_) == ["a", "c", "d"]
    assert_bit_identical(given.means_, model.condition({1: 1.0}).means_)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.marginal([]), "columns is empty"),
        (lambda model: model.marginal([0, 4]), "columns 0 to 3, but not 4"),
        (lambda model: model.marginal([-1]), "columns 0 to 3, but not -1"),
        (lambda model: model.marginal([1, 1]), "named twice"),
        (lambda model: model.marginal([0.7]), "but not 0.7"),
        (lambda model: model.marginal([None]), "but not None"),
        (lambda model: model.marginal([True, False, True, False]), "but not True"),
        (lambda model: model.condition({True: 1.0}), "but not True"),
        (lambda model: model.condition({0: "a"}), "no numbers"),
        (lambda model: model.marginal(["x"]), "no column 'x'"),
        (lambda model: model.condition({0: np.nan}), "not finite"),
        (lambda model: model.condition({0: 1, 1: 1, 2: 1, 3: 1}), "none left"),
    ],
)
def test_columns_that_cannot_be_had(call, message):
    model = stepped(CASES[0], CASES[0].data(200))
    with pytest.raises(ValueError, match=message):
        call(model)


@pytest.mark.filterwarnings("ignore::fusem.exceptions.ConstantColumnWarning")
def test_nearly_collinear_columns_keep_a_positive_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    X = np.column_stack([x, x + 1e-6 * rng.normal(size=2000)])
    model = fusem.GaussianMixture(1, reg_covar=0.0).fit(X)
    variance = model.condition({0: 0.3}).covariances_[0, 0, 0]
    assert variance == pytest.approx(1e-12, rel=0.1)


def test_columns_must_be_a_list_and_values_a_mapping():
    model = stepped(CASES[0], CASES[0].data(200))
    for wrong in (1, "a"):
        with pytest.raises(TypeError, match="a list of columns"):
            model.marginal(wrong)
    with pytest.raises(TypeError, match="a mapping"):
        model.condition([0, 1])
