"""Independent columns about a centre that all components share: the step of the reference, no digits lost."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.families import gaussian_diag, gaussian_spherical
from fusem.families.shared_centre import NEAR, frame, is_near
from fusem.mixture import engine
from fusem.mixture.engine import Engine
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, assert_within, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters

DIAG, SPHERICAL = CASES[2], CASES[3]
FAMILY = {"diag": gaussian_diag, "spherical": gaussian_spherical}
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
by_type = pytest.mark.parametrize("case", [DIAG, SPHERICAL], ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.fixture(autouse=True)
def _whatever_the_size(monkeypatch):
    """Where components share a centre it is used, whether or not that is faster."""
    monkeypatch.setattr(engine, "LEAST_NEAR", 1)
    monkeypatch.setattr(engine, "LEAST_VALUES", 0)


def components(case, start: Parameters):
    return FAMILY[case.covariance_type].from_covariances(start.means, start.covariances)


def centred(case, start: Parameters, dtype) -> bool:
    family, K, d = FAMILY[case.covariance_type], *start.means.shape
    return Engine(family, K, d, dtype).near_operands(components(case, start)) is not None


def moved(case, start: Parameters, norm: float) -> Parameters:
    """The start with means moved so that the largest squared distance from the centre is `norm`."""
    whitening = components(case, start).whitening.reshape(len(start.means), -1)
    shared = frame(start.means, whitening)
    squares = shared.offsets**2
    now = squares.max() if case is DIAG else squares.mean(axis=1).max()
    centre = shared.centre
    return start._replace(means=centre + np.sqrt(norm / now) * (start.means - centre))


def rows_of(start: Parameters, n: int, dtype) -> np.ndarray:
    rng, (K, d) = np.random.default_rng(0), start.means.shape
    return (start.means[rng.integers(K, size=n)] + rng.normal(size=(n, d))).astype(dtype)


@by_type
@by_dtype
@pytest.mark.parametrize(("K", "d"), [(1, 1), (2, 4), (4, 4), (5, 9), (9, 6), (6, 1)])
@pytest.mark.parametrize("factor", [0.1, 0.9, 1.1])
def test_a_step_is_that_of_the_reference(case, dtype, K, d, factor):
    start = case.start(K, d)
    if K > 1:
        start = moved(case, start, factor * NEAR[np.dtype(dtype).name])
        assert centred(case, start, dtype) == (factor < 1.0)
    X = rows_of(start, 3000, dtype)
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    model = stepped(case, X, 1, start, sample_weight=weights)
    expected = case.twin.em_step(X, weights, *start, model.reg_covar)
    rtol = TOLERANCE[np.dtype(dtype).name]
    found = parameters_of(model)
    assert_same_parameters(found, Parameters(*expected[1:4]), case.covariance_type, rtol)
    assert model.lower_bound_ == pytest.approx(expected[0], rel=rtol)


@by_type
@by_dtype
@pytest.mark.parametrize("narrow", [1e-2, 1e-4, 1e-6])
def test_a_component_that_becomes_narrow_keeps_its_digits(case, dtype, narrow):
    """About the centre its variance is a difference of large numbers: those sums are taken again."""
    start = moved(case, case.start(4, 3), 0.9 * NEAR[np.dtype(dtype).name])
    assert centred(case, start, dtype)
    X = rows_of(start, 2000, np.float64)
    X[::4] = start.means[1] + narrow * (X[::4] - X[::4].mean(axis=0))
    X = X.astype(dtype)
    model = fit_quietly(model_at(case, start, max_iter=1, tol=0.0, reg_covar=0.0), X)
    expected = case.twin.em_step(X.astype(np.float64), None, *start, 0.0)
    rtol = TOLERANCE[np.dtype(dtype).name]
    assert_within(model.means_, expected[2], rtol, "means")
    ratio = model.covariances_ / expected[3]
    np.testing.assert_allclose(ratio, 1.0, rtol=1e-8 if dtype == np.float64 else 1e-3)


@by_type
def test_by_hand_the_digits_come_back_at_the_next_step(case):
    start = moved(case, case.start(4, 3), 0.9 * NEAR["float64"])
    X = rows_of(start, 2000, np.float64)
    X[::4] = start.means[1] + 1e-5 * (X[::4] - X[::4].mean(axis=0))
    by_hand = model_at(case, start, max_iter=0, reg_covar=0.0).fit(X)
    for _ in range(3):
        by_hand.update(by_hand.statistics(X))
    fitted = fit_quietly(model_at(case, start, max_iter=3, tol=0.0, reg_covar=0.0), X)
    np.testing.assert_allclose(by_hand.covariances_, fitted.covariances_, rtol=1e-6)


@by_type
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_any_scale(case, scale):
    start = case.start(5, 3)
    X = rows_of(start, 1000, np.float64)
    shrunk = start._replace(means=scale * start.means, covariances=scale**2 * start.covariances)
    assert centred(case, shrunk, np.float64)
    one = stepped(case, X, 2, start, reg_covar=0.0)
    other = stepped(case, scale * X, 2, shrunk, reg_covar=0.0)
    np.testing.assert_allclose(other.means_ / scale, one.means_, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(other.covariances_ / scale / scale, one.covariances_, rtol=1e-11)


def test_what_float32_cannot_hold_has_no_centre():
    means, whitening = np.zeros((3, 2)), np.array([[1.0, 1.0], [1e-7, 1.0], [1.0, 1.0]])
    assert not is_near(frame(means, whitening), np.zeros(3), np.float64), "a column too wide"
    narrow = np.full((3, 2), 1e39)
    assert is_near(frame(means, narrow), np.zeros(3), np.float64)
    assert not is_near(frame(means, narrow, np.float32), np.zeros(3), np.float32)
