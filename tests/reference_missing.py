"""Slow float64 twins for rows with missing values: textbook formulas, one row and one component at a time.

Nothing here is shared with fusem. Little and Rubin 2002, section 11.2 (normal data), for every component.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.reference import Parameters

Array = NDArray[np.float64]


class Expected(NamedTuple):
    """The E-step of rows that have a value."""

    log_likelihoods: Array  # (n,) of what was observed, 0 for rows without any value
    responsibilities: Array  # (n, K)
    rows: Array  # (n, K, d) with conditional means in place of missing values
    covariances: Array  # (n, K, d, d) of the missing values, 0 elsewhere


def matrices(covariances: Array, covariance_type: str, shape: tuple[int, int]) -> Array:
    """Covariances of scikit-learn's shapes as (K, d, d)."""
    K, d = shape
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.repeat(covariances[None], K, axis=0)
    if covariance_type == "diag":
        return np.array([np.diag(variances) for variances in covariances])
    return np.array([variance * np.eye(d) for variance in covariances])


def log_density(deviation: Array, covariance: Array) -> float:
    """Of a normal distribution, at a deviation from its mean."""
    _, log_determinant = np.linalg.slogdet(2.0 * np.pi * covariance)
    return -0.5 * (log_determinant + deviation @ np.linalg.solve(covariance, deviation))


def expectation(X: Array, params: Parameters, covariance_type: str) -> Expected:
    """Expect the missing values of every row under every component."""
    X = np.asarray(X, dtype=np.float64)
    (n, d), K = X.shape, len(params.weights)
    covariances = matrices(params.covariances, covariance_type, (K, d))
    likelihoods, shares = np.zeros(n), np.tile(params.weights / params.weights.sum(), (n, 1))
    rows, spreads = np.tile(X[:, None], (1, K, 1)), np.zeros((n, K, d, d))
    for i, x in enumerate(X):
        known, missing = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        joint = np.zeros(K)
        for k, (mean, covariance) in enumerate(zip(params.means, covariances, strict=True)):
            inner = covariance[np.ix_(known, known)]
            across = covariance[np.ix_(missing, known)]
            if known.size:
                with np.errstate(divide="ignore"):
                    joint[k] = np.log(params.weights[k]) + log_density(
                        x[known] - mean[known], inner
                    )
            slopes = np.linalg.solve(inner, across.T).T if known.size else across
            rows[i, k, missing] = mean[missing] + slopes @ (x[known] - mean[known])
            within = covariance[np.ix_(missing, missing)] - slopes @ across.T
            spreads[i, k][np.ix_(missing, missing)] = within
        if known.size:
            largest = joint.max()
            likelihoods[i] = largest + np.log(np.exp(joint - largest).sum())
            shares[i] = np.exp(joint - likelihoods[i])
    return Expected(likelihoods, shares, rows, spreads)


def imputed(X: Array, params: Parameters, covariance_type: str) -> Array:
    """Rows with the mixture's conditional means in place of missing values."""
    expected = expectation(X, params, covariance_type)
    return np.einsum("nk,nkd->nd", expected.responsibilities, expected.rows)


def drawn(
    X: Array, params: Parameters, covariance_type: str, normal: Array, uniform: Array
) -> Array:
    """Rows with draws in place of missing values, from standard normal (n, d) and uniform (n,) numbers."""
    expected = expectation(X, params, covariance_type)
    values = np.array(X, dtype=np.float64)
    for i, missing in enumerate(np.isnan(X)):
        k = int((np.cumsum(expected.responsibilities[i])[:-1] <= uniform[i]).sum())
        factor = np.linalg.cholesky(expected.covariances[i, k][np.ix_(missing, missing)])
        values[i, missing] = expected.rows[i, k, missing] + factor @ normal[i, missing]
    return values


def em_step(
    X: Array,
    sample_weight: Array | None,
    params: Parameters,
    covariance_type: str,
    reg_covar: float,
) -> tuple[float, Parameters]:
    """One EM step: mean log-likelihood of what was observed before it, parameters after it.

    `reg_covar` counts as often as values are observed: the expected squares of missing ones have it in them.
    """
    some = ~np.isnan(X).all(axis=1)
    w = (np.ones(len(X)) if sample_weight is None else sample_weight)[some]
    expected = expectation(X[some], params, covariance_type)
    masses = w[:, None] * expected.responsibilities
    counts = masses.sum(axis=0)
    means = np.einsum("nk,nkd->kd", masses, expected.rows) / counts[:, None]
    apart = expected.rows - means
    second = apart[..., :, None] * apart[..., None, :] + expected.covariances
    scatter = np.einsum("nk,nkij->kij", masses, second)
    d, reg = X.shape[1], reg_covar * (w @ ~np.isnan(X[some])) / w.sum()
    if covariance_type == "full":
        covariances = scatter / counts[:, None, None] + np.diag(reg)
    elif covariance_type == "tied":
        covariances = scatter.sum(axis=0) / counts.sum() + np.diag(reg)
    elif covariance_type == "diag":
        covariances = np.einsum("kii->ki", scatter) / counts[:, None] + reg
    else:
        covariances = np.einsum("kii->k", scatter) / counts / d + reg.mean()
    likelihood = float(w @ expected.log_likelihoods / w.sum())
    return likelihood, Parameters(counts / counts.sum(), means, covariances)
