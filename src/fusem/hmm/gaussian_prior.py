"""The M-step of Gaussian states under priors of means and covariances, as hmmlearn parametrises them.

Means: normal with `means_weight` observations' worth at `means_prior`. Variances: `covars_prior` is added to
the scatter, and `covars_weight` less 1 (matrices: less the number of columns), if positive, to the counts.
Source: Gauvain, Lee 1994, equations 27 to 34, for the mode of the posterior.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import beyond_rounding, diagonals, known

Array = NDArray[np.float64]
FAR = 1e10  # squared distance of old mean from new, in old variances: a covariance from it has no digits left
LEAST_COUNT = 1e-5  # what scatter is divided by at least


class Prior(NamedTuple):
    """Checked parameters of the priors; all 0 for maximum likelihood."""

    means: Array | float  # (K, d)
    means_weight: Array | float  # (K,)
    covariances: Array  # (K, d, d) for matrices, tied (d, d), (K, d) else
    covariances_weight: float  # that counts


def no_prior(params: Any) -> Prior:
    """Of maximum likelihood."""
    scatter = np.zeros(
        params.covariances.shape if params.covariances.ndim == 3 else params.means.shape
    )
    return Prior(0.0, np.zeros(len(params.means)), scatter, 0.0)


def moments(family: ModuleType, params: Any, sums: Array) -> tuple[Array, Array, Array]:
    """N (K,), means (K, d) and scatter about them, in the form of the family; tied: of all states together.

    A state without any row keeps its mean, and its scatter is that of one row at its covariance.
    """
    K, d = params.means.shape
    if family.NAME == "gaussian_tied":
        counts = family.stats_of(sums, K, d).counts
        new = family.maximize(params, sums, np.zeros(d))
        return counts, new.means, new.covariances * counts.sum()
    stats = family.stats_of(sums, K, d)
    if family.NAME == "gaussian_full":
        counts = stats.counts
        shift = stats.first / known(counts)[:, None]
        square = stats.second / known(counts)[:, None, None]
        relative = square - shift[:, :, None] * shift[:, None, :]
        factor = np.linalg.inv(params.whitening)
        far = (shift**2).sum(axis=1) > FAR
        scatter = factor @ relative @ np.swapaxes(factor, 1, 2)
        scatter = np.where((far | (counts <= 0.0))[:, None, None], params.covariances, scatter)
        means = params.means + np.einsum("kij,kj->ki", factor, shift)
        return counts, means, scatter * known(counts)[:, None, None]
    counts = stats.counts
    shift = stats.first / known(counts)[:, None]
    if family.NAME == "gaussian_diag":
        relative = beyond_rounding(stats.second / known(counts)[:, None], shift**2)
        relative = np.where((shift**2 > FAR) | (counts <= 0.0)[:, None], 1.0, relative)
        means = params.means + shift / params.whitening
        return counts, means, params.covariances * relative * known(counts)[:, None]
    distance = (shift**2).sum(axis=1)
    relative = beyond_rounding(stats.squares / known(counts), distance) / d
    relative = np.where((distance > FAR) | (counts <= 0.0), 1.0, relative)
    means = params.means + shift / params.whitening[:, None]
    return counts, means, params.covariances * relative * known(counts)


def renewed(
    family: ModuleType, params: Any, sums: Array, prior: Prior, means: bool, covariances: bool
) -> tuple[Array, Array]:
    """Means and covariances at the mode of the posterior; what is not to be estimated stays.

    States without any row keep both.
    """
    counts, new, scatter = moments(family, params, sums)
    unseen = ~(counts > 0.0)
    weight, centre = np.broadcast_to(prior.means_weight, counts.shape), prior.means
    if means:
        chosen = weight[:, None] * centre + new * counts[:, None]
        chosen = chosen / known(weight + counts)[:, None]
        chosen = np.where(unseen[:, None], params.means, chosen)
    else:
        chosen = params.means
    if not covariances:
        return chosen, params.covariances
    off, moved = chosen - centre, new - chosen
    name = family.NAME
    if name in ("gaussian_full", "gaussian_tied"):
        outer = weight[:, None, None] * np.einsum("ki,kj->kij", off, off)
        outer = outer + counts[:, None, None] * np.einsum("ki,kj->kij", moved, moved)
        if name == "gaussian_tied":
            total = prior.covariances + scatter + outer.sum(axis=0)
            return chosen, total / (prior.covariances_weight + counts.sum())
        denominator = prior.covariances_weight + counts
        result = (prior.covariances + scatter + outer) / known(denominator)[:, None, None]
        return chosen, np.where(unseen[:, None, None], params.covariances, result)
    squares = weight[:, None] * off**2 + counts[:, None] * moved**2
    denominator = np.maximum(prior.covariances_weight + counts, LEAST_COUNT)
    if name == "gaussian_diag":
        result = (prior.covariances + scatter + squares) / denominator[:, None]
        return chosen, np.where(unseen[:, None], params.covariances, result)
    result = (prior.covariances + squares).mean(axis=1) + scatter
    return chosen, np.where(unseen, params.covariances, result / denominator)


def log_prior(family: ModuleType, params: Any, prior: Prior) -> float:
    """Logarithm of the prior density that `renewed` takes the mode with, but for a constant."""
    whitening = family.whitening_matrices(params)
    off = np.einsum("kij,kj->ki", whitening, params.means - prior.means)
    value = float((prior.means_weight * (off**2).sum(axis=1)).sum())
    log_det = -2.0 * np.log(diagonals(whitening)).sum(axis=1)
    scatter = prior.covariances[None] if family.NAME == "gaussian_tied" else prior.covariances
    for k, own in enumerate(scatter):
        inverse = whitening[k].T @ whitening[k]
        value += float(((np.diag(inverse) if own.ndim < 2 else inverse) * own).sum())
        value += prior.covariances_weight * float(log_det[k])
    return -0.5 * value
