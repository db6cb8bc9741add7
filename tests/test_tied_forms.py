"""Tied components near a centre that they share, and far from it: the same step as the reference."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.families import gaussian_tied
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, parameters_of
from tests.models import stepped
from tests.reference import Parameters

TIED = CASES[1]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def operands(start: Parameters, dtype=np.float64):
    return gaussian_tied.operands(
        gaussian_tied.from_covariances(start.means, start.covariances), dtype
    )


def moved(start: Parameters, norm: float) -> Parameters:
    """The start with means moved so that the largest |ν|² is `norm`."""
    centre = np.median(start.means, axis=0)
    now = (operands(start).exact.reshape(start.means.shape) ** 2).sum(axis=1).max()
    return start._replace(means=centre + np.sqrt(norm / now) * (start.means - centre))


@by_dtype
@pytest.mark.parametrize(("K", "d"), [(4, 4), (5, 9), (9, 6), (6, 1)])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_step_is_that_of_the_reference(dtype, K, d, factor):
    start = moved(TIED.start(K, d), factor * gaussian_tied.NEAR[np.dtype(dtype).name])
    assert operands(start, dtype).near == (factor < 1.0)
    rng = np.random.default_rng(0)
    X = start.means[rng.integers(K, size=3000)] + rng.normal(size=(3000, d))
    X, weights = X.astype(dtype), rng.integers(0, 3, size=len(X)).astype(float)
    model = stepped(TIED, X, 1, start, sample_weight=weights)
    expected = TIED.twin.em_step(X, weights, *start, model.reg_covar)
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    assert_same_parameters(parameters_of(model), Parameters(*expected[1:4]), "tied", rtol)
    assert model.lower_bound_ == pytest.approx(expected[0], rel=rtol)
