"""The two triangular microkernels: y = W (x − μ) for some rows, and the lower half of Σ r y yᵀ over a tile.

Both work on blocks of four rows of the result: `whiten` for four vectors of rows of the data at a time,
`scatter` for four columns against four. What is left of d after fours goes one row at a time. d² / 2
multiply–adds per row each. x − μ is taken anew for every block, which costs additions alone (storing it
instead was 5 to 25 % slower, d = 64 to 8).
"""

from __future__ import annotations

from fusem.kernels.lane_sums import add_totals, total
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    add_scaled,
    fma,
    lanes,
    load,
    load_wide,
    mul,
    residual,
    store,
    store_affine,
    zeros,
    zeros_wide,
)
from fusem.kernels.small import MOST, scatter_small, whiten_small


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
    constant,  # IN  log normalisation
    logp,  # OUT constant − |y|² / 2 at [l0 + r]
    l0,
    r,  # IN  the first of four vectors of rows
    d,
    stride,
):
    """y = W (x − μ) and logp = constant − |y|² / 2 for four vectors of rows."""
    if d <= MOST:
        whiten_small(x, high, low, h0, matrix, m0, y, y0, constant, logp, l0, r, d, stride)
        return
    square = zeros_wide(x)
    i = 0
    while i + 4 <= d:
        a = b = c = e = zeros_wide(x)
        ma = m0 + i * d  # rows of W
        mb, mc, me = ma + d, ma + 2 * d, ma + 3 * d
        for j in range(i):
            z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
            a, b = add_scaled(matrix[ma + j], z, a), add_scaled(matrix[mb + j], z, b)
            c, e = add_scaled(matrix[mc + j], z, c), add_scaled(matrix[me + j], z, e)
        j, p = i, y0 + i * stride + r  # the block on the diagonal is a triangle
        z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
        a, b = add_scaled(matrix[ma + j], z, a), add_scaled(matrix[mb + j], z, b)
        c, e = add_scaled(matrix[mc + j], z, c), add_scaled(matrix[me + j], z, e)
        j += 1
        z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
        b, c = add_scaled(matrix[mb + j], z, b), add_scaled(matrix[mc + j], z, c)
        e = add_scaled(matrix[me + j], z, e)
        j += 1
        z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
        c, e = add_scaled(matrix[mc + j], z, c), add_scaled(matrix[me + j], z, e)
        j += 1
        z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
        e = add_scaled(matrix[me + j], z, e)
        store(y, p, a), store(y, p + stride, b)
        store(y, p + 2 * stride, c), store(y, p + 3 * stride, e)
        square = fma(e, e, fma(c, c, fma(b, b, fma(a, a, square))))
        i += 4
    while i < d:
        a = zeros_wide(x)
        for j in range(i + 1):
            z = residual(load_wide(x, j * stride + r), high[h0 + j], low[h0 + j])
            a = add_scaled(matrix[m0 + i * d + j], z, a)
        store(y, y0 + i * stride + r, a)
        square = fma(a, a, square)
        i += 1
    store_affine(logp, l0 + r, square, -0.5, constant)


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
    """Add Σ r y and the lower triangle of Σ r y yᵀ over a tile; returns Σ r."""
    if d <= MOST:
        return scatter_small(y, y0, resp, r0, stats, s1, s2, d, tile, stride)
    n = 0.0
    i = 0
    while i + 4 <= d:
        n = diagonal_block(
            y, y0 + i * stride, resp, r0, product, stats, s1 + i, s2 + i * d + i, d, tile, stride
        )
        for j in range(0, i, 4):
            scatter_block(y, y0 + j * stride, product, stats, s2 + i * d + j, d, tile, stride)
        i += 4
    while i < d:
        row = s2 + i * d
        t = zeros_wide(y)
        for r in range(0, tile, 4 * lanes(y)):
            m = mul(load_wide(resp, r0 + r), load_wide(y, y0 + i * stride + r))
            store(product, r, m)
            t = add(t, m)
        stats[s1 + i] += total(t)
        j = 0
        while j + 4 <= i:
            a0 = a1 = a2 = a3 = zeros(y)
            for r in range(0, tile, lanes(y)):
                p, m = y0 + j * stride + r, load(product, r)
                a0, a1 = fma(m, load(y, p), a0), fma(m, load(y, p + stride), a1)
                p += 2 * stride
                a2, a3 = fma(m, load(y, p), a2), fma(m, load(y, p + stride), a3)
            add_totals(stats, row + j, a0, a1, a2, a3)
            j += 4
        while j <= i:
            t = zeros_wide(y)
            for r in range(0, tile, 4 * lanes(y)):
                t = fma(load_wide(product, r), load_wide(y, y0 + j * stride + r), t)
            stats[row + j] += total(t)
            j += 1
        i += 1
    return n


@helper
def diagonal_block(
    y,  # IN  four columns at y0
    y0,
    resp,
    r0,
    product,  # OUT (four columns × stride) r · y
    stats,  # INOUT Σ r y at [s1 + i], lower triangle of a 4×4 block at o, row length d
    s1,
    o,
    d,
    tile,
    stride,
):
    """Add one block on the diagonal, and Σ r y of its columns; returns Σ r."""
    n = t0 = t1 = t2 = t3 = zeros(y)
    a0 = b0 = b1 = c0 = c1 = c2 = e0 = e1 = e2 = e3 = zeros(y)
    for r in range(0, tile, lanes(y)):
        p, w = y0 + r, load(resp, r0 + r)
        x0, x1 = load(y, p), load(y, p + stride)
        x2, x3 = load(y, p + 2 * stride), load(y, p + 3 * stride)
        m0, m1, m2, m3 = mul(w, x0), mul(w, x1), mul(w, x2), mul(w, x3)
        store(product, r, m0), store(product, stride + r, m1)
        store(product, 2 * stride + r, m2), store(product, 3 * stride + r, m3)
        n, t0, t1, t2, t3 = add(n, w), add(t0, m0), add(t1, m1), add(t2, m2), add(t3, m3)
        a0, b0, b1 = fma(m0, x0, a0), fma(m1, x0, b0), fma(m1, x1, b1)
        c0, c1, c2 = fma(m2, x0, c0), fma(m2, x1, c1), fma(m2, x2, c2)
        e0, e1, e2, e3 = fma(m3, x0, e0), fma(m3, x1, e1), fma(m3, x2, e2), fma(m3, x3, e3)
    nothing = zeros(y)
    add_totals(stats, s1, t0, t1, t2, t3)
    add_totals(stats, o, a0, nothing, nothing, nothing)
    add_totals(stats, o + d, b0, b1, nothing, nothing)
    add_totals(stats, o + 2 * d, c0, c1, c2, nothing)
    add_totals(stats, o + 3 * d, e0, e1, e2, e3)
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
    """Add one 4×4 block of Σ r y yᵀ left of the diagonal."""
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
