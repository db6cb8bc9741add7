"""Axis-aligned microkernels: z = (x − μ) · s column by column, squared lengths and moments over a tile."""

from __future__ import annotations

from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    fma,
    lanes,
    load,
    mul,
    residual,
    splat,
    store,
    store_affine,
    total,
    zeros,
)


@helper
def squared_lengths(
    x,  # IN  (d × stride) tile
    high,  # IN  centre at [h0 + j]
    low,  # IN  what rounding the centre to the tile's dtype lost
    scale,  # IN  1 / standard deviation at [h0 + j]
    h0,
    squares,  # OUT (tile) Σ_j z_j² at q0
    q0,
    constant,  # IN  log normalisation
    logp,  # OUT (tile) constant − Σ_j z_j² / 2, float64, at l0
    l0,
    d,
    tile,
    stride,
):
    """Squared distance of every row from a centre, in units of the scale."""
    v = lanes(x)
    for r in range(0, tile, 4 * v):
        q_0 = q_1 = q_2 = q_3 = zeros(x)
        for j in range(d):
            p, m, n, s = j * stride + r, high[h0 + j], low[h0 + j], splat(scale[h0 + j])
            z0, z1 = mul(s, residual(load(x, p), m, n)), mul(s, residual(load(x, p + v), m, n))
            z2, z3 = (
                mul(s, residual(load(x, p + 2 * v), m, n)),
                mul(s, residual(load(x, p + 3 * v), m, n)),
            )
            q_0, q_1, q_2, q_3 = (
                fma(z0, z0, q_0),
                fma(z1, z1, q_1),
                fma(z2, z2, q_2),
                fma(z3, z3, q_3),
            )
        p = q0 + r
        store(squares, p, q_0), store(squares, p + v, q_1)
        store(squares, p + 2 * v, q_2), store(squares, p + 3 * v, q_3)
        p = l0 + r
        store_affine(logp, p, q_0, -0.5, constant), store_affine(logp, p + v, q_1, -0.5, constant)
        store_affine(logp, p + 2 * v, q_2, -0.5, constant)
        store_affine(logp, p + 3 * v, q_3, -0.5, constant)


@helper
def first_moments(
    x,  # IN  (d × stride) tile
    high,
    low,
    scale,
    h0,
    resp,  # IN  (tile) weights of the rows at r0
    r0,
    stats,  # INOUT Σ r z_j at [s1 + j]
    s1,
    d,
    tile,
    stride,
):
    """Add Σ r z over a tile."""
    v = lanes(x)
    for j in range(d):
        p, m, n, s = j * stride, high[h0 + j], low[h0 + j], splat(scale[h0 + j])
        t0 = t1 = t2 = t3 = zeros(x)
        for r in range(0, tile, 4 * v):
            t0 = fma(load(resp, r0 + r), residual(load(x, p + r), m, n), t0)
            t1 = fma(load(resp, r0 + r + v), residual(load(x, p + r + v), m, n), t1)
            t2 = fma(load(resp, r0 + r + 2 * v), residual(load(x, p + r + 2 * v), m, n), t2)
            t3 = fma(load(resp, r0 + r + 3 * v), residual(load(x, p + r + 3 * v), m, n), t3)
        stats[s1 + j] += total(mul(s, add(add(t0, t1), add(t2, t3))))


@helper
def two_moments(
    x,  # IN  (d × stride) tile
    high,
    low,
    scale,
    h0,
    resp,  # IN  (tile) weights of the rows at r0
    r0,
    stats,  # INOUT Σ r z_j at [s1 + j], Σ r z_j² at [s2 + j]
    s1,
    s2,
    d,
    tile,
    stride,
):
    """Add Σ r z and Σ r z² over a tile, column by column."""
    v = lanes(x)
    for j in range(d):
        p, m, n, s = j * stride, high[h0 + j], low[h0 + j], splat(scale[h0 + j])
        t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = zeros(x)
        for r in range(0, tile, 4 * v):
            z0, z1 = (
                mul(s, residual(load(x, p + r), m, n)),
                mul(s, residual(load(x, p + r + v), m, n)),
            )
            z2, z3 = (
                mul(s, residual(load(x, p + r + 2 * v), m, n)),
                mul(s, residual(load(x, p + r + 3 * v), m, n)),
            )
            w0, w1 = mul(z0, load(resp, r0 + r)), mul(z1, load(resp, r0 + r + v))
            w2, w3 = mul(z2, load(resp, r0 + r + 2 * v)), mul(z3, load(resp, r0 + r + 3 * v))
            t0, t1, t2, t3 = add(t0, w0), add(t1, w1), add(t2, w2), add(t3, w3)
            u0, u1, u2, u3 = fma(z0, w0, u0), fma(z1, w1, u1), fma(z2, w2, u2), fma(z3, w3, u3)
        stats[s1 + j] += total(add(add(t0, t1), add(t2, t3)))
        stats[s2 + j] += total(add(add(u0, u1), add(u2, u3)))


@helper
def weight_total(resp, r0, tile):
    """Σ r over a tile, as float64."""
    v = lanes(resp)
    t0 = t1 = zeros(resp)
    for r in range(0, tile, 2 * v):
        t0, t1 = add(t0, load(resp, r0 + r)), add(t1, load(resp, r0 + r + v))
    return total(add(t0, t1))


@helper
def dot(a, b, start, tile):
    """Σ a b over a tile at the same offset of two arrays, as float64."""
    v = lanes(a)
    t0 = t1 = zeros(a)
    for r in range(start, start + tile, 2 * v):
        t0, t1 = fma(load(a, r), load(b, r), t0), fma(load(a, r + v), load(b, r + v), t1)
    return total(add(t0, t1))
