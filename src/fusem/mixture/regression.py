"""Columns regressed on others within every component, in NumPy: for few rows, and those that are far out."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import inverse_triangles, symmetric
from fusem.mixture.engine import Model

Array = NDArray[np.float64]


def regression(
    whitening: Array, some: NDArray[np.intp], rest: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Slopes (K, rest, some) of the other columns on some, and their covariances (K, rest, rest) given those.

    From W_rest = Q R: −R⁻¹ Qᵀ W_some and R⁻¹ R⁻ᵀ; no difference of large numbers.
    """
    q, r = np.linalg.qr(whitening[:, :, rest])
    inverse = np.swapaxes(inverse_triangles(np.swapaxes(r, 1, 2)), 1, 2)
    return -inverse @ np.swapaxes(q, 1, 2) @ whitening[:, :, some], symmetric(inverse)


def components_of(
    family: ModuleType, model: Model, X: Array, missing: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """What components expect of values that all rows miss, (n, K, m), and their covariances (K, m, m)."""
    some, rest = np.flatnonzero(~missing), np.flatnonzero(missing)
    slopes, within = regression(family.whitening_matrices(model.components), some, rest)
    offset = X[:, None, some] - model.components.means[:, some]
    return model.components.means[:, rest] + np.einsum("kij,nkj->nki", slopes, offset), within


def conditional_moments(
    family: ModuleType, model: Model, X: Array, proba: NDArray[Any]
) -> tuple[Array, Array]:
    """Rows with means in place of missing values, and the covariance of these, pattern by pattern."""
    n, d = X.shape
    means, covariances = X.copy(), np.zeros((n, d, d))
    patterns, number = np.unique(np.isnan(X), axis=0, return_inverse=True)
    for which, missing in enumerate(patterns):
        rows, rest = np.flatnonzero(number.reshape(-1) == which), np.flatnonzero(missing)
        if not rest.size:
            continue
        expected, within = components_of(family, model, X[rows], missing)
        share = np.asarray(proba[rows], dtype=np.float64)
        mean = np.einsum("nk,nki->ni", share, expected)
        apart = expected - mean[:, None]
        spread = np.einsum("nk,nki,nkj->nij", share, apart, apart)
        means[np.ix_(rows, rest)] = mean
        covariances[np.ix_(rows, rest, rest)] = spread + np.tensordot(share, within, axes=1)
    return means, covariances


def drawn_values(
    family: ModuleType, model: Model, X: Array, proba: NDArray[Any], normal: Array, uniform: Array
) -> Array:
    """Rows with draws in place of missing values, row by row, from numbers (n, d) and (n,)."""
    values = X.copy()
    for row, (x, share) in enumerate(zip(X, proba, strict=True)):
        missing = np.isnan(x)
        if not missing.any():
            continue
        k = min(int(np.searchsorted(np.cumsum(share), uniform[row], side="right")), len(share) - 1)
        expected, within = components_of(family, model, x[None], missing)
        factor = np.linalg.cholesky(within[k])
        values[row, missing] = expected[0, k] + factor @ normal[row, missing]
    return values
