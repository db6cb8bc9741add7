"""Rows with missing values under covariance matrices: whitening, and what is expected of the missing part."""

from __future__ import annotations

from fusem.kernels.missing import add_to, group_of
from fusem.kernels.null_space import add_spread, basis, mass_of, remove, take_spread
from fusem.kernels.policy import helper
from fusem.kernels.simd import fma, lanes, load_wide, store_affine, zeros_wide
from fusem.kernels.whiten import whiten


@helper
def observed_densities(
    x,  # IN  (d columns) tile
    m,  # INOUT y of every component: conditional means, whitened
    high,  # IN  (K · d) means, as for `whiten`
    low,
    matrix,  # IN  (n · d · d) W
    n,  # IN  matrices there are: one for each component, or one for all
    constant,  # IN  (K)
    log_weights,  # IN  (K)
    logp,  # OUT (K × stride)
    d,
    tile,
    stride,
):
    """Log-densities of what was observed."""
    n_components, step = log_weights.size, 4 * lanes(x)
    for k in range(n_components):
        for r in range(0, tile, step):
            whiten(
                x, high, low, k * d, matrix, k % n * d * d,
                m.y, k * d * tile, 0.0, logp, k * stride, r, d, True,
            )  # fmt: skip
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        for k in range(n_components):
            own = k % n
            v0 = basis(m.bases, m.patterns, matrix, own * d * d, number, count, own, n, d)
            remove(m.y, k * d * tile, m.bases, v0, count, first, last, m.kept, d)
    for k in range(n_components):
        for r in range(0, tile, step):
            store_square(m.y, k * d * tile + r * d, d, logp, k * stride + r)
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, _ = group_of(m, g, d, tile)
        for k in range(n_components):
            begun = log_weights[k] + constant[k] + m.bases.gain[number * n + k % n]
            add_to(logp, k * stride + first, k * stride + last, begun)


@helper
def store_square(y, at, d, halves, to):
    """−|y|² / 2 of a strip of rows, what belongs to their missing values taken out."""
    square, step = zeros_wide(y), 4 * lanes(y)
    for j in range(d):
        z = load_wide(y, at + j * step)
        square = fma(z, z, square)
    store_affine(halves, to, square, -0.5, 0.0)


@helper
def add_spreads(
    m,
    resp,  # IN  (K × stride)
    matrix,  # IN  (n · d · d) W
    n,
    n_components,
    stats,  # INOUT n lower triangles at `second`
    second,
    d,
    tile,
    stride,
):
    """Add Σ r times the conditional covariance of the missing values, whitened."""
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        for own in range(n):
            mass = 0.0
            for k in range(own, n_components, n):
                mass += mass_of(resp, k * stride, m.bases, first, last)
            if mass > 0.0:
                v0 = basis(m.bases, m.patterns, matrix, own * d * d, number, count, own, n, d)
                add_spread(m.bases, v0, count, mass, own, d)
    for own in range(n):
        take_spread(m.bases, own, stats, second + own * d * (d + 1) // 2, d)
