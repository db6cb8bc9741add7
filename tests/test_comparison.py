"""The shared comparisons pass on equal things, and fail on each way of being wrong."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from tests.cases import CASES
from tests.comparison import (
    assert_bit_identical,
    assert_never_falls,
    assert_same_model,
    assert_same_parameters,
    assert_within,
    covariance_matrices,
)

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)


@by_type
@pytest.mark.parametrize("field", ["weights", "means", "covariances"])
@pytest.mark.parametrize("wrong", [1.0 + 1e-8, np.nan])
def test_same_parameters_sees_one_wrong_number(case, field, wrong):
    right = case.start()
    assert_same_parameters(right, right, case.covariance_type, 1e-9)
    spoilt = getattr(right, field).copy()
    spoilt.flat[0] *= wrong
    with pytest.raises(AssertionError, match=field):
        assert_same_parameters(right._replace(**{field: spoilt}), right, case.covariance_type, 1e-9)


@by_type
def test_same_parameters_sees_a_wrong_shape(case):
    right = case.start()
    with pytest.raises(AssertionError, match="means"):
        assert_same_parameters(
            right._replace(means=right.means[:1]), right, case.covariance_type, 1.0
        )


@by_type
def test_covariance_matrices_have_the_variances_on_their_diagonal(case):
    params = case.start(n_components=4, n_features=4)
    matrices = covariance_matrices(params, case.covariance_type)
    assert matrices.shape == (4, 4, 4)
    for matrix in matrices:
        assert np.all(np.linalg.eigvalsh(matrix) > 0)


def test_within_names_the_worst_place():
    with pytest.raises(AssertionError, match=r"table\[0, 1\] differs by 2 times"):
        assert_within(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]), 1.0, "table")


@pytest.mark.parametrize(
    "other",
    [
        np.array([1.0, np.nextafter(2.0, 3.0)]),
        np.array([1.0, 2.0], dtype=np.float32),
        np.array([[1.0, 2.0]]),
        np.array([1.0, np.nan]),
    ],
    ids=["last bit", "dtype", "shape", "nan"],
)
def test_bit_identical_sees_every_difference(other):
    right = np.array([1.0, 2.0])
    assert_bit_identical(right.copy(), right)
    with pytest.raises(AssertionError):
        assert_bit_identical(other, right)


@pytest.mark.parametrize("name", ["weights_", "lower_bounds_", "n_iter_", "lower_bound_"])
def test_same_model_sees_one_wrong_attribute(name):
    right = SimpleNamespace(
        weights_=np.ones(2),
        means_=np.ones((2, 1)),
        covariances_=np.ones(2),
        precisions_cholesky_=np.ones(2),
        lower_bounds_=[-2.0, -1.0],
        lower_bound_=-1.0,
        n_iter_=2,
        converged_=True,
    )
    assert_same_model(copy.deepcopy(right), right)
    wrong = copy.deepcopy(right)
    setattr(wrong, name, np.add(getattr(right, name), 1))
    with pytest.raises(AssertionError):
        assert_same_model(wrong, right)


@pytest.mark.parametrize(
    "trace",
    [
        [-2.0, -1.0, -1.1, -0.5],
        [-1.0, -1.0 - 2e-10],
        [-1.0, np.nan],
        [-np.inf, -1.0],
        [-1.0],
        [],
    ],
    ids=["one fall", "small fall", "nan", "infinite", "one value", "nothing"],
)
def test_never_falls_sees_a_fall(trace):
    with pytest.raises(AssertionError):
        assert_never_falls(trace)


def test_never_falls_allows_rounding():
    assert_never_falls([-3.0, -1.0, -1.0 - 1e-11, -1.0])
