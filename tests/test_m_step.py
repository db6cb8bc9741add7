"""The compiled M-step of covariance matrices: equal to its twin, whatever the order, scale and neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.families import gaussian_full
from fusem.families.gaussian import Params, SingularComponents, renewed
from tests.comparison import assert_bit_identical
from tests.reference import next_matrix

K = 5
EPS = np.finfo(np.float64).eps


def problem(d, n_components=K, seed=0, scale=1.0):
    """Parameters and a statistic about them, with the scatter of 3 d rows per component."""
    rng = np.random.default_rng(seed)
    factors = (np.eye(d) + 0.3 * rng.normal(size=(n_components, d, d)) / np.sqrt(d)) * scale
    params = gaussian_full.from_covariances(
        rng.normal(size=(n_components, d)) * scale, factors @ np.swapaxes(factors, 1, 2)
    )
    counts = np.empty(n_components)
    first, second = np.empty((n_components, d)), np.empty((n_components, d, d))
    for k in range(n_components):
        y = rng.normal(size=(3 * d, d)) * rng.uniform(0.5, 2.0, d) + rng.normal(size=d)
        resp = rng.uniform(size=len(y))
        counts[k], first[k], second[k] = resp.sum(), resp @ y, (resp * y.T) @ y
    return params, counts, first, second


def step(params, counts, first, second, reg):
    row, column = np.tril_indices(len(reg))
    return renewed(params, counts, first.ravel(), second[:, row, column].ravel(), reg)


def assert_equals_the_twin(given, reg, result, bound):
    params, counts, first, second = given
    for k in range(len(counts)):
        mean, covariance = next_matrix(
            params.means[k], params.covariances[k], counts[k], first[k], second[k], reg
        )
        size = np.sqrt(np.diag(covariance))
        assert np.all(np.abs(result.means[k] - mean) <= bound * (np.abs(mean) + size))
        difference = np.abs(result.covariances[k] - covariance)
        assert np.all(difference <= bound * np.outer(size, size))
        unit = result.whitening[k] @ covariance @ result.whitening[k].T
        assert np.all(np.abs(unit - np.eye(len(size))) <= 10.0 * bound)


@pytest.mark.parametrize("d", [*range(1, 10), 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130])
def test_equals_its_twin(d):
    given, reg = problem(d), np.linspace(0.0, 0.5, d)
    result = step(*given, reg)
    assert_equals_the_twin(given, reg, result, 50.0 * EPS * d)
    np.testing.assert_array_equal(result.whitening, np.tril(result.whitening))
    np.testing.assert_array_equal(result.covariances, np.swapaxes(result.covariances, 1, 2))


def test_another_statistic_is_seen():
    given, reg = problem(7), np.zeros(7)
    result = step(*given, reg)
    for part in (1, 2, 3):
        wrong = list(given)
        wrong[part] = given[part] * (1.0 + 1e-9)
        with pytest.raises(AssertionError):
            assert_equals_the_twin(wrong, reg, result, 50.0 * EPS * 7)


def test_whatever_the_layout():
    params, *sums = problem(6)
    turned = Params(*(np.asfortranarray(part) for part in params))
    for mine, theirs in zip(step(turned, *sums, np.zeros(6)), step(params, *sums, np.zeros(6))):
        assert_bit_identical(mine, theirs, "")


@pytest.mark.parametrize("exponent", [-490, -300, 300, 490])
def test_any_scale_gives_the_same_digits(exponent):
    """Columns scaled by powers of two, every other one."""
    d = 9
    params, *sums = problem(d)
    scale = np.where(np.arange(d) % 2 == 0, 2.0**exponent, 1.0)
    scaled = Params(
        params.means * scale,
        params.covariances * scale * scale[:, None],
        params.whitening / scale,
    )
    reg = 1e-3 * np.ones(d)
    plain, result = step(params, *sums, reg), step(scaled, *sums, reg * scale**2)
    np.testing.assert_array_equal(result.means, plain.means * scale)
    np.testing.assert_array_equal(result.whitening, plain.whitening / scale)
    np.testing.assert_array_equal(result.covariances, plain.covariances * scale * scale[:, None])


def test_components_do_not_touch_each_other():
    """The same bits alone and among others, also where those before are singular, dead or no number."""
    d = 6
    params, counts, first, second = problem(d, n_components=7)
    plain = step(params, counts, first, second, np.zeros(d))
    counts[0], kept = 0.0, second.copy()
    second[2], second[4] = 0.0, np.nan
    for k in (1, 3, 5, 6):
        alone = Params(*(part[k : k + 1] for part in params))
        sums = counts[k : k + 1], first[k : k + 1], second[k : k + 1]
        for mine, theirs in zip(step(alone, *sums, np.zeros(d)), plain):
            assert_bit_identical(mine[0], theirs[k], f"component {k}")
    with pytest.raises(SingularComponents) as caught:
        step(params, counts, first, second, np.zeros(d))
    assert caught.value.components == [2, 4]
    result = step(params, counts, first, kept, np.zeros(d))
    for mine, theirs, before in zip(result, plain, params):
        np.testing.assert_array_equal(mine[0], before[0])  # without any responsibility
        for k in (1, 3, 5, 6):
            assert_bit_identical(mine[k], theirs[k], f"component {k}")


@pytest.mark.parametrize("d", [2, 5, 40])
def test_a_pivot_that_is_rounding_error_is_singular(d):
    """Rows in a plane: exactly, to rounding, and just beyond it."""
    params, counts, first, second = problem(d, n_components=1)
    first[:] = 0.0
    y = np.random.default_rng(1).normal(size=(4 * d, d))
    y[:, -1] = y[:, 0]
    second[0], counts[0] = y.T @ y, len(y)
    with pytest.raises(SingularComponents):
        step(params, counts, first, second, np.zeros(d))
    step(params, counts, first, second, np.full(d, 1e-9))
    y[:, -1] += 1e-5 * np.random.default_rng(2).normal(size=len(y))
    second[0] = y.T @ y
    step(params, counts, first, second, np.zeros(d))
