"""Starts of hidden Markov models: neither the unit of the rows nor their origin decides where a fit ends."""

from __future__ import annotations

import numpy as np
import pytest

import fusem
from fusem.exceptions import RegularizationWarning
from fusem.hmm.start_means import covariance_of, means_of_clusters, nearest_mean
from tests.models import fit_quietly

RNG = np.random.default_rng(0)
ROWS = np.concatenate([RNG.normal(0.0, 1.0, (100, 2)), RNG.normal(6.0, 1.0, (100, 2))])
SEEN = int(np.isfinite(ROWS).sum())
ML = {"covars_prior": None, "min_covar": 0.0}
MODELS = {
    "full": lambda: fusem.GaussianHMM(2, "full", random_state=0, n_iter=9, tol=0.0, **ML),
    "tied": lambda: fusem.GaussianHMM(2, "tied", random_state=0, n_iter=9, tol=0.0, **ML),
    "diag": lambda: fusem.GaussianHMM(2, "diag", random_state=0, n_iter=9, tol=0.0, **ML),
    "spherical": lambda: fusem.GaussianHMM(2, "spherical", random_state=0, n_iter=9, tol=0.0, **ML),
    "parts": lambda: fusem.GMMHMM(2, 2, random_state=0, n_iter=9, tol=0.0, min_covar=0.0),
    "any": lambda: fusem.HMM(2, "gaussian_diag", random_state=0, n_iter=9, tol=0.0),
}


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 4e8, 1e12, 1e30, 1e140])
@pytest.mark.parametrize("kind", MODELS)
def test_the_unit_of_the_rows_does_not_matter(kind, scale):
    once = fit_quietly(MODELS[kind](), ROWS).score(ROWS)
    scaled = fit_quietly(MODELS[kind](), ROWS * scale).score(ROWS * scale)
    assert scaled + ROWS.size * np.log(scale) == pytest.approx(once, abs=1e-8)


def test_a_start_that_is_wider_than_the_rows_is_told():
    X = ROWS * [1e-3, 1.0]
    model = fusem.GaussianHMM(2, random_state=0, n_iter=9, tol=0.0, covars_prior=None)
    with pytest.warns(
        RegularizationWarning, match="min_covar=0.001 is more than the variance of column 0:"
    ):
        fit_quietly(model, X)
    fit_quietly(model.set_params(min_covar=0.0), X)  # any warning is an error
    fit_quietly(model.set_params(min_covar=1e-3), ROWS)


@pytest.mark.parametrize("scale", [1e-120, 1e12, 1e30])
def test_nor_does_it_where_values_are_missing(scale):
    rows = np.where(np.random.default_rng(1).uniform(size=ROWS.shape) < 0.6, ROWS, np.nan)
    seen = int(np.isfinite(rows).sum())
    once = fit_quietly(MODELS["diag"](), rows).score(rows)
    scaled = fit_quietly(MODELS["diag"](), rows * scale).score(rows * scale)
    assert scaled + seen * np.log(scale) == pytest.approx(once, abs=1e-8)


@pytest.mark.parametrize("offset", [1e8, 1e10, -1e10])
@pytest.mark.parametrize("kind", MODELS)
def test_nor_their_origin(kind, offset):
    """Up to what is lost where the offset is added: 1e-6 of a standard deviation."""
    rows = (ROWS + offset) - offset
    once = fit_quietly(MODELS[kind](), rows).score(rows)
    moved = fit_quietly(MODELS[kind](), rows + offset).score(rows + offset)
    assert moved == pytest.approx(once, abs=1e-4)


def test_large_counts_start_at_their_means():
    rng = np.random.default_rng(2)
    counts = np.concatenate([rng.poisson(5e9, (100, 1)), rng.poisson(9e9, (100, 1))])
    rates = fit_quietly(fusem.PoissonHMM(2, random_state=0, n_iter=9), counts).lambdas_
    np.testing.assert_allclose(np.sort(rates.ravel()), [5e9, 9e9], rtol=1e-4)


def test_parts_of_a_start_are_in_the_unit_of_the_rows():
    rows = np.array([[0.0], [1.0], [10.0], [11.0]]) * 1e200
    means = np.sort(means_of_clusters(rows, 2, np.random.RandomState(0)), axis=0)
    np.testing.assert_allclose(means, [[0.5e200], [10.5e200]])
    np.testing.assert_array_equal(nearest_mean(rows, means), [0, 0, 1, 1])
    small = np.array([[0.0, 3.0], [2.0, 4.0], [4.0, 2.0]])
    np.testing.assert_allclose(covariance_of(small * 1e150), np.cov(small.T) * 1e300)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.DegenerateComponentWarning")
def test_a_prior_that_shapes_the_result_is_told(kind):
    model = fusem.GaussianHMM(2, kind, random_state=0, n_iter=30)
    fit_quietly(model, ROWS)  # any warning is an error
    with pytest.warns(RegularizationWarning, match="variance of states in column 0, column 1: it"):
        fit_quietly(model, ROWS * 1e-3)
    if kind != "spherical":  # whose variance is that of all columns
        with pytest.warns(RegularizationWarning, match="states in column 1: it is added"):
            fit_quietly(model, ROWS * [1.0, 1e-3])
    chosen = fusem.GaussianHMM(
        2, kind, random_state=0, n_iter=30, covars_prior=np.full((2, 2), 0.02)
    )
    fit_quietly(chosen if kind != "spherical" else model.set_params(covars_prior=0.02), ROWS * 0.01)
    small = {"covars_prior": None, "min_covar": 1e-2}  # counts at the start alone
    fit_quietly(fusem.GaussianHMM(2, kind, random_state=0, n_iter=30, **small), ROWS * 0.1)
