"""The two triangular microkernels: y = W (x − μ) for some rows, and the lower half of Σ r y yᵀ over a tile.

Both work on blocks of four rows of the result: `whiten` for a strip of rows of the data at a time, `scatter`
for four columns against four. d² / 2 multiply–adds per row each. `whiten` works in place: the last block of y
needs all of x − μ and leaves it where the rest of y will stand; each block before it needs less, and
overwrites only what no other needs. (x − μ taken anew in every block: 5 to 20 % slower where additions share
the ports of multiplications. Blocks of eight rows by two vectors: 3 to 15 % slower.)
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
    store,
    store_affine,
    zeros,
    zeros_wide,
)
from fusem.kernels.small import MOST, about_mean, scatter_small, whiten_small


@helper
def whiten(
    x,  # IN  (d columns) tile
    high,  # IN  μ at [h0 + j]
    low,  # IN  what rounding μ to the tile's dtype lost
    h0,
    matrix,  # IN  (d × d) lower triangle W at [m0 + i·d + j]
    m0,
    y,  # OUT (d columns) at y0
    y0,
    constant,  # IN  log normalisation
    logp,  # OUT constant − |y|² / 2 at [l0 + r]
    l0,
    r,  # IN  the strip's first row
    d,
    holes=None,  # IN  not None: values may be missing, NaN, and are taken to be μ: the least rounding error
):
    """y = W (x − μ) and logp = constant − |y|² / 2 for a strip of rows."""
    if d <= MOST:
        whiten_small(x, high, low, h0, matrix, m0, y, y0, constant, logp, l0, r, d, holes)
        return
    x0, y0, i = r * d, y0 + r * d, d - 4
    square = zeros_wide(x)
    square = whiten_four(True, x, x0, high, low, h0, matrix, m0, y, y0, i, d, square, holes)
    while i >= 4:
        i -= 4
        square = whiten_four(False, x, x0, high, low, h0, matrix, m0, y, y0, i, d, square, holes)
    while i > 0:
        i -= 1
        square = whiten_one(matrix, m0, y, y0, i, d, square)
    store_affine(logp, l0 + r, square, -0.5, constant)


@helper
def whiten_four(first, x, x0, high, low, h0, matrix, m0, y, y0, i, d, square, holes):
    """Rows i to i + 3 of y; the sum of squares goes on."""
    a = b = c = e = zeros_wide(x)
    ma = m0 + i * d  # rows of W
    mb, mc, me = ma + d, ma + 2 * d, ma + 3 * d
    for j in range(i):
        z = difference(first, x, x0, high, low, h0, y, y0, j, holes)
        a, b = add_scaled(matrix, ma + j, z, a), add_scaled(matrix, mb + j, z, b)
        c, e = add_scaled(matrix, mc + j, z, c), add_scaled(matrix, me + j, z, e)
    j, strip = i, 4 * lanes(x)  # the block on the diagonal is a triangle
    z = difference(first, x, x0, high, low, h0, y, y0, j, holes)
    a, b = add_scaled(matrix, ma + j, z, a), add_scaled(matrix, mb + j, z, b)
    c, e = add_scaled(matrix, mc + j, z, c), add_scaled(matrix, me + j, z, e)
    j += 1
    z = difference(first, x, x0, high, low, h0, y, y0, j, holes)
    b, c = add_scaled(matrix, mb + j, z, b), add_scaled(matrix, mc + j, z, c)
    e = add_scaled(matrix, me + j, z, e)
    j += 1
    z = difference(first, x, x0, high, low, h0, y, y0, j, holes)
    c, e = add_scaled(matrix, mc + j, z, c), add_scaled(matrix, me + j, z, e)
    j += 1
    z = difference(first, x, x0, high, low, h0, y, y0, j, holes)
    e = add_scaled(matrix, me + j, z, e)
    p = y0 + i * strip
    store(y, p, a), store(y, p + strip, b)
    store(y, p + 2 * strip, c), store(y, p + 3 * strip, e)
    return fma(e, e, fma(c, c, fma(b, b, fma(a, a, square))))


@helper
def difference(first, x, x0, high, low, h0, y, y0, j, holes):
    """Column j of x − μ: worked out the first time, and left where y will stand."""
    p = j * 4 * lanes(x)
    if not first:
        return load_wide(y, y0 + p)
    z = about_mean(x, x0 + p, high, low, h0 + j, holes)
    store(y, y0 + p, z)
    return z


@helper
def whiten_one(matrix, m0, y, y0, i, d, square):
    """Row i of y from x − μ in its place; the sum of squares goes on."""
    a, strip = zeros_wide(y), 4 * lanes(y)
    for j in range(i + 1):
        a = add_scaled(matrix, m0 + i * d + j, load_wide(y, y0 + j * strip), a)
    store(y, y0 + i * strip, a)
    return fma(a, a, square)


@helper
def scatter(
    y,  # IN  (d columns) at y0
    y0,
    resp,  # IN  (tile) weights of the rows at r0
    r0,
    product,  # SCRATCH (four columns)
    stats,  # INOUT Σ r y at [s1 + i], lower triangle of Σ r y yᵀ from s2 on, row by row
    s1,
    s2,
    d,
    tile,
):
    """Add Σ r y and the lower triangle of Σ r y yᵀ over a tile."""
    if d <= MOST:
        scatter_small(y, y0, resp, r0, stats, s1, s2, d, tile)
        return
    strip = 4 * lanes(y)
    i = 0
    while i + 4 <= d:
        row = s2 + i * (i + 1) // 2
        diagonal_block(y, y0 + i * strip, resp, r0, product, stats, s1 + i, row + i, i, d, tile)
        for j in range(0, i, 4):
            scatter_block(y, y0 + j * strip, product, stats, row + j, i, d, tile)
        i += 4
    while i < d:
        row = s2 + i * (i + 1) // 2
        scatter_row(y, y0, resp, r0, product, stats, s1 + i, row, i, d, tile)
        i += 1


@helper
def diagonal_block(
    y,  # IN  four columns at y0
    y0,
    resp,
    r0,
    product,  # OUT (four columns) r · y
    stats,  # INOUT Σ r y at s1, the block's triangle at o
    s1,
    o,
    i,  # IN  the block's first row
    d,
    tile,
):
    """Add one block on the diagonal, and Σ r y of its columns."""
    strip = 4 * lanes(y)
    t0 = t1 = t2 = t3 = zeros(y)
    a0 = b0 = b1 = c0 = c1 = c2 = e0 = e1 = e2 = e3 = zeros(y)
    for first in range(0, tile, strip):
        for r in range(0, strip, lanes(y)):
            p, q, w = y0 + first * d + r, 4 * first + r, load(resp, r0 + first + r)
            x0, x1 = load(y, p), load(y, p + strip)
            x2, x3 = load(y, p + 2 * strip), load(y, p + 3 * strip)
            m0, m1, m2, m3 = mul(w, x0), mul(w, x1), mul(w, x2), mul(w, x3)
            store(product, q, m0), store(product, q + strip, m1)
            store(product, q + 2 * strip, m2), store(product, q + 3 * strip, m3)
            t0, t1, t2, t3 = add(t0, m0), add(t1, m1), add(t2, m2), add(t3, m3)
            a0, b0, b1 = fma(m0, x0, a0), fma(m1, x0, b0), fma(m1, x1, b1)
            c0, c1, c2 = fma(m2, x0, c0), fma(m2, x1, c1), fma(m2, x2, c2)
            e0, e1, e2, e3 = fma(m3, x0, e0), fma(m3, x1, e1), fma(m3, x2, e2), fma(m3, x3, e3)
    nothing = zeros(y)
    add_totals(stats, s1, t0, t1, t2, t3)
    add_totals(stats, o, a0, nothing, nothing, nothing)  # what adds nothing stands in the next row
    add_totals(stats, o + i + 1, b0, b1, nothing, nothing)
    add_totals(stats, o + 2 * i + 3, c0, c1, c2, nothing)
    add_totals(stats, o + 3 * i + 6, e0, e1, e2, e3)


@helper
def scatter_block(
    y,  # IN  four columns at y0
    y0,
    product,  # IN  (four columns) r · y of the block's rows
    stats,  # INOUT 4×4 block at o
    o,
    i,  # IN  the block's first row
    d,
    tile,
):
    """Add one 4×4 block of Σ r y yᵀ left of the diagonal."""
    strip = 4 * lanes(y)
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(y)
    c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(y)
    for first in range(0, tile, strip):
        for r in range(0, strip, lanes(y)):
            p, q = y0 + first * d + r, 4 * first + r
            x0, x1 = load(y, p), load(y, p + strip)
            x2, x3 = load(y, p + 2 * strip), load(y, p + 3 * strip)
            s = load(product, q)
            a0, a1, a2, a3 = fma(s, x0, a0), fma(s, x1, a1), fma(s, x2, a2), fma(s, x3, a3)
            s = load(product, q + strip)
            b0, b1, b2, b3 = fma(s, x0, b0), fma(s, x1, b1), fma(s, x2, b2), fma(s, x3, b3)
            s = load(product, q + 2 * strip)
            c0, c1, c2, c3 = fma(s, x0, c0), fma(s, x1, c1), fma(s, x2, c2), fma(s, x3, c3)
            s = load(product, q + 3 * strip)
            e0, e1, e2, e3 = fma(s, x0, e0), fma(s, x1, e1), fma(s, x2, e2), fma(s, x3, e3)
    add_totals(stats, o, a0, a1, a2, a3)
    add_totals(stats, o + i + 1, b0, b1, b2, b3)
    add_totals(stats, o + 2 * i + 3, c0, c1, c2, c3)
    add_totals(stats, o + 3 * i + 6, e0, e1, e2, e3)


@helper
def scatter_row(y, y0, resp, r0, product, stats, s1, o, i, d, tile):
    """Add Σ r y_i, and row i of Σ r y yᵀ at o: what is left of d after fours."""
    strip = 4 * lanes(y)
    t = u = zeros_wide(y)
    for r in range(0, tile, strip):
        column = load_wide(y, y0 + r * d + i * strip)
        m = mul(load_wide(resp, r0 + r), column)
        store(product, r, m)
        t, u = add(t, m), fma(m, column, u)
    stats[s1] += total(t)
    stats[o + i] += total(u)
    j = 0
    while j + 2 <= i:
        t = u = zeros_wide(y)
        for r in range(0, tile, strip):
            p, m = y0 + r * d + j * strip, load_wide(product, r)
            t, u = fma(m, load_wide(y, p), t), fma(m, load_wide(y, p + strip), u)
        stats[o + j] += total(t)
        stats[o + j + 1] += total(u)
        j += 2
    if j < i:
        t = zeros_wide(y)
        for r in range(0, tile, strip):
            t = fma(load_wide(product, r), load_wide(y, y0 + r * d + j * strip), t)
        stats[o + j] += total(t)
