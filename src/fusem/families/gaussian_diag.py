"""Gaussian components with independent columns: each has a variance per column.

Density      log N(x) = −½ |z|² − Σ_j log σ_j − d/2 · log 2π with z = (x − μ) / σ.
Statistics   N = Σ r, m = Σ r z, S = Σ r z² at the current parameters.
Update       μ ← μ + σ m/N, σ² ← σ² (S/N − (m/N)²) + reg.
Where all components lie near one centre, log-densities are quadratic functions about it and the sums those of
rows about it (`DiagNearOperands`).
Per row and component: 4 d operations about a shared centre, 7 d else; 8 d bytes of the row.
Source: McLachlan, Peel 2000, section 3.3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families import shared_centre
from fusem.families.gaussian import (
    LOG_2PI,
    Array,
    Blocks,
    Params,
    SingularComponents,
    beyond_rounding,
    in_two_parts,
    known,
    parts,
    scaled_operands,
    weighted_means,
)
from fusem.kernels.axes import scaled_distances, two_moments, weight_totals
from fusem.kernels.masked import (
    add_gains,
    add_masses,
    known_scaled_distances,
    known_two_moments,
)
from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper
from fusem.kernels.quadratic import quadratic_forms, quadratic_sums, tile_counts

NAME = "gaussian_diag"
CENTRED = True  # sums are about the means, which a start may have far from the rows
MATRICES = False  # covariances are no matrices: collinear columns do not matter


class DiagOperands(NamedTuple):
    """What the kernels read: flat arrays in the dtype of the rows, constants in float64."""

    high: NDArray[Any]  # (K · d) means
    shift: NDArray[Any]  # (K · d) what rounding the means did, in units of σ
    scale: NDArray[Any]  # (K · d) 1 / σ
    constant: Array  # (K) log normalisation
    gain: NDArray[Any]  # (K · d) what of it a missing value takes back


class DiagNearOperands(NamedTuple):
    """The same about a centre c that all components share: (ρ z − ν)² = ρ² z² − 2 ρ ν z + ν²."""

    high: NDArray[Any]  # (d) c
    low: NDArray[Any]  # (d) what rounding it lost
    unit: NDArray[Any]  # (d) z = (x − c) · unit
    curvature: NDArray[Any]  # (K · d) −ρ² / 2
    slope: NDArray[Any]  # (K · d) ρ ν
    constant: Array  # (K) log normalisation
    added: Array  # (K) the same less |ν|² / 2
    ratio: Array  # (K · d) ρ
    offsets: Array  # (K · d) ν


class Stats(NamedTuple):
    """Views into a flat statistic, after its header."""

    counts: Array  # (K) N
    first: Array  # (K, d) m
    second: Array  # (K, d) S


def statistic_size(n_components: int, d: int) -> int:
    return n_components * (1 + 2 * d)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: none."""
    return 0


def near_columns(n_components: int, d: int) -> int:
    """The same about a shared centre: rows about it."""
    return d


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    each = n_components * d
    counts, first, second, _ = parts(flat, n_components, each, each)
    return Stats(counts, first.reshape(n_components, d), second.reshape(n_components, d))


def operands(params: Params, dtype: DTypeLike) -> DiagOperands:
    return DiagOperands(
        *scaled_operands(params.means, params.whitening, dtype),
        constant=log_normalisation(params),
        gain=(0.5 * LOG_2PI - np.log(params.whitening)).astype(dtype).ravel(),
    )


def log_normalisation(params: Params) -> Array:
    """Log-density at every mean, (K,)."""
    return np.asarray(np.log(params.whitening).sum(axis=1) - 0.5 * params.means.shape[1] * LOG_2PI)


def near_operands(params: Params, dtype: DTypeLike) -> DiagNearOperands | None:
    """Operands about a shared centre; None where components lie too far from it."""
    shared = shared_centre.frame(params.means, params.whitening, dtype)
    if not shared_centre.is_near(shared, shared_centre.squares(shared), dtype):
        return None
    curvature = (-0.5 * shared.ratio**2).astype(dtype)
    slope = (shared.ratio * shared.offsets).astype(dtype)
    constant = log_normalisation(params)
    # the largest value of the function that kernels have, whose coefficients are rounded
    squares = slope.astype(np.float64) ** 2 / curvature
    return DiagNearOperands(
        *in_two_parts(shared.centre, dtype),
        shared.unit.astype(dtype),
        curvature.ravel(),
        slope.ravel(),
        constant,
        constant + 0.25 * squares.sum(axis=1),
        shared.ratio.ravel(),
        shared.offsets.ravel(),
    )


@helper
def log_density_near(x, operands, log_weights, logp, scratch, d, tile, stride):
    quadratic_forms(
        x, operands.high, operands.low, operands.unit, scratch, operands.curvature, operands.slope,
        log_weights, operands.added, logp, d, tile, stride,
    )  # fmt: skip


@helper
def accumulate_near(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    first = start + n_components
    tile_counts(resp, logp, stats, start, n_components, tile, stride)
    quadratic_sums(
        scratch, resp, logp, operands.ratio, operands.offsets,
        stats, first, first + n_components * d, d, n_components, tile, stride,
    )  # fmt: skip


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    scaled_distances(
        x, operands.high, operands.shift, operands.scale,
        log_weights, operands.constant, logp, d, tile, stride,
    )  # fmt: skip


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    first = start + n_components
    weight_totals(resp, stats, start, n_components, tile, stride)
    two_moments(
        x, operands.high, operands.shift, operands.scale, resp,
        stats, first, first + n_components * d, d, n_components, tile, stride,
    )  # fmt: skip


@helper
def only(operands, k, d):
    high, shift = operands.high[k * d : (k + 1) * d], operands.shift[k * d : (k + 1) * d]
    scale, gain = operands.scale[k * d : (k + 1) * d], operands.gain[k * d : (k + 1) * d]
    return DiagOperands(high, shift, scale, operands.constant[k : k + 1], gain)


@helper
def log_density_missing(x, operands, log_weights, logp, scratch, d, tile, stride):
    known_scaled_distances(
        x, operands.high, operands.shift, operands.scale,
        log_weights, operands.constant, logp, d, tile, stride,
    )  # fmt: skip
    add_gains(x, operands.gain, logp, log_weights.size, d, tile, stride)


@helper
def accumulate_missing(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    first, second = start + n_components, start + n_components * (1 + d)
    weight_totals(resp, stats, start, n_components, tile, stride)
    known_two_moments(
        x, operands.high, operands.shift, operands.scale, resp,
        stats, first, second, d, n_components, tile, stride,
    )  # fmt: skip
    add_masses(x, resp, stats, second, n_components, d, tile, stride)


kernels = mixture_kernels(
    NAME,
    log_density,
    accumulate,
    log_density_missing,
    accumulate_missing,
    only,
    masked=True,
    sums_read_scratch=False,
    near=(log_density_near, accumulate_near),
)


def moved(params: Params, flat: Array) -> Params:
    """The same variances about the means of the statistic."""
    stats = stats_of(flat, *params.means.shape)
    shift = stats.first / known(stats.counts)[:, None]
    return params._replace(means=params.means + shift / params.whitening)


def maximize(params: Params, flat: Array, reg: Array) -> Params:
    """The M-step; components without any responsibility keep their parameters."""
    stats = stats_of(flat, *params.means.shape)
    counts = known(stats.counts)[:, None]
    relative = beyond_rounding(stats.second / counts, (stats.first / counts) ** 2)
    new = params.covariances * relative + reg
    alive = (stats.counts > 0.0)[:, None]
    return from_covariances(moved(params, flat).means, np.where(alive, new, params.covariances))


def estimate(blocks: Blocks, reg: Array, spare: NDArray[np.bool_], single_rows: bool) -> Params:
    """Parameters from given responsibilities: the start.

    `spare` components lie over all rows alike; with `single_rows` K rows alone have responsibilities.
    """
    counts, means = weighted_means(blocks)
    squares = np.zeros_like(means)
    for X, resp, _ in blocks:
        for k, mean in enumerate(means):
            squares[k] += resp[:, k] @ (X - mean) ** 2
    return from_covariances(means, squares / counts[:, None] + reg)


def from_covariances(means: Array, covariances: Array) -> Params:
    singular = np.flatnonzero(~(covariances > 0.0).all(axis=1))
    if singular.size:
        raise SingularComponents(singular.tolist())
    return Params(means, covariances, 1.0 / np.sqrt(covariances))


def from_whitening(means: Array, whitening: Array) -> Params:
    return Params(means, 1.0 / whitening**2, whitening)


def from_precisions(means: Array, precisions: Array) -> Params:
    return from_whitening(means, np.sqrt(precisions))


def squared_distances(params: Params, points: Array) -> Array:
    """Squared distance of every mean from a point of its own, in units of its variances, (K,)."""
    return np.asarray((((points - params.means) * params.whitening) ** 2).sum(axis=1))


def centre_distances(params: Params, about: Params) -> Array:
    """Squared distances of the shared centre of some components from others, in units of theirs, (K, d)."""
    centre = shared_centre.frame(about.means, about.whitening).centre
    return np.asarray(((centre - params.means) * params.whitening) ** 2)


def separations(params: Params, components: range) -> tuple[Array, Array]:
    """How far each mean is from some components, and how wide its own component is in that direction.

    Both (components, K), in standard deviations of the first along the line from its mean to the other.
    """
    chosen = slice(components.start, components.stop, components.step)
    precision = params.whitening[chosen, None]
    z = (params.means - params.means[chosen, None]) * precision
    distance = np.sqrt(np.einsum("mki,mki->mk", z, z))
    z *= precision / params.whitening
    return distance, np.sqrt(np.einsum("mki,mki->mk", z, z)) / known(distance)


def within(params: Params, weights: Array) -> Array:
    """Variances of the rows about the means of their components, (d,)."""
    return np.asarray(weights @ params.covariances)


def variances(params: Params) -> Array:
    """Diagonal of every component's covariance, (K, d)."""
    return params.covariances


def scaled_squares(params: Params, X: Array, scale: Array) -> Array:
    """Squared distances (n, K) in units of scale² (n,): for rows whose own would overflow."""
    rows = X / scale[:, None]
    y = (rows[:, None, :] - params.means / scale[:, None, None]) * params.whitening
    return np.asarray((y**2).sum(axis=2))


def whitening_matrices(params: Params) -> Array:
    """Lower triangles W of every component, (K, d, d)."""
    return np.asarray(params.whitening[:, :, None] * np.eye(params.means.shape[1]))


def marginal(params: Params, columns: NDArray[np.intp]) -> Params:
    """Components of some columns only."""
    return Params(*(values[:, columns] for values in params))


def unwhitened(params: Params, components: NDArray[np.intp], y: Array) -> Array:
    """Rows x, of one component each, with (x − μ) / σ = y."""
    return params.means[components] + y / params.whitening[components]


def covariance_shape(n_components: int, d: int) -> tuple[int, ...]:
    return (n_components, d)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d)."""
    return params.means, params.covariances[:, :, None] * np.eye(params.means.shape[1])


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    noise = rng.standard_normal(size=(n, params.means.shape[1]))
    return params.means[k] + noise * np.sqrt(params.covariances[k])


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return d + 1


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return 2 * n_components * d
