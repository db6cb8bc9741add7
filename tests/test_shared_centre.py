"""Components seen from a shared centre: the steps are those of the reference, near and far from it."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.families.registry import FAMILIES
from fusem.families.shared_centre import NEAR
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, parameters_of
from tests.models import stepped
from tests.reference import Parameters

ALONG_AXES = [case for case in CASES if case.family != "gaussian_full"]
by_type = pytest.mark.parametrize("case", ALONG_AXES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def moved(case, start: Parameters, norm: float) -> Parameters:
    """The start with means moved so that the largest |ν|² is `norm`."""
    centre = np.median(start.means, axis=0)
    for _ in range(2):  # the median moves with them
        factor = np.sqrt(norm / largest_norm(case, start))
        start = start._replace(means=centre + factor * (start.means - centre))
    return start


def seen(case, start: Parameters, dtype=np.float64):
    family = FAMILIES[case.family]
    return family.operands(family.from_covariances(start.means, start.covariances), dtype).seen


def largest_norm(case, start: Parameters) -> float:
    return seen(case, start).norms.max()


@by_type
@by_dtype
@pytest.mark.parametrize(("K", "d"), [(4, 4), (5, 9), (9, 6), (6, 1), (1, 5)])
@pytest.mark.parametrize("side", ["near", "far"])
def test_a_step_is_that_of_the_reference(case, dtype, K, d, side):
    limit = NEAR[np.dtype(dtype).name]
    start = case.start(K, d)
    if K > 1:
        start = moved(case, start, 0.9 * limit if side == "near" else 1.1 * limit)
    assert seen(case, start, dtype).near == (side == "near" or K == 1)
    rng = np.random.default_rng(0)
    X = start.means[rng.integers(K, size=3000)] + rng.normal(size=(3000, d))
    X = X.astype(dtype)
    weights = rng.integers(0, 3, size=len(X)).astype(float)
    model = stepped(case, X, 1, start, sample_weight=weights, reg_covar=1e-6)
    expected = case.twin.em_step(X, weights, *start, 1e-6)
    rtol = 1e-10 if dtype == np.float64 else 2e-4
    assert_same_parameters(
        parameters_of(model), Parameters(*expected[1:4]), case.covariance_type, rtol
    )
    assert model.lower_bound_ == pytest.approx(expected[0], rel=rtol)


@pytest.mark.parametrize("case", CASES[2:], ids=lambda case: case.covariance_type)
def test_scales_that_differ_beyond_squares_are_not_shared(case):
    """ρ² must not overflow float32. (Tied components have one scale.)"""
    start = case.start(3, 4)
    start.covariances[0] *= 1e-30
    start.means[:] = start.means[:1]
    assert not seen(case, start, np.float32).near
