"""The M-step of states that are mixtures of Gaussians, under priors as hmmlearn parametrises them.

Weights: Dirichlet. Means: normal with `means_weight` observations' worth at `means_prior`. Covariances:
inverse gamma (diag, spherical: shape `covars_prior`, scale `covars_weight`) or inverse Wishart (full, tied:
scale `covars_prior`, degrees of freedom `covars_weight`). The step finds the mode of all together,
covariances about the *new* means. Source: Gauvain, Lee 1994, equations 27 to 34.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import diagonals, known
from fusem.families.state_mixture import StateMixture
from fusem.hmm.gaussian_prior import moments
from fusem.hmm.prior_values import mean_and_weight, prior_matrices, prior_values

Array = NDArray[np.float64]


class PartsPrior(NamedTuple):
    """Checked parameters of the priors; all 0 for maximum likelihood."""

    means: Array  # (K, M, d)
    means_weight: Array  # (K, M)
    scatter: Array  # in the shape of the covariances, tied (K, d, d): added to the scatter
    counted: Array  # (K, M), diag (K, M, d), tied (K): added to what it is divided by


def prior_of(
    covariance_type: str,
    shape: tuple[int, int, int],
    means: Any,
    means_weight: Any,
    covars: Any,
    covars_weight: Any,
) -> PartsPrior:
    """The priors, checked and broadcast to K states of M parts in d columns; None is maximum likelihood."""
    K, M, d = shape
    axes = "n_components", "n_mix", "n_features"
    means, means_weight = mean_and_weight(means, means_weight)
    centre = prior_values("means_prior", means, (K, M, d), axes)
    weight = prior_values("means_weight", means_weight, (K, M), axes[:2], 0.0)
    if covariance_type in ("diag", "spherical"):
        size = (K, M, d) if covariance_type == "diag" else (K, M)
        columns = 1 if covariance_type == "diag" else d
        shape_parameter = -(columns + 2) / 2 if covars is None else covars
        scale = 0.0 if covars_weight is None else covars_weight
        counted = prior_values("covars_prior", shape_parameter, size, axes[: len(size)])
        counted = columns + 2.0 * (counted + 1.0)
        scales = prior_values("covars_weight", scale, size, axes[: len(size)], 0.0)
        return PartsPrior(centre, weight, 2.0 * scales, counted)
    together = (K,) if covariance_type == "tied" else (K, M)
    names = axes[: len(together)]
    parts = M if covariance_type == "tied" else 1
    freedom = -(parts + d + 1) if covars_weight is None else covars_weight
    scatter = 0.0 if covars is None else covars
    scatter = prior_matrices("covars_prior", scatter, (*together, d, d), (*names, *axes[2:] * 2))
    counted = prior_values("covars_weight", freedom, together, names) + parts + d + 1
    return PartsPrior(centre, weight, scatter, counted)


def renewed(
    family: StateMixture,
    covariance_type: str,
    params: Any,
    sums: Array,
    prior: PartsPrior,
    means: bool,
    covariances: bool,
) -> tuple[Array, Array, Array]:
    """N (K, M), means (K, M, d), covariances in the shape of the type; what is not to be estimated stays.

    Parts, and tied states, without any row keep theirs.
    """
    K, M = params.weights.shape
    flat_counts, flat_means, flat_scatter = moments(family.base, params.parts, sums)
    d = flat_means.shape[1]
    old = params.parts.means.reshape(K, M, d)
    counts, own = flat_counts.reshape(K, M), flat_means.reshape(K, M, d)
    scatter = flat_scatter.reshape(K, M, *flat_scatter.shape[1:])
    unseen, weight = ~(counts > 0.0), prior.means_weight
    chosen = old
    if means:
        total = weight[..., None] * prior.means + counts[..., None] * own
        chosen = np.where(unseen[..., None], old, total / known(weight + counts)[..., None])
    before = params.parts.covariances.reshape(K, M, *params.parts.covariances.shape[1:])
    if not covariances:
        return counts, chosen, before[:, 0] if covariance_type == "tied" else before
    off, moved = chosen - prior.means, own - chosen
    if covariance_type in ("full", "tied"):
        outer = np.einsum("km,kmi,kmj->kmij", weight, off, off)
        outer += scatter + np.einsum("km,kmi,kmj->kmij", counts, moved, moved)
        if covariance_type == "tied":
            total = prior.scatter + outer.sum(axis=1)
            divisor = counts.sum(axis=1) + prior.counted
            empty = ~(counts.sum(axis=1) > 0.0)[:, None, None]
            return (
                counts,
                chosen,
                np.where(empty, before[:, 0], total / known(divisor)[:, None, None]),
            )
        total = (prior.scatter + outer) / known(counts + prior.counted)[..., None, None]
        return counts, chosen, np.where(unseen[..., None, None], before, total)
    squares = weight[..., None] * off**2 + counts[..., None] * moved**2
    if covariance_type == "diag":
        total = (prior.scatter + scatter + squares) / known(counts[..., None] + prior.counted)
        return counts, chosen, np.where(unseen[..., None], before, total)
    total = prior.scatter + d * scatter + squares.sum(axis=2)
    return counts, chosen, np.where(unseen, before, total / known(d * counts + prior.counted))


def log_prior(family: StateMixture, covariance_type: str, params: Any, prior: PartsPrior) -> float:
    """Logarithm of the prior density of means and covariances, but for a constant."""
    K, M = params.weights.shape
    whitening = family.base.whitening_matrices(params.parts)
    d = whitening.shape[1]
    off = params.parts.means - prior.means.reshape(K * M, d)
    y = np.einsum("pij,pj->pi", whitening, off)
    value = float((prior.means_weight.ravel() * (y**2).sum(axis=1)).sum())
    log_variances = -2.0 * np.log(diagonals(whitening))  # of diag; their sum is log |Σ|
    if covariance_type in ("diag", "spherical"):
        precisions = diagonals(whitening) ** 2
        if covariance_type == "spherical":
            precisions, log_variances = precisions[:, :1], log_variances[:, :1]
        shape = (K * M, -1)
        value += float((prior.scatter.reshape(shape) * precisions).sum())
        return -0.5 * (value + float((prior.counted.reshape(shape) * log_variances).sum()))
    step = M if covariance_type == "tied" else 1  # one part of a tied state stands for all
    inverse = np.swapaxes(whitening, 1, 2)[::step] @ whitening[::step]
    value += float((prior.scatter.reshape(-1, d, d) * inverse).sum())
    return -0.5 * (value + float(prior.counted.ravel() @ log_variances[::step].sum(axis=1)))
