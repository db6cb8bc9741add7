"""Log-densities of independent columns as quadratic functions about a centre that all components share.

With z about that centre, −(ρ z − ν)² / 2 = (a z + b) z − ν² / 2: two multiply–adds per row, component and
column, and two more for the sums of z and z², where `axes` takes three and four operations. As many digits
are lost as ν² has.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total
from fusem.kernels.elements import element, put
from fusem.kernels.lane_sums import add_to, four_totals, total
from fusem.kernels.linear import finish
from fusem.kernels.policy import helper, vector_bytes
from fusem.kernels.simd import (
    add,
    add_scaled,
    filled,
    fma,
    lanes,
    load,
    load_as,
    load_wide,
    mul,
    residual,
    scaled,
    store,
    sub,
    zeros,
    zeros_wide,
)

# Whether components are taken in pairs: that needs more registers than there are of narrower vectors.
PAIRS = vector_bytes() == 64


@helper
def quadratic_forms(
    x,  # IN  (d columns) tile
    high,  # IN  (d) centre
    low,  # IN  (d) what rounding it lost
    unit,  # IN  (d)
    z,  # OUT (d × stride) (x − centre) · unit: in strips, columns of many would share cache sets
    curvature,  # IN  (K · d) a
    slope,  # IN  (K · d) b
    log_weights,  # IN  (K)
    added,  # IN  (K) log normalisation − |ν|² / 2
    logp,  # OUT (K × stride) log weight + added + Σ_j (a_j z_j + b_j) z_j
    d,
    tile,
    stride,
):
    """Log-densities, and the rows that `quadratic_sums` reads.

    Tried to keep their squares too: 4 % faster for 64 components, 5 to 20 % slower for 8 and fewer.
    """
    n_components, strip = log_weights.size, 4 * lanes(x)
    for r in range(0, tile, strip):
        for j in range(d):
            row = residual(load_wide(x, r * d + j * strip), high, low, j)
            row = scaled(element(unit, j), row)
            store(z, j * stride + r, row)
        k = 0
        while PAIRS and k + 2 <= n_components:
            s = t = zeros_wide(z)
            for j in range(d):
                row, i = load_wide(z, j * stride + r), k * d + j
                s = fma(line(curvature, slope, i, row), row, s)
                t = fma(line(curvature, slope, i + d, row), row, t)
            finish(s, k, r, None, log_weights, added, None, logp, stride)
            finish(t, k + 1, r, None, log_weights, added, None, logp, stride)
            k += 2
        while k < n_components:
            s = zeros_wide(z)
            for j in range(d):
                row = load_wide(z, j * stride + r)
                s = fma(line(curvature, slope, k * d + j, row), row, s)
            finish(s, k, r, None, log_weights, added, None, logp, stride)
            k += 1


@helper
def line(curvature, slope, i, row):
    """a z + b."""
    return add_scaled(curvature, i, row, filled(element(slope, i), row))


@helper
def quadratic_sums(
    z,  # IN  (d × stride) rows about the centre
    resp,  # IN  (K × stride) weights of the rows
    counts,  # IN  (K) Σ r
    ratio,  # IN  (K · d) ρ, float64
    offsets,  # IN  (K · d) ν, float64
    stats,  # INOUT Σ r (ρ z − ν) at [first + k·d + j], Σ r (ρ z − ν)² at [second + k·d + j]
    first,
    second,
    d,
    n_components,
    tile,
    stride,
):
    """Add both moments over a tile: four columns of two components at a time, of one, then one column."""
    j = 0
    while j + 4 <= d:
        k = 0
        while PAIRS and k + 2 <= n_components:
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(z)
            c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(z)
            for r in range(0, tile, lanes(z)):
                v, w = load(resp, k * stride + r), load(resp, (k + 1) * stride + r)
                p = j * stride + r
                x0, x1 = load(z, p), load(z, p + stride)
                x2, x3 = load(z, p + 2 * stride), load(z, p + 3 * stride)
                a0, a1, a2, a3 = fma(v, x0, a0), fma(v, x1, a1), fma(v, x2, a2), fma(v, x3, a3)
                b0, b1, b2, b3 = fma(w, x0, b0), fma(w, x1, b1), fma(w, x2, b2), fma(w, x3, b3)
                x0, x1, x2, x3 = mul(x0, x0), mul(x1, x1), mul(x2, x2), mul(x3, x3)
                c0, c1, c2, c3 = fma(v, x0, c0), fma(v, x1, c1), fma(v, x2, c2), fma(v, x3, c3)
                e0, e1, e2, e3 = fma(w, x0, e0), fma(w, x1, e1), fma(w, x2, e2), fma(w, x3, e3)
            i, o = k * d + j, (k + 1) * d + j
            m, s = four_totals(a0, a1, a2, a3), four_totals(c0, c1, c2, c3)
            about_means(m, s, element(counts, k), i, ratio, offsets, stats, first, second)
            m, s = four_totals(b0, b1, b2, b3), four_totals(e0, e1, e2, e3)
            about_means(m, s, element(counts, k + 1), o, ratio, offsets, stats, first, second)
            k += 2
        while k < n_components:
            a0 = a1 = a2 = a3 = c0 = c1 = c2 = c3 = zeros(z)
            for r in range(0, tile, lanes(z)):
                v, p = load(resp, k * stride + r), j * stride + r
                x0, x1 = load(z, p), load(z, p + stride)
                x2, x3 = load(z, p + 2 * stride), load(z, p + 3 * stride)
                a0, a1, a2, a3 = fma(v, x0, a0), fma(v, x1, a1), fma(v, x2, a2), fma(v, x3, a3)
                x0, x1, x2, x3 = mul(x0, x0), mul(x1, x1), mul(x2, x2), mul(x3, x3)
                c0, c1, c2, c3 = fma(v, x0, c0), fma(v, x1, c1), fma(v, x2, c2), fma(v, x3, c3)
            m, s, i = four_totals(a0, a1, a2, a3), four_totals(c0, c1, c2, c3), k * d + j
            about_means(m, s, element(counts, k), i, ratio, offsets, stats, first, second)
            k += 1
        j += 4
    for column in range(j, d):
        for k in range(n_components):
            moments_of_column(
                z, resp, counts, ratio, offsets, stats, first, second, k, column, d, tile, stride
            )


@helper
def about_means(m, s, count, i, ratio, offsets, stats, first, second):
    """Add Σ r z and Σ r z² of four columns, from i on, as sums of ρ z − ν and of its square."""
    factor, offset = load_as(ratio, i, m), load_as(offsets, i, m)
    shift = mul(filled(count, m), offset)
    m, s = mul(factor, m), mul(factor, mul(factor, s))
    add_to(stats, first + i, sub(m, shift))
    add_to(stats, second + i, fma(offset, sub(shift, add(m, m)), s))


@helper
def moments_of_column(
    z, resp, counts, ratio, offsets, stats, first, second, k, column, d, tile, stride
):
    """Add the moments of one column and component."""
    t = u = zeros_wide(z)
    for r in range(0, tile, 4 * lanes(z)):
        w = load_wide(resp, k * stride + r)
        row = load_wide(z, column * stride + r)
        t, u = fma(w, row, t), fma(w, mul(row, row), u)
    i = k * d + column
    factor, offset = element(ratio, i), element(offsets, i)
    m, shift = factor * total(t), element(counts, k) * offset
    stats[first + i] += m - shift
    stats[second + i] += offset * (shift - 2.0 * m) + factor * (factor * total(u))


@helper
def tile_counts(resp, counts, stats, start, n_components, tile, stride):
    """Add Σ r of every component over a tile, and leave those of the tile in `counts`."""
    for k in range(n_components):
        count = weight_total(resp, k * stride, tile)
        stats[start + k] += count
        put(counts, k, count)
