"""Whitening and scatter for one to four columns: straight-line code, everything in registers."""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.lane_sums import total
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
    scaled,
    store,
    store_affine,
    where_known,
    zeros,
    zeros_wide,
)

MOST = 4  # columns


@helper
def about_mean(x, p, high, low, j, holes):
    """Values of a column less their mean; 0 where `holes` may be missing and are."""
    row = load_wide(x, p)
    z = residual(row, high, low, j)
    if holes is not None:
        z = where_known(row, z, zeros_wide(x))
    return z


@helper
def whiten_small(  # as `whiten`
    x, high, low, h0, matrix, m0, y, y0, constant, logp, l0, r, d, holes
):
    """y = W (x − μ) and logp = constant − |y|² / 2 for a strip of rows, d ≤ 4."""
    strip, p = 4 * lanes(x), r * d
    q = y0 + p
    x0 = about_mean(x, p, high, low, h0, holes)
    z = scaled(element(matrix, m0), x0)
    store(y, q, z)
    square = mul(z, z)
    if d > 1:
        row, p, q = m0 + d, p + strip, q + strip
        x1 = about_mean(x, p, high, low, h0 + 1, holes)
        z = add_scaled(matrix, row + 1, x1, scaled(element(matrix, row), x0))
        store(y, q, z)
        square = fma(z, z, square)
        if d > 2:
            row, p, q = row + d, p + strip, q + strip
            x2 = about_mean(x, p, high, low, h0 + 2, holes)
            z = add_scaled(matrix, row + 1, x1, scaled(element(matrix, row), x0))
            z = add_scaled(matrix, row + 2, x2, z)
            store(y, q, z)
            square = fma(z, z, square)
            if d > 3:
                row, p, q = row + d, p + strip, q + strip
                x3 = about_mean(x, p, high, low, h0 + 3, holes)
                z = add_scaled(matrix, row + 1, x1, scaled(element(matrix, row), x0))
                z = add_scaled(matrix, row + 3, x3, add_scaled(matrix, row + 2, x2, z))
                store(y, q, z)
                square = fma(z, z, square)
    store_affine(logp, l0 + r, square, -0.5, constant)


@helper
def scatter_small(y, y0, resp, r0, stats, s1, s2, d, tile):  # as `scatter`, without scratch
    """Add Σ r y and the lower triangle of Σ r y yᵀ over a tile, d ≤ 4."""
    strip = 4 * lanes(y)
    m0 = m1 = m2 = m3 = zeros(y)
    s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = zeros(y)
    for first in range(0, tile, strip):
        for r in range(0, strip, lanes(y)):
            weight, p = load(resp, r0 + first + r), y0 + first * d + r
            a = load(y, p)
            w = mul(weight, a)
            m0, s00 = add(m0, w), fma(w, a, s00)
            if d > 1:
                b = load(y, p + strip)
                w = mul(weight, b)
                m1, s10, s11 = add(m1, w), fma(w, a, s10), fma(w, b, s11)
                if d > 2:
                    c = load(y, p + 2 * strip)
                    w = mul(weight, c)
                    m2, s20, s21, s22 = add(m2, w), fma(w, a, s20), fma(w, b, s21), fma(w, c, s22)
                    if d > 3:
                        e = load(y, p + 3 * strip)
                        w = mul(weight, e)
                        m3, s30, s31 = add(m3, w), fma(w, a, s30), fma(w, b, s31)
                        s32, s33 = fma(w, c, s32), fma(w, e, s33)
    stats[s1] += total(m0)
    stats[s2] += total(s00)
    if d > 1:
        stats[s1 + 1] += total(m1)
        stats[s2 + 1] += total(s10)
        stats[s2 + 2] += total(s11)
    if d > 2:
        stats[s1 + 2] += total(m2)
        stats[s2 + 3] += total(s20)
        stats[s2 + 4] += total(s21)
        stats[s2 + 5] += total(s22)
    if d > 3:
        stats[s1 + 3] += total(m3)
        stats[s2 + 6] += total(s30)
        stats[s2 + 7] += total(s31)
        stats[s2 + 8] += total(s32)
        stats[s2 + 9] += total(s33)
