"""Rows without a share of a component are passed over by its sums; the sums are the same."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from fusem.kernels import compact as module
from fusem.kernels.compact import DENSE, LEAST
from fusem.kernels.policy import OPTIONS
from fusem.kernels.tile import aligned
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_model, assert_same_parameters, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters
from tests.sources import UNEVEN, cut
from tests.test_kernels import columns_of, lanes_of, tile_of

compact = njit(**OPTIONS)(module.compact.py_func)
TILE = 256
FULL = CASES[0]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@by_dtype
@pytest.mark.parametrize("kept", [0, 1, 17, 64])
@pytest.mark.parametrize("d", [LEAST, LEAST + 1])
def test_rows_with_a_weight_come_first(d, kept, dtype):
    rng = np.random.default_rng(kept)
    values, resp = rng.normal(size=(d, TILE)).astype(dtype), aligned(TILE, dtype)
    rows = np.sort(rng.choice(TILE, size=kept, replace=False))
    resp[rows] = weights = rng.random(kept).astype(dtype) + dtype(0.1)
    flat = tile_of(values, dtype)
    width = compact(flat, 0, resp, 0, aligned(TILE, dtype), d, TILE)
    strip = 4 * lanes_of(flat)
    assert width == -(-kept // strip) * strip
    np.testing.assert_array_equal(columns_of(flat, d)[:, :kept], values[:, rows])
    np.testing.assert_array_equal(resp[:kept], weights)
    assert not resp[kept:width].any()


@pytest.mark.parametrize(("d", "kept"), [(LEAST, int(DENSE * TILE) + 1), (LEAST - 1, 3)])
def test_many_rows_and_few_columns_stay(d, kept):
    values, resp = np.random.default_rng(0).normal(size=(d, TILE)), np.zeros(TILE)
    resp[-kept:] = 1.0
    flat = tile_of(values, float)
    assert compact(flat, 0, resp, 0, aligned(TILE, float), d, TILE) == TILE
    np.testing.assert_array_equal(columns_of(flat, d), values)
    assert resp.sum() == kept


def apart(d: int, spread: float) -> tuple[np.ndarray, Parameters]:
    """Rows of five components, and where they come from: with spread 3 no row is shared."""
    rng = np.random.default_rng(d)
    means = rng.normal(size=(5, d)) * spread
    X = means[rng.integers(5, size=2500)] + rng.normal(size=(2500, d))
    return X, Parameters(np.full(5, 0.2), means, np.tile(np.eye(d), (5, 1, 1)))


@by_dtype
@pytest.mark.parametrize("d", [LEAST, 43])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_a_step_is_that_of_the_reference(d, spread, dtype):
    X, start = apart(d, spread)
    X = X.astype(dtype)
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    for given in (None, weights):
        model = stepped(FULL, X, 1, start, sample_weight=given)
        expected = FULL.twin.em_step(X, given, *start, model.reg_covar)
        rtol = 1e-10 if dtype == np.float64 else 1e-4
        assert_same_parameters(parameters_of(model), Parameters(*expected[1:4]), "full", rtol)


@by_dtype
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_chunks_and_threads_give_the_same_bits(spread, dtype):
    X, start = apart(LEAST + 5, spread)
    X = X.astype(dtype)
    expected = stepped(FULL, X, 3, start, n_jobs=1)
    assert_same_model(stepped(FULL, X, 3, start, n_jobs=2), expected)
    assert_same_model(stepped(FULL, np.asfortranarray(X), 3, start, n_jobs=2), expected)
    chunked = model_at(FULL, start, max_iter=3, tol=0.0)
    assert_same_model(fit_quietly(chunked, cut(X, UNEVEN)), expected)
