"""Axis-aligned microkernels: squared distances of rows from centres, moments about them, column by column.

All components of a tile at once: distances take a few rows through all components, moments a few columns
through all rows, so that what is read again stays in the first cache. A float64 row's offset x − μ stays in
units of the data until it is summed; a float32 one, whose square would overflow at 1e19, is standardised at
once, which also makes up for the rounding of μ (`shift`).
"""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.lane_sums import add_totals, total
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    fma,
    lanes,
    load,
    load_wide,
    mul,
    offset,
    rest_of_scale,
    scaled,
    standardised,
    store,
    store_affine,
    zeros,
    zeros_wide,
)


@helper
def scaled_distances(
    x,  # IN  (d columns) tile
    high,  # IN  (K · d) centres
    shift,  # IN  (K · d) −scale · what rounding the centres to the tile's dtype lost
    scale,  # IN  (K · d) 1 / standard deviation
    log_weights,  # IN  (K)
    constant,  # IN  (K) log normalisation
    logp,  # OUT (K × stride) log weight + constant − Σ_j z_j² / 2, z = (x − μ) · scale
    d,
    tile,
    stride,
):
    """Log-densities of components that have a scale for every column."""
    n_components, strip = log_weights.size, 4 * lanes(x)
    for r in range(0, tile, strip):
        k = 0
        while k + 2 <= n_components:
            a = b = zeros_wide(x)
            for j in range(d):
                row, i = load_wide(x, r * d + j * strip), k * d + j
                z = standardised(row, high, scale, shift, i)
                a = fma(z, z, a)
                i += d
                z = standardised(row, high, scale, shift, i)
                b = fma(z, z, b)
            store_affine(
                logp, k * stride + r, a, -0.5, element(log_weights, k) + element(constant, k)
            )
            k += 1
            store_affine(
                logp, k * stride + r, b, -0.5, element(log_weights, k) + element(constant, k)
            )
            k += 1
        if k < n_components:
            a = zeros_wide(x)
            for j in range(d):
                row, i = load_wide(x, r * d + j * strip), k * d + j
                z = standardised(row, high, scale, shift, i)
                a = fma(z, z, a)
            store_affine(
                logp, k * stride + r, a, -0.5, element(log_weights, k) + element(constant, k)
            )


@helper
def distances(
    x,  # IN  (d columns) tile
    high,  # IN  (K · d) centres
    shift,  # IN  (K · d) −scale · what rounding the centres to the tile's dtype lost
    scale,  # IN  (K) 1 / standard deviation
    log_weights,  # IN  (K)
    constant,  # IN  (K) log normalisation
    squares,  # OUT (K × stride) |x − μ|² in units that `square_totals` knows, or None
    logp,  # OUT (K × stride) log weight + constant − scale² |x − μ|² / 2
    d,
    tile,
    stride,
):
    """Log-densities of components that have one scale for all columns."""
    n_components, strip = log_weights.size, 4 * lanes(x)
    for r in range(0, tile, strip):
        k = 0
        while k + 2 <= n_components:
            a = b = zeros_wide(x)
            for j in range(d):
                row, i = load_wide(x, r * d + j * strip), k * d + j
                z = offset(row, high, shift, i, element(scale, k))
                a = fma(z, z, a)
                i += d
                z = offset(row, high, shift, i, element(scale, k + 1))
                b = fma(z, z, b)
            density(a, k, r, scale, log_weights, constant, squares, logp, stride)
            density(b, k + 1, r, scale, log_weights, constant, squares, logp, stride)
            k += 2
        if k < n_components:
            a = zeros_wide(x)
            for j in range(d):
                row, i = load_wide(x, r * d + j * strip), k * d + j
                z = offset(row, high, shift, i, element(scale, k))
                a = fma(z, z, a)
            density(a, k, r, scale, log_weights, constant, squares, logp, stride)


@helper
def density(square, k, r, scale, log_weights, constant, squares, logp, stride):
    """Store the log-densities of some rows, and their squared distances where wanted."""
    rest = rest_of_scale(scale, k)
    if squares is not None:
        store(squares, k * stride + r, square)
    # one factor after the other: rest² would overflow before the variance underflows
    square = scaled(rest, square)
    store_affine(
        logp, k * stride + r, square, -0.5 * rest, element(log_weights, k) + element(constant, k)
    )


@helper
def first_moments(
    x,  # IN  (d columns) tile
    high,  # IN  as for `distances`
    shift,
    scale,
    resp,  # IN  (K × stride) weights of the rows
    stats,  # INOUT Σ r z_j at [first + k·d + j], z = (x − μ) · scale
    first,
    d,
    n_components,
    tile,
    stride,
):
    """Add Σ r z over a tile: four columns of two components at a time, then one of one."""
    j, strip = 0, 4 * lanes(x)
    while j + 4 <= d:
        k = 0
        while k + 2 <= n_components:
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(x)
            s, t, i, o = element(scale, k), element(scale, k + 1), k * d + j, (k + 1) * d + j
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(x)):
                    p = row * (d - 1) + j * strip + r
                    x0, x1 = load(x, p), load(x, p + strip)
                    x2, x3 = load(x, p + 2 * strip), load(x, p + 3 * strip)
                    w = load(resp, k * stride + r)
                    a0 = fma(w, offset(x0, high, shift, i, s), a0)
                    a1 = fma(w, offset(x1, high, shift, i + 1, s), a1)
                    a2 = fma(w, offset(x2, high, shift, i + 2, s), a2)
                    a3 = fma(w, offset(x3, high, shift, i + 3, s), a3)
                    w = load(resp, (k + 1) * stride + r)
                    b0 = fma(w, offset(x0, high, shift, o, t), b0)
                    b1 = fma(w, offset(x1, high, shift, o + 1, t), b1)
                    b2 = fma(w, offset(x2, high, shift, o + 2, t), b2)
                    b3 = fma(w, offset(x3, high, shift, o + 3, t), b3)
            s, t = rest_of_scale(scale, k), rest_of_scale(scale, k + 1)
            add_totals(stats, first + i, scaled(s, a0), scaled(s, a1), scaled(s, a2), scaled(s, a3))
            add_totals(stats, first + o, scaled(t, b0), scaled(t, b1), scaled(t, b2), scaled(t, b3))
            k += 2
        if k < n_components:
            for column in range(j, j + 4):
                first_moment(x, high, shift, scale, resp, k, column, stats, first, d, tile, stride)
        j += 4
    while j < d:
        for k in range(n_components):
            first_moment(x, high, shift, scale, resp, k, j, stats, first, d, tile, stride)
        j += 1


@helper
def first_moment(x, high, shift, scale, resp, k, j, stats, first, d, tile, stride):
    """Add Σ r z of one column and component."""
    t, i, strip = zeros_wide(x), k * d + j, 4 * lanes(x)
    for r in range(0, tile, strip):
        z = offset(load_wide(x, r * d + j * strip), high, shift, i, element(scale, k))
        t = fma(load_wide(resp, k * stride + r), z, t)
    stats[first + i] += total(scaled(rest_of_scale(scale, k), t))


@helper
def two_moments(
    x,  # IN  (d columns) tile
    high,  # IN  as for `scaled_distances`
    shift,
    scale,
    resp,  # IN  (K × stride) weights of the rows
    stats,  # INOUT Σ r z_j at [first + k·d + j], Σ r z_j² at [second + k·d + j]
    first,
    second,
    d,
    n_components,
    tile,
    stride,
):
    """Add Σ r z and Σ r z² over a tile: four columns of a component at a time, then one."""
    j, strip = 0, 4 * lanes(x)
    while j + 4 <= d:
        for k in range(n_components):
            t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = zeros(x)
            i = k * d + j
            s0, s1 = element(scale, i), element(scale, i + 1)
            s2, s3 = element(scale, i + 2), element(scale, i + 3)
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(x)):
                    p, w = row * (d - 1) + j * strip + r, load(resp, k * stride + r)
                    z0 = offset(load(x, p), high, shift, i, s0)
                    z1 = offset(load(x, p + strip), high, shift, i + 1, s1)
                    z2 = offset(load(x, p + 2 * strip), high, shift, i + 2, s2)
                    z3 = offset(load(x, p + 3 * strip), high, shift, i + 3, s3)
                    w0, w1, w2, w3 = mul(w, z0), mul(w, z1), mul(w, z2), mul(w, z3)
                    t0, t1, t2, t3 = add(t0, w0), add(t1, w1), add(t2, w2), add(t3, w3)
                    u0, u1 = fma(z0, w0, u0), fma(z1, w1, u1)
                    u2, u3 = fma(z2, w2, u2), fma(z3, w3, u3)
            s0, s1 = rest_of_scale(scale, i), rest_of_scale(scale, i + 1)
            s2, s3 = rest_of_scale(scale, i + 2), rest_of_scale(scale, i + 3)
            t0, t1, t2, t3 = scaled(s0, t0), scaled(s1, t1), scaled(s2, t2), scaled(s3, t3)
            add_totals(stats, first + i, t0, t1, t2, t3)
            u0, u1, u2, u3 = scaled(s0, u0), scaled(s1, u1), scaled(s2, u2), scaled(s3, u3)
            u0, u1, u2, u3 = scaled(s0, u0), scaled(s1, u1), scaled(s2, u2), scaled(s3, u3)
            add_totals(stats, second + i, u0, u1, u2, u3)
        j += 4
    while j < d:
        for k in range(n_components):
            t, u, i = zeros_wide(x), zeros_wide(x), k * d + j
            for r in range(0, tile, strip):
                z = offset(load_wide(x, r * d + j * strip), high, shift, i, element(scale, i))
                w = mul(load_wide(resp, k * stride + r), z)
                t, u = add(t, w), fma(z, w, u)
            s = rest_of_scale(scale, i)
            stats[first + i] += total(t) * s
            stats[second + i] += total(u) * s * s
        j += 1


@helper
def square_totals(
    squares,  # IN  (K × stride) of `distances`
    scale,  # IN  (K)
    resp,  # IN  (K × stride) weights of the rows
    stats,  # INOUT Σ r |z|² at [start + k]
    start,
    n_components,
    tile,
    stride,
):
    """Add Σ r |z|² over a tile."""
    for k in range(n_components):
        s = rest_of_scale(scale, k)
        stats[start + k] += weighted_total(squares, resp, k * stride, tile) * s * s


@helper
def weighted_total(values, resp, r0, tile):
    """Σ r · value over a tile, as float64."""
    t = zeros_wide(resp)
    for r in range(r0, r0 + tile, 4 * lanes(resp)):
        t = fma(load_wide(resp, r), load_wide(values, r), t)
    return total(t)


@helper
def weight_totals(resp, stats, start, n_components, tile, stride):
    """Add Σ r of every component over a tile."""
    for k in range(n_components):
        stats[start + k] += weight_total(resp, k * stride, tile)


@helper
def weight_total(resp, r0, tile):
    """Σ r over a tile, as float64."""
    t = zeros_wide(resp)
    for r in range(0, tile, 4 * lanes(resp)):
        t = add(t, load_wide(resp, r0 + r))
    return total(t)
