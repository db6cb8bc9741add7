"""Whitening and scatter for one to four columns: straight-line code, everything in registers."""

from __future__ import annotations

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
    zeros,
)

MOST = 4  # columns


@helper
def whiten_small(
    x, high, low, h0, matrix, m0, y, y0, constant, logp, l0, r, d, stride
):  # as `whiten`
    """y = W (x − μ) and logp = constant − |y|² / 2 for four vectors of rows, d ≤ 4."""
    x0 = residual(load_wide(x, r), high[h0], low[h0])
    z = scaled(matrix[m0], x0)
    store(y, y0 + r, z)
    square = mul(z, z)
    if d > 1:
        row = m0 + d
        x1 = residual(load_wide(x, stride + r), high[h0 + 1], low[h0 + 1])
        z = add_scaled(matrix[row + 1], x1, scaled(matrix[row], x0))
        store(y, y0 + stride + r, z)
        square = fma(z, z, square)
        if d > 2:
            row += d
            x2 = residual(load_wide(x, 2 * stride + r), high[h0 + 2], low[h0 + 2])
            z = add_scaled(matrix[row + 1], x1, scaled(matrix[row], x0))
            z = add_scaled(matrix[row + 2], x2, z)
            store(y, y0 + 2 * stride + r, z)
            square = fma(z, z, square)
            if d > 3:
                row += d
                x3 = residual(load_wide(x, 3 * stride + r), high[h0 + 3], low[h0 + 3])
                z = add_scaled(matrix[row + 1], x1, scaled(matrix[row], x0))
                z = add_scaled(matrix[row + 3], x3, add_scaled(matrix[row + 2], x2, z))
                store(y, y0 + 3 * stride + r, z)
                square = fma(z, z, square)
    store_affine(logp, l0 + r, square, -0.5, constant)


@helper
def scatter_small(y, y0, resp, r0, stats, s1, s2, d, tile, stride):  # as `scatter`, without scratch
    """Add Σ r y and the lower triangle of Σ r y yᵀ over a tile, d ≤ 4; returns Σ r."""
    n = m0 = m1 = m2 = m3 = zeros(y)
    s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = zeros(y)
    for r in range(0, tile, lanes(y)):
        weight, p = load(resp, r0 + r), y0 + r
        n = add(n, weight)
        a = load(y, p)
        w = mul(weight, a)
        m0, s00 = add(m0, w), fma(w, a, s00)
        if d > 1:
            b = load(y, p + stride)
            w = mul(weight, b)
            m1, s10, s11 = add(m1, w), fma(w, a, s10), fma(w, b, s11)
            if d > 2:
                c = load(y, p + 2 * stride)
                w = mul(weight, c)
                m2, s20, s21, s22 = add(m2, w), fma(w, a, s20), fma(w, b, s21), fma(w, c, s22)
                if d > 3:
                    e = load(y, p + 3 * stride)
                    w = mul(weight, e)
                    m3, s30, s31 = add(m3, w), fma(w, a, s30), fma(w, b, s31)
                    s32, s33 = fma(w, c, s32), fma(w, e, s33)
    stats[s1] += total(m0)
    stats[s2] += total(s00)
    if d > 1:
        stats[s1 + 1] += total(m1)
        stats[s2 + d] += total(s10)
        stats[s2 + d + 1] += total(s11)
    if d > 2:
        stats[s1 + 2] += total(m2)
        stats[s2 + 2 * d] += total(s20)
        stats[s2 + 2 * d + 1] += total(s21)
        stats[s2 + 2 * d + 2] += total(s22)
    if d > 3:
        stats[s1 + 3] += total(m3)
        stats[s2 + 3 * d] += total(s30)
        stats[s2 + 3 * d + 1] += total(s31)
        stats[s2 + 3 * d + 2] += total(s32)
        stats[s2 + 3 * d + 3] += total(s33)
    return total(n)
