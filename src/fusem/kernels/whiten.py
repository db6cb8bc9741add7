"""The two triangular microkernels: y = W (x − μ) over a tile, and the lower half of Σ r y yᵀ.

Both work on blocks of four rows of the result by four vectors, sixteen accumulators in registers;
what is left of d after fours goes one row at a time. d² / 2 multiply–adds per row each.
"""

from __future__ import annotations

from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    add_totals,
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
from fusem.kernels.small import MOST, scatter_small, whiten_small


@helper
def centre(x, high, low, h0, r, diff, d, stride):
    """diff (d × four vectors) = x − (high + low) for four vectors of rows from row r."""
    v = lanes(x)
    for j in range(d):
        p, q = j * stride + r, j * 4 * v
        m, n = high[h0 + j], low[h0 + j]
        store(diff, q, residual(load(x, p), m, n))
        store(diff, q + v, residual(load(x, p + v), m, n))
        store(diff, q + 2 * v, residual(load(x, p + 2 * v), m, n))
        store(diff, q + 3 * v, residual(load(x, p + 3 * v), m, n))


@helper
def whiten(
    x,  # IN  (d × stride) tile
    high,  # IN  μ at [h0 + j]
    low,  # IN  what rounding μ to the tile's dtype lost
    h0,
    matrix,  # IN  (d × d) lower triangle W at [m0 + i·d + j]
    m0,
    y,  # OUT (d × stride) at y0
    y0,
    diff,  # SCRATCH (d × four vectors)
    constant,  # IN  log normalisation
    logp,  # OUT (tile) constant − |y|² / 2, float64, at l0
    l0,
    d,
    tile,
    stride,
):
    """y = W (x − μ) and logp = constant − |y|² / 2 for every row of a tile."""
    if d <= MOST:
        whiten_small(x, high, low, h0, matrix, m0, y, y0, constant, logp, l0, d, tile, stride)
        return
    v = lanes(x)
    for r in range(0, tile, 4 * v):
        centre(x, high, low, h0, r, diff, d, stride)
        q_0 = q_1 = q_2 = q_3 = zeros(x)
        i = 0
        while i + 4 <= d:
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(x)
            c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(x)
            row = m0 + i * d
            for j in range(i + 4):
                p = j * 4 * v
                x0, x1, x2, x3 = (
                    load(diff, p),
                    load(diff, p + v),
                    load(diff, p + 2 * v),
                    load(diff, p + 3 * v),
                )
                s = splat(matrix[row + j])
                a0, a1, a2, a3 = fma(s, x0, a0), fma(s, x1, a1), fma(s, x2, a2), fma(s, x3, a3)
                s = splat(matrix[row + d + j])
                b0, b1, b2, b3 = fma(s, x0, b0), fma(s, x1, b1), fma(s, x2, b2), fma(s, x3, b3)
                s = splat(matrix[row + 2 * d + j])
                c0, c1, c2, c3 = fma(s, x0, c0), fma(s, x1, c1), fma(s, x2, c2), fma(s, x3, c3)
                s = splat(matrix[row + 3 * d + j])
                e0, e1, e2, e3 = fma(s, x0, e0), fma(s, x1, e1), fma(s, x2, e2), fma(s, x3, e3)
            p = y0 + i * stride + r
            store(y, p, a0), store(y, p + v, a1), store(y, p + 2 * v, a2), store(y, p + 3 * v, a3)
            p += stride
            store(y, p, b0), store(y, p + v, b1), store(y, p + 2 * v, b2), store(y, p + 3 * v, b3)
            p += stride
            store(y, p, c0), store(y, p + v, c1), store(y, p + 2 * v, c2), store(y, p + 3 * v, c3)
            p += stride
            store(y, p, e0), store(y, p + v, e1), store(y, p + 2 * v, e2), store(y, p + 3 * v, e3)
            q_0 = fma(e0, e0, fma(c0, c0, fma(b0, b0, fma(a0, a0, q_0))))
            q_1 = fma(e1, e1, fma(c1, c1, fma(b1, b1, fma(a1, a1, q_1))))
            q_2 = fma(e2, e2, fma(c2, c2, fma(b2, b2, fma(a2, a2, q_2))))
            q_3 = fma(e3, e3, fma(c3, c3, fma(b3, b3, fma(a3, a3, q_3))))
            i += 4
        while i < d:
            a0 = a1 = a2 = a3 = zeros(x)
            for j in range(i + 1):
                p = j * 4 * v
                s = splat(matrix[m0 + i * d + j])
                a0, a1 = fma(s, load(diff, p), a0), fma(s, load(diff, p + v), a1)
                a2, a3 = fma(s, load(diff, p + 2 * v), a2), fma(s, load(diff, p + 3 * v), a3)
            p = y0 + i * stride + r
            store(y, p, a0), store(y, p + v, a1), store(y, p + 2 * v, a2), store(y, p + 3 * v, a3)
            q_0, q_1, q_2, q_3 = (
                fma(a0, a0, q_0),
                fma(a1, a1, q_1),
                fma(a2, a2, q_2),
                fma(a3, a3, q_3),
            )
            i += 1
        p = l0 + r
        store_affine(logp, p, q_0, -0.5, constant), store_affine(logp, p + v, q_1, -0.5, constant)
        store_affine(logp, p + 2 * v, q_2, -0.5, constant)
        store_affine(logp, p + 3 * v, q_3, -0.5, constant)


@helper
def scatter(
    y,  # IN  (d × stride) at y0
    y0,
    resp,  # IN  (tile) weights of the rows at r0
    r0,
    product,  # SCRATCH (four columns × stride)
    stats,  # INOUT Σ r y at [s1 + i], lower triangle of Σ r y yᵀ at [s2 + i·d + j]
    s1,
    s2,
    d,
    tile,
    stride,
):
    """Add Σ r y and the lower triangle of Σ r y yᵀ (and a little above it); returns Σ r."""
    if d <= MOST:
        return scatter_small(y, y0, resp, r0, stats, s1, s2, d, tile, stride)
    v = lanes(y)
    n = zeros(y)
    for r in range(0, tile, v):
        n = add(n, load(resp, r0 + r))
    i = 0
    while i + 4 <= d:
        t0 = t1 = t2 = t3 = zeros(y)
        for r in range(0, tile, v):
            weight, p = load(resp, r0 + r), y0 + i * stride + r
            m0, m1 = mul(weight, load(y, p)), mul(weight, load(y, p + stride))
            m2, m3 = mul(weight, load(y, p + 2 * stride)), mul(weight, load(y, p + 3 * stride))
            store(product, r, m0), store(product, stride + r, m1)
            store(product, 2 * stride + r, m2), store(product, 3 * stride + r, m3)
            t0, t1, t2, t3 = add(t0, m0), add(t1, m1), add(t2, m2), add(t3, m3)
        add_totals(stats, s1 + i, t0, t1, t2, t3)
        for j in range(0, i + 4, 4):
            scatter_block(y, y0 + j * stride, product, stats, s2 + i * d + j, d, tile, stride)
        i += 4
    while i < d:
        t0 = t1 = zeros(y)
        for r in range(0, tile, 2 * v):
            p = y0 + i * stride + r
            m0, m1 = (
                mul(load(resp, r0 + r), load(y, p)),
                mul(load(resp, r0 + r + v), load(y, p + v)),
            )
            store(product, r, m0), store(product, r + v, m1)
            t0, t1 = add(t0, m0), add(t1, m1)
        stats[s1 + i] += total(add(t0, t1))
        for j in range(i + 1):
            t0 = t1 = zeros(y)
            for r in range(0, tile, 2 * v):
                p = y0 + j * stride + r
                t0, t1 = (
                    fma(load(product, r), load(y, p), t0),
                    fma(load(product, r + v), load(y, p + v), t1),
                )
            stats[s2 + i * d + j] += total(add(t0, t1))
        i += 1
    return total(n)


@helper
def scatter_block(
    y,  # IN  four columns at y0
    y0,
    product,  # IN  (four columns × stride) r · y of the block's rows
    stats,  # INOUT 4×4 block at o, row length d
    o,
    d,
    tile,
    stride,
):
    """Add one 4×4 block of Σ r y yᵀ."""
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(y)
    c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(y)
    for r in range(0, tile, lanes(y)):
        p = y0 + r
        x0, x1 = load(y, p), load(y, p + stride)
        x2, x3 = load(y, p + 2 * stride), load(y, p + 3 * stride)
        s = load(product, r)
        a0, a1, a2, a3 = fma(s, x0, a0), fma(s, x1, a1), fma(s, x2, a2), fma(s, x3, a3)
        s = load(product, stride + r)
        b0, b1, b2, b3 = fma(s, x0, b0), fma(s, x1, b1), fma(s, x2, b2), fma(s, x3, b3)
        s = load(product, 2 * stride + r)
        c0, c1, c2, c3 = fma(s, x0, c0), fma(s, x1, c1), fma(s, x2, c2), fma(s, x3, c3)
        s = load(product, 3 * stride + r)
        e0, e1, e2, e3 = fma(s, x0, e0), fma(s, x1, e1), fma(s, x2, e2), fma(s, x3, e3)
    add_totals(stats, o, a0, a1, a2, a3)
    add_totals(stats, o + d, b0, b1, b2, b3)
    add_totals(stats, o + 2 * d, c0, c1, c2, c3)
    add_totals(stats, o + 3 * d, e0, e1, e2, e3)
