"""Slow float64 twins of the families: textbook formulas, one loop per component, two passes.

Nothing here is shared with fusem. A twin is what a kernel must equal; it is written to be checked
by eye against a textbook, and is tested against SciPy and scikit-learn in `test_reference.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import gammaln, xlogy
from scipy.stats import poisson

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """Weights (K,), means (K, d) and covariances, in scikit-learn's shape for their type."""

    weights: Array
    means: Array
    covariances: Array


def density_of_matrix(X: Array, mean: Array, covariance: Array) -> Array:
    """Log-density of N(mean, covariance) at every row, from a Cholesky factor."""
    factor = cholesky(covariance, lower=True)
    y = solve_triangular(factor, (X - mean).T, lower=True)
    log_determinant = 2.0 * np.sum(np.log(np.diag(factor)))
    constant = len(mean) * np.log(2.0 * np.pi) + log_determinant
    density: Array = -0.5 * (constant + np.sum(y * y, axis=0))
    return density


def density_of_variances(X: Array, mean: Array, variances: Array) -> Array:
    """Log-density of independent columns N(mean_j, variances_j) at every row."""
    z = (X - mean) / np.sqrt(variances)
    terms = -0.5 * (np.log(2.0 * np.pi) + np.log(variances) + z * z)
    density: Array = terms.sum(axis=1)
    return density


def full_density(X: Array, params: Parameters, k: int) -> Array:
    return density_of_matrix(X, params.means[k], params.covariances[k])


def tied_density(X: Array, params: Parameters, k: int) -> Array:
    return density_of_matrix(X, params.means[k], params.covariances)


def diag_density(X: Array, params: Parameters, k: int) -> Array:
    return density_of_variances(X, params.means[k], params.covariances[k])


def spherical_density(X: Array, params: Parameters, k: int) -> Array:
    variances = np.full(X.shape[1], params.covariances[k])
    return density_of_variances(X, params.means[k], variances)


def centred_mean(X: Array, mass: Array) -> Array:
    """Weighted mean in two passes: about a first guess, so that a large offset costs nothing."""
    guess = X[np.argmax(mass)]
    mean: Array = guess + (mass / mass.sum()) @ (X - guess)
    return mean


def centred_scatter(X: Array, mass: Array, mean: Array) -> Array:
    """Matrix of sum_i mass_i (x_i - mean)(x_i - mean)'."""
    centred = X - mean
    return (mass[:, None] * centred).T @ centred


def full_covariances(
    X: Array, masses: Array, means: Array, before: Array, reg_covar: float
) -> Array:
    covariances = before.copy()
    for k, mass in enumerate(masses.T):
        if mass.sum() > 0:
            scatter = centred_scatter(X, mass, means[k])
            covariances[k] = scatter / mass.sum() + reg_covar * np.eye(X.shape[1])
    return covariances


def tied_covariances(
    X: Array, masses: Array, means: Array, before: Array, reg_covar: float
) -> Array:
    scatter = np.zeros_like(before)
    for k, mass in enumerate(masses.T):
        scatter += centred_scatter(X, mass, means[k])
    covariance: Array = scatter / masses.sum() + reg_covar * np.eye(X.shape[1])
    return covariance


def diag_covariances(
    X: Array, masses: Array, means: Array, before: Array, reg_covar: float
) -> Array:
    covariances = before.copy()
    for k, mass in enumerate(masses.T):
        if mass.sum() > 0:
            covariances[k] = mass @ (X - means[k]) ** 2 / mass.sum() + reg_covar
    return covariances


def spherical_covariances(
    X: Array, masses: Array, means: Array, before: Array, reg_covar: float
) -> Array:
    covariances = before.copy()
    for k, mass in enumerate(masses.T):
        if mass.sum() > 0:
            covariances[k] = np.mean(mass @ (X - means[k]) ** 2 / mass.sum()) + reg_covar
    return covariances


@dataclass(frozen=True)
class Density:
    """One family's log-density, and the E-step made of it."""

    density: Callable[[Array, Any, int], Array]

    def log_density(self, X: Array, params: Any) -> Array:
        """Log-density of every row under every component, (n, K), without the weights."""
        X = np.asarray(X, dtype=np.float64)
        columns = [self.density(X, params, k) for k in range(len(params.weights))]
        return np.column_stack(columns)

    def log_likelihoods(self, X: Array, params: Any) -> Array:
        """Log-density of every row under the mixture, (n,)."""
        joint = self.log_density(X, params) + log_or_minus_infinity(params.weights)
        largest = joint.max(axis=1)
        rows: Array = largest + np.log(np.exp(joint - largest[:, None]).sum(axis=1))
        return rows

    def responsibilities(self, X: Array, params: Any) -> Array:
        """Posterior probability of every component given every row, (n, K)."""
        joint = self.log_density(X, params) + log_or_minus_infinity(params.weights)
        return np.exp(joint - self.log_likelihoods(X, params)[:, None])


@dataclass(frozen=True)
class Twin(Density):
    """A Gaussian family: its log-density and its M-step, and the EM step made of both."""

    estimate: Callable[[Array, Array, Array, Array, float], Array]
    covariance_parameters: Callable[[int, int], int]  # (K, d) -> free ones of the covariances

    def m_step(
        self, X: Array, masses: Array, params: Parameters, reg_covar: float = 0.0
    ) -> Parameters:
        """Parameters that fit rows split among components by `masses` (n, K).

        A component without mass keeps the mean and the covariance it has in `params`.
        """
        X = np.asarray(X, dtype=np.float64)
        means = np.array(params.means, dtype=np.float64)
        for k, mass in enumerate(masses.T):
            if mass.sum() > 0:
                means[k] = centred_mean(X, mass)
        covariances = self.estimate(X, masses, means, params.covariances, reg_covar)
        return Parameters(masses.sum(axis=0) / masses.sum(), means, covariances)

    def em_step(
        self,
        X: Array,
        sample_weight: Array | None,
        weights: Array,
        means: Array,
        covariances: Array,
        reg_covar: float,
    ) -> tuple[float, Array, Array, Array]:
        """One EM step: (mean log-likelihood before it, weights, means, covariances after it)."""
        params = Parameters(weights, means, covariances)
        if sample_weight is None:
            sample_weight = np.ones(len(X))
        rows = self.log_likelihoods(X, params)
        log_likelihood = float(np.sum(sample_weight * rows) / np.sum(sample_weight))
        masses = sample_weight[:, None] * self.responsibilities(X, params)
        return (log_likelihood, *self.m_step(X, masses, params, reg_covar))

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the mixture, as counted in AIC and BIC."""
        covariances = self.covariance_parameters(n_components, n_features)
        return covariances + n_components * n_features + n_components - 1


def log_or_minus_infinity(weights: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(weights)


class CountParameters(NamedTuple):
    """Weights (K,) and what components have instead of means: rates, probabilities."""

    weights: Array
    values: Array  # (K, d), for categories (K, d, M)


def poisson_density(X: Array, params: CountParameters, k: int) -> Array:
    """Log-probability of independent Poisson counts at every row; NaN is left out."""
    terms = np.where(np.isnan(X), 0.0, poisson.logpmf(np.nan_to_num(X), params.values[k]))
    density: Array = terms.sum(axis=1)
    return density


def categorical_density(X: Array, params: CountParameters, k: int) -> Array:
    """Log-probability of independent codes at every row; NaN is left out."""
    density = np.zeros(len(X))
    for i, row in enumerate(X):
        for j, code in enumerate(row):
            if not np.isnan(code):
                density[i] += log_or_minus_infinity(params.values[k, j, int(code)])
    return density


def multinomial_density(X: Array, params: CountParameters, k: int) -> Array:
    """Log-probability of how a row's total is shared out, at every row."""
    density: Array = gammaln(X.sum(axis=1) + 1.0)
    for j, probability in enumerate(params.values[k]):
        density += xlogy(X[:, j], probability) - gammaln(X[:, j] + 1.0)
    return density


def poisson_rates(X: Array, masses: Array, before: Array) -> Array:
    rates = before.copy()
    for j in range(X.shape[1]):
        known = ~np.isnan(X[:, j])
        for k, mass in enumerate(masses.T):
            if mass[known].sum() > 0:
                rates[k, j] = mass[known] @ X[known, j] / mass[known].sum()
    return rates


def categorical_probabilities(X: Array, masses: Array, before: Array) -> Array:
    probabilities = before.copy()
    for k, j in np.ndindex(*before.shape[:2]):
        known = ~np.isnan(X[:, j])
        total = masses[known, k].sum()
        if total > 0:
            for m in range(before.shape[2]):
                probabilities[k, j, m] = masses[X[:, j] == m, k].sum() / total
    return probabilities


def multinomial_probabilities(X: Array, masses: Array, before: Array) -> Array:
    probabilities = before.copy()
    for k, mass in enumerate(masses.T):
        counts = mass @ X
        if counts.sum() > 0:
            probabilities[k] = counts / counts.sum()
    return probabilities


@dataclass(frozen=True)
class CountTwin(Density):
    """A family of counts or codes: its log-density and its M-step, and the EM step made of both."""

    estimate: Callable[[Array, Array, Array], Array]
    free: Callable[[tuple[int, ...]], int]  # shape of the parameters -> how many are free

    def em_step(
        self, X: Array, sample_weight: Array | None, params: CountParameters
    ) -> tuple[float, CountParameters]:
        """One EM step: mean log-likelihood before it, parameters after it; rows of NaN do not count."""
        X = np.asarray(X, dtype=np.float64)
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        weight = np.where(np.isnan(X).all(axis=1), 0.0, weight)
        counted = weight > 0.0
        X, weight = X[counted], weight[counted]
        log_likelihood = float(weight @ self.log_likelihoods(X, params) / weight.sum())
        masses = weight[:, None] * self.responsibilities(X, params)
        values = self.estimate(X, masses, params.values)
        return log_likelihood, CountParameters(masses.sum(axis=0) / weight.sum(), values)

    def n_parameters(self, shape: tuple[int, ...]) -> int:
        """Free parameters of the mixture, as counted in AIC and BIC."""
        return self.free(shape) + shape[0] - 1


TWINS: dict[str, Twin | CountTwin] = {
    "gaussian_full": Twin(full_density, full_covariances, lambda K, d: K * d * (d + 1) // 2),
    "gaussian_tied": Twin(tied_density, tied_covariances, lambda K, d: d * (d + 1) // 2),
    "gaussian_diag": Twin(diag_density, diag_covariances, lambda K, d: K * d),
    "gaussian_spherical": Twin(spherical_density, spherical_covariances, lambda K, d: K),
    "poisson": CountTwin(poisson_density, poisson_rates, lambda shape: shape[0] * shape[1]),
    "categorical": CountTwin(
        categorical_density,
        categorical_probabilities,
        lambda shape: shape[0] * shape[1] * (shape[2] - 1),
    ),
    "multinomial": CountTwin(
        multinomial_density, multinomial_probabilities, lambda shape: shape[0] * (shape[1] - 1)
    ),
}


def next_matrix(
    mean: Array, covariance: Array, count: float, first: Array, second: Array, reg: Array
) -> tuple[Array, Array]:
    """Mean and covariance of rows of which count, Σ r y and Σ r y yᵀ are known, y = L⁻¹ (x − mean)."""
    factor = cholesky(covariance, lower=True)
    shift = first / count
    inner = second / count - np.outer(shift, shift)
    return mean + factor @ shift, factor @ inner @ factor.T + np.diag(reg)


def tree_sum(values):
    """Sum in the fixed order of the reduction tree: complete halves first, the rest to their right.

    Written as the definition: a power-of-two run is the sum of its two halves; any other run is its
    largest power-of-two prefix plus what is left.
    """
    n = len(values)
    if n == 1:
        return values[0]
    power = 1 << (n.bit_length() - 1)
    left = power if power < n else n // 2
    return tree_sum(values[:left]) + tree_sum(values[left:])
