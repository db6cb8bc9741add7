"""Gaussian components, each with a covariance matrix of its own.

Density      log N(x) = −½ |W (x − μ)|² + log det W − d/2 · log 2π, W lower, Σ⁻¹ = Wᵀ W.
Statistics   N = Σ r, m = Σ r y, S = Σ r y yᵀ (lower triangle) with y = W (x − μ) at the current parameters.
Update       μ ← μ + L m/N, Σ ← L (S/N − m mᵀ/N²) Lᵀ + reg, L = W⁻¹.
Per row and component: d² multiply–adds; 8 d bytes of the row, the tile's y stays in cache.
Source: Dempster, Laird, Rubin 1977 (EM); McLachlan, Peel 2000, section 3.2.
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
    diagonals,
    factorise,
    in_two_parts,
    inverse_triangles,
    known,
    led_back,
    parts,
    renewed,
    symmetric,
    symmetric_of,
    triangle_size,
    weighted_means,
    whitening_of_precision,
)
from fusem.kernels.axes import weight_totals
from fusem.kernels.compact import compact
from fusem.kernels.marginal import rows_worth_operators
from fusem.kernels.marginal_matrices import (
    expected_with_own_matrices,
    lead_back_each,
    observed_parts,
)
from fusem.kernels.missing import more_rounded, unrounded
from fusem.kernels.missing_fill import expected_of_each
from fusem.kernels.missing_matrices import add_spreads, observed_densities
from fusem.kernels.mixture import ByPattern, mixture_kernels
from fusem.kernels.policy import helper, once
from fusem.kernels.simd import lanes
from fusem.kernels.whiten import scatter, whiten

NAME = "gaussian_full"
CENTRED = True  # sums are about the means, which a start may have far from the rows
MATRICES = True  # covariances are matrices: collinear columns matter


class FullOperands(NamedTuple):
    """What the kernels read: flat arrays in the dtype of the rows, constants in float64."""

    high: NDArray[Any]  # (K · d) means
    low: NDArray[Any]  # (K · d) what rounding the means lost
    matrix: NDArray[Any]  # (K · d · d) W
    constant: Array  # (K) log normalisation


class Stats(NamedTuple):
    """What a flat statistic holds after its header; of S the lower triangle, row by row."""

    counts: Array  # (K) N
    first: Array  # (K, d) m
    second: Array  # (K, d, d) S


def statistic_size(n_components: int, d: int) -> int:
    return n_components * (1 + d + triangle_size(d))


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: y of every component, four products."""
    return n_components * d + 4


def missing_needs(n_components: int, d: int) -> tuple[int, int]:
    """Covariances there are; columns of scratch per tile of rows with missing values: y, four products."""
    return n_components, n_components * d + 4


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    counts, first, second = flat_stats(flat, n_components, d)
    return Stats(counts, first.reshape(n_components, d), symmetric_of(second, d))


def flat_stats(flat: Array, n_components: int, d: int) -> tuple[Array, Array, Array]:
    """N, m and the lower triangles of S, flat."""
    triangles = n_components * triangle_size(d)
    counts, first, second, _ = parts(flat, n_components, n_components * d, triangles)
    return counts, first, second


def operands(params: Params, dtype: DTypeLike) -> FullOperands:
    d = params.means.shape[1]
    log_det = np.log(diagonals(params.whitening)).sum(axis=1)
    matrix = params.whitening.astype(dtype).ravel()
    return FullOperands(*in_two_parts(params.means, dtype), matrix, log_det - 0.5 * d * LOG_2PI)


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    for r in range(0, tile, 4 * lanes(x)):
        for k in range(log_weights.size):
            constant = log_weights[k] + operands.constant[k]
            whiten(
                x, operands.high, operands.low, k * d, operands.matrix, k * d * d,
                scratch, k * d * tile, constant, logp, k * stride, r, d,
            )  # fmt: skip


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    first = start + n_components
    second = first + n_components * d
    product = scratch[n_components * d * tile :]
    weight_totals(resp, stats, start, n_components, tile, stride)
    for k in range(n_components):
        y, r = k * d * tile, k * stride
        width = compact(scratch, y, resp, r, product, d, tile)
        scatter(scratch, y, resp, r, product, stats, first + k * d, second, d, width)
        second += d * (d + 1) // 2


sums_once = once(accumulate)  # of complete rows and of the others, in one kernel


@helper
def only(operands, k, d):
    high, low = operands.high[k * d : (k + 1) * d], operands.low[k * d : (k + 1) * d]
    matrix = operands.matrix[k * d * d : (k + 1) * d * d]
    return FullOperands(high, low, matrix, operands.constant[k : k + 1])


@helper
def take_back(m, operands, log_weights, resp, stats, start, tile, stride):
    unrounded(m, operands.constant, log_weights, resp, stats, start, tile, stride)


@helper
def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    observed_densities(
        x, m, operands.high, operands.low, operands.matrix, log_weights.size, operands.constant,
        log_weights, logp, d, tile, stride,
    )  # fmt: skip


@helper
def accumulate_missing(x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride):
    add_spreads(
        m, resp, operands.matrix, n_components, n_components, stats,
        start + n_components * (1 + d), d, tile, stride,
    )  # fmt: skip
    sums_once(x, w, resp, logp, operands, m.y, stats, start, d, n_components, tile, stride)


@helper
def many_rows(operands, d):
    return rows_worth_operators(d)


@helper
def observed(m, operands, pattern, d):
    matrix, high, low, constant, rest = observed_parts(m, operands, pattern, d)
    return FullOperands(high, low, matrix, constant), rest


@helper
def lead_back(m, operands, these, log_weights, pattern, last, stats, start, d, n_components):
    rest = these.high.size // n_components
    lead_back_each(m, pattern, rest, last, stats, start, d, n_components)
    return more_rounded(m, these.constant, operands.constant, log_weights)


@helper
def expected(m, operands, resp, number, r, count, n_components, d, tile, stride):
    expected_of_each(
        m, operands.matrix, n_components, operands.high, operands.low, resp, number, r, count,
        n_components, d, tile, stride,
    )  # fmt: skip


kernels = mixture_kernels(
    NAME,
    log_density,
    accumulate,
    log_density_missing,
    accumulate_missing,
    only,
    take_back=take_back,
    expected=expected,
    by_pattern=ByPattern(many_rows, observed, lead_back, expected_with_own_matrices),
)


def moved(params: Params, flat: Array) -> Params:
    """The same covariances about the means of the statistic."""
    stats = stats_of(flat, *params.means.shape)
    shift = stats.first / known(stats.counts)[:, None]
    return params._replace(means=moved_means(params, inverse_triangles(params.whitening), shift))


def moved_means(params: Params, lower: Array, shift: Array) -> Array:
    """μ + L m/N."""
    return np.asarray(params.means + (lower @ shift[:, :, None])[:, :, 0])


def maximize(params: Params, flat: Array, reg: Array) -> Params:
    """The M-step; components without any responsibility keep their parameters."""
    return renewed(params, *flat_stats(flat, *params.means.shape), reg)


def estimate(blocks: Blocks, reg: Array, spare: NDArray[np.bool_], single_rows: bool) -> Params:
    """Parameters from given responsibilities: the start.

    `spare` components lie over all rows alike; with `single_rows` K rows alone have responsibilities.
    """
    counts, means = weighted_means(blocks)
    covariances = np.zeros((*means.shape, means.shape[1]))
    for X, resp, _ in blocks:
        for k, mean in enumerate(means):
            diff = X - mean
            covariances[k] += (resp[:, k] * diff.T) @ diff
    return from_covariances(means, covariances / counts[:, None, None] + np.diag(reg))


def from_covariances(means: Array, covariances: Array) -> Params:
    return Params(means, covariances, factorise(covariances)[1])


def from_whitening(means: Array, whitening: Array) -> Params:
    triangles = np.tril(whitening)
    return Params(means, symmetric(inverse_triangles(triangles)), triangles)


def from_precisions(means: Array, precisions: Array) -> Params:
    return from_whitening(means, whitening_of_precision(precisions))


def squared_distances(params: Params, points: Array) -> Array:
    """Squared distance of every mean from a point of its own, in units of its covariance, (K,)."""
    y = params.whitening @ (points - params.means)[:, :, None]
    return np.asarray((y**2).sum(axis=(1, 2)))


def separations(params: Params, components: range) -> tuple[Array, Array]:
    """How far each mean is from some components, and how wide its own component is in that direction.

    Both (components, K), in standard deviations of the first along the line from its mean to the other.
    """
    chosen = slice(components.start, components.stop, components.step)
    means, whitening = params.means, params.whitening[chosen]
    y = (means - means[chosen, None]) @ np.swapaxes(whitening, 1, 2)
    distance = np.sqrt(np.einsum("mki,mki->mk", y, y))
    direction = np.swapaxes((y / known(distance)[:, :, None]) @ whitening, 0, 1)
    square = np.einsum("kmi,kmi->mk", direction @ params.covariances, direction)
    # not less than it is: of thin covariances the rounding is many times the result
    scale = np.sqrt(variances(params))[:, None]
    terms = (np.abs(direction) * scale).sum(axis=2).T ** 2
    return distance, np.sqrt(square + 4.0 * len(scale.T) * np.finfo(np.float64).eps * terms)


def within(params: Params, weights: Array) -> Array:
    """Covariance of the rows about the means of their components, (d, d)."""
    return np.tensordot(weights, params.covariances, axes=1)


def variances(params: Params) -> Array:
    """Diagonal of every component's covariance, (K, d)."""
    return diagonals(params.covariances)


def scaled_squares(params: Params, X: Array, scale: Array) -> Array:
    """Squared distances (n, K) in units of scale² (n,): for rows whose own would overflow."""
    rows = X / scale[:, None]
    y = np.einsum(
        "kij,nkj->nki", params.whitening, rows[:, None, :] - params.means / scale[:, None, None]
    )
    return np.asarray((y**2).sum(axis=2))


def whitening_matrices(params: Params) -> Array:
    """Lower triangles W of every component, (K, d, d)."""
    return params.whitening


def marginal(params: Params, columns: NDArray[np.intp]) -> Params:
    """Components of some columns only."""
    some = np.ix_(np.arange(len(params.means)), columns, columns)
    return from_covariances(params.means[:, columns], params.covariances[some])


def unwhitened(params: Params, components: NDArray[np.intp], y: Array) -> Array:
    """Rows x, of one component each, with W (x − μ) = y."""
    rows = params.means[components]
    for k, lower in enumerate(inverse_triangles(params.whitening)):
        own = components == k
        rows[own] += led_back(y[own], lower)
    return rows


def covariance_shape(n_components: int, d: int) -> tuple[int, ...]:
    return (n_components, d, d)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d)."""
    return params.means, params.covariances


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    return rng.multivariate_normal(params.means[k], params.covariances[k], n)


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return d + 1


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return n_components * d + n_components * d * (d + 1) // 2
