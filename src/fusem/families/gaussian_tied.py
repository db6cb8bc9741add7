"""Gaussian components that share one covariance matrix.

Density      log N(x) = −½ |z − ν|² + log det W − d/2 · log 2π, z = W (x − c), ν = W (μ − c):
             one whitening per row.
Statistics   N = Σ r, m = Σ r (z − ν), and one scatter T = Σ w z zᵀ. Where the means lie so far apart that
             S = T − Σ_k (m νᵀ + ν mᵀ + N ν νᵀ) would cancel, every component whitens x − μ itself and
             S = Σ_k Σ r y yᵀ is summed instead.
Update       μ ← μ + L m/N, Σ ← L (S − Σ_k m mᵀ/N) Lᵀ / ΣN + reg.
Per row: d² multiply–adds and 2 d per component (4 d operations where products would cost digits);
3/2 K d² in the second form.
Source: McLachlan, Peel 2000, section 3.3 (common covariance).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families.gaussian import (
    LOG_2PI,
    Array,
    Blocks,
    Params,
    factorise,
    in_two_parts,
    inverse_triangles,
    known,
    led_back,
    parts,
    renewed,
    scaled_operands,
    symmetric,
    symmetric_of,
    triangle_size,
    weighted_means,
    whitening_of_precision,
)
from fusem.kernels.axes import distances, first_moments, weight_totals
from fusem.kernels.each_mean import (
    densities_apart,
    expected_apart,
    observed_apart,
    sums_apart,
)
from fusem.kernels.linear import forms_of_strip, linear_sums
from fusem.kernels.marginal import rows_worth_operators
from fusem.kernels.marginal_shared import expected_shared, lead_back_shared, shared_parts
from fusem.kernels.missing import more_rounded, unrounded
from fusem.kernels.missing_fill import expected_of_each
from fusem.kernels.missing_shared import shared_densities, shared_sums, shared_values
from fusem.kernels.mixture import ByPattern, mixture_kernels
from fusem.kernels.patterns import LEAF
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes
from fusem.kernels.tile import fill_zeros
from fusem.kernels.whiten import scatter, whiten

NAME = "gaussian_tied"
CENTRED = True  # sums are about the means, which a start may have far from the rows
MATRICES = True  # covariances are matrices: collinear columns matter
# Largest |ν|² for one common scatter, which loses as many digits as this has. Not by dtype: statistics
# of float32 and of float64 rows can be added, so they must have the same form.
SPREAD = 1024.0
# Largest |ν|² for distances as products of matrices, which lose as many digits of every row.
NEAR = {"float64": SPREAD, "float32": 64.0}


class TiedOperands(NamedTuple):
    """What the kernels read: flat arrays in the dtype of the rows, constants in float64."""

    high: NDArray[Any]  # (d) centre c
    low: NDArray[Any]
    matrix: NDArray[Any]  # (d · d) W
    centres: NDArray[Any]  # (K · d) ν
    centres_shift: NDArray[Any]  # (K · d) what rounding ν did
    unit: NDArray[Any]  # (K) ones: z is in units of the standard deviation already
    means: NDArray[Any]  # (K · d) μ, read where they lie apart
    means_low: NDArray[Any]
    constant: Array  # (K) log normalisation
    apart: bool  # means lie far apart: whiten about each
    near: bool  # means lie so near to c that distances may be taken as products
    exact: Array  # (K · d) ν in float64
    added: Array  # (K) log normalisation, where they lie near less |ν|² / 2


class Stats(NamedTuple):
    """What a flat statistic holds after its header; of T or S the lower triangle, row by row."""

    counts: Array  # (K) N
    first: Array  # (K, d) m
    apart: bool  # whether `second` is S, not T
    second: Array  # (d, d) T or S


def statistic_size(n_components: int, d: int) -> int:
    unused = d  # places for Σ w z, which nothing needs
    return n_components * (1 + d) + 1 + unused + triangle_size(d)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: z or y, weights, four products."""
    return d + 5


def missing_needs(n_components: int, d: int) -> tuple[int, int]:
    """Covariances there are; columns of scratch per tile with missing values: y, weights, products."""
    return 1, n_components * d + 5


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    sizes = n_components, n_components * d, 1, d, triangle_size(d)
    counts, first, apart, _, second, _ = parts(flat, *sizes)
    first, second = first.reshape(n_components, d), symmetric_of(second, d)[0]
    return Stats(counts, first, bool(apart[0] > 0.0), second)


def centred(params: Params) -> tuple[Array, Array]:
    """c and ν; c is the median of the means, so that a far component does not draw it away."""
    centre = np.median(params.means, axis=0)
    return centre, (params.means - centre) @ params.whitening.T


def operands(params: Params, dtype: DTypeLike) -> TiedOperands:
    n_components, d = params.means.shape
    centre, centres = centred(params)
    constant = np.full(n_components, np.log(np.diag(params.whitening)).sum() - 0.5 * d * LOG_2PI)
    furthest = (centres**2).sum(axis=1).max()
    near = bool(furthest <= NEAR[np.dtype(dtype).name])
    norms = (centres.astype(dtype).astype(np.float64) ** 2).sum(axis=1)  # of ν as kernels have it
    return TiedOperands(
        *in_two_parts(centre, dtype),
        params.whitening.astype(dtype).ravel(),
        *scaled_operands(centres, np.ones((n_components, 1)), dtype),
        *in_two_parts(params.means, dtype),
        constant,
        bool(furthest > SPREAD),
        near,
        centres.ravel(),
        constant - 0.5 * norms if near else constant,
    )


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    if operands.apart:
        densities_apart(x, operands, log_weights, logp, scratch, d, tile, stride)
        return
    for r in range(0, tile, 4 * lanes(x)):
        whiten(
            x, operands.high, operands.low, 0, operands.matrix, 0,
            scratch, 0, 0.0, scratch, d * tile, r, d,
        )  # fmt: skip
        if operands.near:
            forms_of_strip(
                scratch, scratch, d * tile, operands.centres, None, log_weights, operands.added,
                None, logp, r, d, stride,
            )  # fmt: skip
    if not operands.near:
        distances(
            scratch, operands.centres, operands.centres_shift, operands.unit, log_weights,
            operands.constant, None, logp, d, tile, stride,
        )  # fmt: skip


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    first = start + n_components
    form = first + n_components * d
    unused = form + 1
    second = unused + d
    weights = d * tile
    product = scratch[weights + tile :]
    if operands.apart:
        sums_apart(x, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride)
        return
    if operands.near:
        linear_sums(
            scratch, resp, None, operands.exact, stats, start, first,
            d, n_components, tile, stride,
        )  # fmt: skip
    else:
        weight_totals(resp, stats, start, n_components, tile, stride)
        first_moments(
            scratch, operands.centres, operands.centres_shift, operands.unit, resp, stats, first,
            d, n_components, tile, stride,
        )  # fmt: skip
    for r in range(tile):
        scratch[weights + r] = w[r]
    scatter(scratch, 0, scratch, weights, product, stats, unused, second, d, tile)


@helper
def take_back(m, operands, log_weights, resp, stats, start, tile, stride):
    if not operands.near:  # else rows with missing values begin with the same
        unrounded(m, operands.added, log_weights, resp, stats, start, tile, stride)


@helper
def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    if operands.near:
        shared_densities(
            x, m, operands.high, operands.low, operands.matrix, operands.centres, log_weights,
            operands.added, logp, d, tile, stride,
        )  # fmt: skip
        return
    observed_apart(x, m, operands, log_weights, logp, d, tile, stride)


@helper
def accumulate_missing(x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride):
    sums = m.local
    first = n_components
    form = first + n_components * d
    second = form + 1 + d
    fill_zeros(sums, 0, sums.size)
    if operands.near:
        shared_sums(
            m, resp, operands.matrix, operands.centres, operands.exact, sums, first, form + 1, second,
            d, n_components, tile, stride,
        )  # fmt: skip
    else:
        expected_apart(m, resp, operands, sums, d, n_components, tile, stride)
    for i in range(second + d * (d + 1) // 2):
        stats[start + i] += sums[i]


@helper
def many_rows(operands, d):
    return LEAF + 1 if operands.apart else rows_worth_operators(d)


@helper
def observed(m, operands, pattern, d):
    high, low, matrix, centres, shift, exact, constant, added, rest = shared_parts(
        m, operands, pattern, d
    )
    these = TiedOperands(
        high, low, matrix, centres, shift, operands.unit, operands.means, operands.means_low,
        constant, operands.apart, operands.near, exact, added,
    )  # fmt: skip
    return these, rest


@helper
def lead_back(m, operands, these, log_weights, pattern, last, stats, start, d, n_components):
    lead_back_shared(m, pattern, these.high.size, last, stats, start, d, n_components)
    return more_rounded(m, these.added, operands.added, log_weights)


@helper
def expected(m, operands, resp, number, r, count, n_components, d, tile, stride):
    if operands.near:
        shared_values(
            m, operands.matrix, operands.high, operands.low, operands.centres, resp, number, r,
            count, n_components, d, stride,
        )  # fmt: skip
    else:
        expected_of_each(
            m, operands.matrix, 1, operands.means, operands.means_low, resp, number, r, count,
            n_components, d, tile, stride,
        )  # fmt: skip


kernels = mixture_kernels(
    NAME,
    log_density,
    accumulate,
    log_density_missing,
    accumulate_missing,
    take_back=take_back,
    expected=expected,
    by_pattern=ByPattern(many_rows, observed, lead_back, expected_shared),
)


def moved(params: Params, flat: Array) -> Params:
    """The same covariance about the means of the statistic."""
    stats = stats_of(flat, *params.means.shape)
    shift = stats.first / known(stats.counts)[:, None]
    lower = inverse_triangles(params.whitening[None])[0]
    return params._replace(means=moved_means(params, lower, shift))


def moved_means(params: Params, lower: Array, shift: Array) -> Array:
    """μ + L m/N."""
    return params.means + shift @ lower.T


def maximize(params: Params, flat: Array, reg: Array) -> Params:
    """The M-step; components without any responsibility keep their means."""
    stats = stats_of(flat, *params.means.shape)
    _, centres = centred(params)
    scatter_within = stats.second
    if not stats.apart:
        cross = stats.first.T @ centres
        scatter_within = scatter_within - cross - cross.T - (stats.counts * centres.T) @ centres
    shift = stats.first / known(stats.counts)[:, None]
    inner = (scatter_within - (stats.counts * shift.T) @ shift) / stats.counts.sum()
    nowhere, one = np.zeros((1, len(inner))), np.ones(1)
    about = Params(nowhere, params.covariances[None], params.whitening[None])
    new = renewed(about, one, nowhere, inner[np.tril_indices(len(inner))], reg)
    lower = inverse_triangles(params.whitening[None])[0]
    return Params(moved_means(params, lower, shift), new.covariances[0], new.whitening[0])


def estimate(blocks: Blocks, reg: Array, spare: NDArray[np.bool_], single_rows: bool) -> Params:
    """Parameters from given responsibilities: the start.

    `spare` components lie over all rows alike; with `single_rows` K rows alone have responsibilities.
    """
    counts, means = weighted_means(blocks)
    counted = np.where(spare, 0.0, counts)
    covariance = np.zeros((means.shape[1],) * 2)
    for X, resp, w in blocks:
        if (
            single_rows
        ):  # scikit-learn's start from single rows: the scatter of all, about the origin
            covariance += (w * X.T) @ X
        else:
            for k in np.flatnonzero(~spare):
                covariance += (resp[:, k] * (X - means[k]).T) @ (X - means[k])
    if single_rows:
        covariance -= (counted * means.T) @ means
    return from_covariances(means, covariance / counted.sum() + np.diag(reg))


def from_covariances(means: Array, covariances: Array) -> Params:
    return Params(means, covariances, factorise(covariances[None])[1][0])


def from_whitening(means: Array, whitening: Array) -> Params:
    triangle = np.tril(whitening)
    return Params(means, symmetric(inverse_triangles(triangle[None])[0]), triangle)


def from_precisions(means: Array, precisions: Array) -> Params:
    return from_whitening(means, whitening_of_precision(precisions[None])[0])


def squared_distances(params: Params, points: Array) -> Array:
    """Squared distance of every mean from a point of its own, in units of the covariance, (K,)."""
    return np.asarray((((points - params.means) @ params.whitening.T) ** 2).sum(axis=1))


def variances(params: Params) -> Array:
    """Diagonal of every component's covariance, (K, d)."""
    return np.broadcast_to(np.diag(params.covariances), params.means.shape)


def scaled_squares(params: Params, X: Array, scale: Array) -> Array:
    """Squared distances (n, K) in units of scale² (n,): for rows whose own would overflow."""
    rows = X / scale[:, None]
    y = (rows[:, None, :] - params.means / scale[:, None, None]) @ params.whitening.T
    return np.asarray((y**2).sum(axis=2))


def whitening_matrices(params: Params) -> Array:
    """Lower triangles W of every component, (K, d, d)."""
    return np.broadcast_to(params.whitening, (len(params.means), *params.whitening.shape))


def marginal(params: Params, columns: NDArray[np.intp]) -> Params:
    """Components of some columns only."""
    return from_covariances(params.means[:, columns], params.covariances[np.ix_(columns, columns)])


def unwhitened(params: Params, components: NDArray[np.intp], y: Array) -> Array:
    """Rows x, of one component each, with W (x − μ) = y."""
    lower = inverse_triangles(params.whitening[None])[0]
    return params.means[components] + led_back(y, lower)


def covariance_shape(n_components: int, d: int) -> tuple[int, ...]:
    return (d, d)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d)."""
    return params.means, np.repeat(params.covariances[None], len(params.means), axis=0)


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    return rng.multivariate_normal(params.means[k], params.covariances, n)


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return 1


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return n_components * d + d * (d + 1) // 2
