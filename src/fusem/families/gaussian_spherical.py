"""Gaussian components with one variance each, the same for every column.

Density      log N(x) = −½ |z|² − d log σ − d/2 · log 2π with z = (x − μ) / σ.
Statistics   N = Σ r, m = Σ r z, Q = Σ r |z|² at the current parameters; |z|² is the density's own.
Update       μ ← μ + σ m/N, σ² ← σ² (Q/N − |m/N|²) / d + reg.
Where all components lie near one centre, log-densities are linear forms of rows about it and of their squared
lengths, and the sums those of rows about it (`SphericalNearOperands`).
Per row and component: 2 d operations about a shared centre, 4 d else; 8 d bytes of the row.
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
from fusem.kernels.axes import distances, first_moments, square_totals, weight_totals
from fusem.kernels.linear import about_centre, forms_of_strip, linear_sums, square_sums
from fusem.kernels.masked import add_counts, known_distances, known_first_moments
from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes

NAME = "gaussian_spherical"
CENTRED = True  # sums are about the means, which a start may have far from the rows
MATRICES = False  # covariances are no matrices: collinear columns do not matter


class SphericalOperands(NamedTuple):
    """What the kernels read: flat arrays in the dtype of the rows, constants in float64."""

    high: NDArray[Any]  # (K · d) means
    shift: NDArray[Any]  # (K · d) what rounding the means did, in units of σ
    scale: NDArray[Any]  # (K) 1 / σ
    constant: Array  # (K) log normalisation
    gain: NDArray[Any]  # (K) what of it a missing value takes back


class SphericalNearOperands(NamedTuple):
    """The same about a centre c that all components share: |z − ν|² = |z|² − 2 ν·z + |ν|²."""

    high: NDArray[Any]  # (d) c
    low: NDArray[Any]  # (d) what rounding it lost
    unit: NDArray[Any]  # (1) z = (x − c) · unit
    means: NDArray[Any]  # (K · d) ν
    factors: Array  # (K) ρ² = 1 / (σ · unit)²
    constant: Array  # (K) log normalisation
    added: Array  # (K) the same less ρ² |ν|² / 2
    ratio: Array  # (K) ρ
    offsets: Array  # (K · d) ρ ν
    norms: Array  # (K) ρ² |ν|²


class Stats(NamedTuple):
    """Views into a flat statistic, after its header."""

    counts: Array  # (K) N
    first: Array  # (K, d) m
    squares: Array  # (K) Q


def statistic_size(n_components: int, d: int) -> int:
    return n_components * (2 + d)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: |z|² of every component."""
    return n_components


def near_columns(n_components: int, d: int) -> int:
    """The same about a shared centre: rows about it, −|z|² / 2, its forms."""
    return d + 1 + n_components


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    counts, first, squares, _ = parts(flat, n_components, n_components * d, n_components)
    return Stats(counts, first.reshape(n_components, d), squares)


def operands(params: Params, dtype: DTypeLike) -> SphericalOperands:
    d = params.means.shape[1]
    gain = 0.5 * LOG_2PI - np.log(params.whitening)
    high, shift, scale = scaled_operands(params.means, params.whitening[:, None], dtype)
    return SphericalOperands(high, shift, scale, -d * gain, gain.astype(dtype))


def near_operands(params: Params, dtype: DTypeLike) -> SphericalNearOperands | None:
    """Operands about a shared centre; None where components lie too far from it."""
    shared = shared_centre.frame(params.means, params.whitening[:, None], dtype)
    if not shared_centre.is_near(shared, shared_centre.squares(shared).mean(axis=1), dtype):
        return None
    d, ratio = params.means.shape[1], shared.ratio[:, 0]
    means = (shared.offsets / shared.ratio).astype(dtype)
    norms = ratio**2 * (means.astype(np.float64) ** 2).sum(axis=1)
    constant = d * (np.log(params.whitening) - 0.5 * LOG_2PI)
    return SphericalNearOperands(
        *in_two_parts(shared.centre, dtype),
        shared.unit.astype(dtype),
        means.ravel(),
        ratio**2,
        constant,
        constant - 0.5 * norms,
        ratio,
        shared.offsets.ravel(),
        norms,
    )


@helper
def log_density_near(x, operands, log_weights, logp, scratch, d, tile, stride):
    forms = scratch[(d + 1) * tile :]
    for r in range(0, tile, 4 * lanes(x)):
        about_centre(x, operands.high, operands.low, operands.unit, scratch, r, d, tile)
        forms_of_strip(
            scratch, scratch, d * tile, operands.means, operands.factors, log_weights,
            operands.added, forms, logp, r, d, stride,
        )  # fmt: skip


@helper
def accumulate_near(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    first = start + n_components
    linear_sums(
        scratch, resp, operands.ratio, operands.offsets, stats, start, first,
        d, n_components, tile, stride,
    )  # fmt: skip
    forms, squares = scratch[(d + 1) * tile :], first + n_components * d
    square_sums(
        forms, resp, operands.ratio, operands.norms, stats, squares, n_components, tile, stride
    )


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    distances(
        x, operands.high, operands.shift, operands.scale, log_weights, operands.constant,
        scratch, logp, d, tile, stride,
    )  # fmt: skip


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    first = start + n_components
    weight_totals(resp, stats, start, n_components, tile, stride)
    first_moments(
        x, operands.high, operands.shift, operands.scale, resp, stats, first,
        d, n_components, tile, stride,
    )  # fmt: skip
    squares = first + n_components * d
    square_totals(scratch, operands.scale, resp, stats, squares, n_components, tile, stride)


@helper
def only(operands, k, d):
    high, shift = operands.high[k * d : (k + 1) * d], operands.shift[k * d : (k + 1) * d]
    scale, gain = operands.scale[k : k + 1], operands.gain[k : k + 1]
    return SphericalOperands(high, shift, scale, operands.constant[k : k + 1], gain)


@helper
def log_density_missing(x, operands, log_weights, logp, scratch, d, tile, stride):
    known_distances(
        x, operands.high, operands.shift, operands.scale, log_weights, operands.constant,
        scratch, logp, d, tile, stride,
    )  # fmt: skip
    add_counts(x, operands.gain, operands.scale, scratch, logp, log_weights.size, d, tile, stride)


@helper
def accumulate_missing(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    first = start + n_components
    weight_totals(resp, stats, start, n_components, tile, stride)
    known_first_moments(
        x, operands.high, operands.shift, operands.scale, resp, stats, first,
        d, n_components, tile, stride,
    )  # fmt: skip
    squares = first + n_components * d
    square_totals(scratch, operands.scale, resp, stats, squares, n_components, tile, stride)


kernels = mixture_kernels(
    NAME,
    log_density,
    accumulate,
    log_density_missing,
    accumulate_missing,
    only,
    masked=True,
    near=(log_density_near, accumulate_near),
)


def moved(params: Params, flat: Array) -> Params:
    """The same variances about the means of the statistic."""
    stats = stats_of(flat, *params.means.shape)
    shift = stats.first / known(stats.counts)[:, None]
    return params._replace(means=params.means + shift / params.whitening[:, None])


def maximize(params: Params, flat: Array, reg: Array) -> Params:
    """The M-step; components without any responsibility keep their parameters."""
    d = params.means.shape[1]
    stats = stats_of(flat, *params.means.shape)
    counts = known(stats.counts)
    shift = stats.first / counts[:, None]
    relative = beyond_rounding(stats.squares / counts, (shift**2).sum(axis=1)) / d
    new = params.covariances * relative + reg.mean()
    alive = stats.counts > 0.0
    return from_covariances(moved(params, flat).means, np.where(alive, new, params.covariances))


def estimate(blocks: Blocks, reg: Array, spare: NDArray[np.bool_], single_rows: bool) -> Params:
    """Parameters from given responsibilities: the start.

    `spare` components lie over all rows alike; with `single_rows` K rows alone have responsibilities.
    """
    counts, means = weighted_means(blocks)
    squares = np.zeros_like(counts)
    for X, resp, _ in blocks:
        for k, mean in enumerate(means):
            squares[k] += resp[:, k] @ ((X - mean) ** 2).mean(axis=1)
    return from_covariances(means, squares / counts + reg.mean())


def from_covariances(means: Array, covariances: Array) -> Params:
    singular = np.flatnonzero(~(covariances > 0.0))
    if singular.size:
        raise SingularComponents(singular.tolist())
    return Params(means, covariances, 1.0 / np.sqrt(covariances))


def from_whitening(means: Array, whitening: Array) -> Params:
    return Params(means, 1.0 / whitening**2, whitening)


def from_precisions(means: Array, precisions: Array) -> Params:
    return from_whitening(means, np.sqrt(precisions))


def squared_distances(params: Params, points: Array) -> Array:
    """Squared distance of every mean from a point of its own, in units of its variance, (K,)."""
    return np.asarray(((points - params.means) ** 2).sum(axis=1) * params.whitening**2)


def centre_distances(params: Params, about: Params) -> Array:
    """Squared distances per column of the shared centre of some components from others, in their units."""
    centre = shared_centre.frame(about.means, about.whitening[:, None]).centre
    return np.asarray(squared_distances(params, centre) / params.means.shape[1])


def separations(params: Params, components: range) -> tuple[Array, Array]:
    """How far each mean is from some components, and how wide its own component is in that direction.

    Both (components, K), in standard deviations of the first along the line from its mean to the other.
    """
    chosen = slice(components.start, components.stop, components.step)
    precision = params.whitening[chosen, None]
    z = (params.means - params.means[chosen, None]) * precision[:, :, None]
    return np.sqrt(np.einsum("mki,mki->mk", z, z)), precision / params.whitening


def within(params: Params, weights: Array) -> Array:
    """Variances of the rows about the means of their components, (d,)."""
    return np.full(params.means.shape[1], weights @ params.covariances)


def variances(params: Params) -> Array:
    """Diagonal of every component's covariance, (K, d)."""
    return np.broadcast_to(params.covariances[:, None], params.means.shape)


def scaled_squares(params: Params, X: Array, scale: Array) -> Array:
    """Squared distances (n, K) in units of scale² (n,): for rows whose own would overflow."""
    rows = X / scale[:, None]
    y = rows[:, None, :] - params.means / scale[:, None, None]
    return np.asarray((y**2).sum(axis=2) * params.whitening**2)


def whitening_matrices(params: Params) -> Array:
    """Lower triangles W of every component, (K, d, d)."""
    return np.asarray(params.whitening[:, None, None] * np.eye(params.means.shape[1]))


def marginal(params: Params, columns: NDArray[np.intp]) -> Params:
    """Components of some columns only."""
    return params._replace(means=params.means[:, columns])


def unwhitened(params: Params, components: NDArray[np.intp], y: Array) -> Array:
    """Rows x, of one component each, with (x − μ) / σ = y."""
    return params.means[components] + y / params.whitening[components, None]


def covariance_shape(n_components: int, d: int) -> tuple[int, ...]:
    return (n_components,)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d)."""
    return params.means, params.covariances[:, None, None] * np.eye(params.means.shape[1])


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    noise = rng.standard_normal(size=(n, params.means.shape[1]))
    return params.means[k] + noise * np.sqrt(params.covariances[k])


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return d + 1


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return n_components * d + n_components
