"""Distances from means and moments about them as products of matrices, for rows whitened or about a centre.

With z and the means ν about a centre that all components share, |z − ν|² = |z|² − 2 ν·z + |ν|², and sums of
z − ν follow from those of z: one multiply–add per row, component and column, in blocks of four components. As
many digits are lost as |ν|² has; `axes` has the other form.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total, weighted_total
from fusem.kernels.elements import element
from fusem.kernels.lane_sums import add_to, add_totals, four_totals, total
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add_scaled,
    filled,
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
    zeros_wide,
)


@helper
def about_centre(
    x,  # IN  (d columns) tile
    high,  # IN  (d) centre
    low,  # IN  (d) what rounding it lost
    unit,  # IN  (1)
    z,  # OUT (d columns) (x − centre) · unit, then −|z|² / 2 in a column
    r,
    d,
    tile,
):
    """A strip of rows about the centre, and their squared lengths."""
    strip, square = 4 * lanes(x), zeros_wide(x)
    for j in range(d):
        p = r * d + j * strip
        row = scaled(element(unit, 0), residual(load_wide(x, p), high, low, j))
        store(z, p, row)
        square = fma(row, row, square)
    store_affine(z, d * tile + r, square, -0.5, 0.0)


@helper
def linear_forms(
    z,  # IN  (d columns) whitened rows
    halves,  # IN  −|z|² / 2 at [h0 + r]
    h0,
    means,  # IN  (K · d) ν
    log_weights,  # IN  (K)
    added,  # IN  (K) log normalisation − |ν|² / 2
    logp,  # OUT (K × stride) log weight + added + ν·z − |z|² / 2
    d,
    tile,
    stride,
):
    """Log-densities of a tile."""
    for r in range(0, tile, 4 * lanes(z)):
        forms_of_strip(z, halves, h0, means, None, log_weights, added, None, logp, r, d, stride)


@helper
def forms_of_strip(
    z,  # IN  as for `linear_forms`
    halves,
    h0,
    means,
    factors,  # IN  (K) ρ², or None where all are 1
    log_weights,
    added,  # IN  (K) log normalisation − ρ² |ν|² / 2
    forms,  # OUT (K × stride) ν·z − |z|² / 2, or None
    logp,  # OUT (K × stride) log weight + added + ρ² (ν·z − |z|² / 2)
    r,
    d,
    stride,
):
    """Log-densities of a strip of rows, four components at a time."""
    n_components, strip, k = log_weights.size, 4 * lanes(z), 0
    while k + 4 <= n_components:
        a = b = c = e = load_wide(halves, h0 + r)
        p0 = k * d
        p1, p2, p3 = p0 + d, p0 + 2 * d, p0 + 3 * d
        for j in range(d):
            v = load_wide(z, r * d + j * strip)
            a, b = add_scaled(means, p0 + j, v, a), add_scaled(means, p1 + j, v, b)
            c, e = add_scaled(means, p2 + j, v, c), add_scaled(means, p3 + j, v, e)
        finish(a, k, r, factors, log_weights, added, forms, logp, stride)
        finish(b, k + 1, r, factors, log_weights, added, forms, logp, stride)
        finish(c, k + 2, r, factors, log_weights, added, forms, logp, stride)
        finish(e, k + 3, r, factors, log_weights, added, forms, logp, stride)
        k += 4
    while k < n_components:
        a = load_wide(halves, h0 + r)
        for j in range(d):
            a = add_scaled(means, k * d + j, load_wide(z, r * d + j * strip), a)
        finish(a, k, r, factors, log_weights, added, forms, logp, stride)
        k += 1


@helper
def finish(form, k, r, factors, log_weights, added, forms, logp, stride):
    """Store the log-densities of some rows, and the linear forms where wanted."""
    if forms is not None:
        store(forms, k * stride + r, form)
    factor = 1.0
    if factors is not None:
        factor = element(factors, k)
    store_affine(logp, k * stride + r, form, factor, element(log_weights, k) + element(added, k))


@helper
def linear_sums(
    z,  # IN  (d columns) whitened rows
    resp,  # IN  (K × stride) weights of the rows
    ratio,  # IN  (K) ρ, float64, or None where all are 1
    centres,  # IN  (K · d) ρ ν, float64
    stats,  # INOUT Σ r at [start + k], Σ r ρ (z − ν) at [first + k·d + j]
    start,
    first,
    d,
    n_components,
    tile,
    stride,
):
    """Add Σ r and Σ r ρ (z − ν) over a tile, four columns of four components at a time."""
    strip, j = 4 * lanes(z), 0
    while j + 4 <= d:
        k = 0
        while k + 4 <= n_components:
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(z)
            c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(z)
            w0 = k * stride
            w1, w2, w3 = w0 + stride, w0 + 2 * stride, w0 + 3 * stride
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(z)):
                    p = row * (d - 1) + j * strip + r
                    x0, x1 = load(z, p), load(z, p + strip)
                    x2, x3 = load(z, p + 2 * strip), load(z, p + 3 * strip)
                    w = load(resp, w0 + r)
                    a0, a1, a2, a3 = fma(w, x0, a0), fma(w, x1, a1), fma(w, x2, a2), fma(w, x3, a3)
                    w = load(resp, w1 + r)
                    b0, b1, b2, b3 = fma(w, x0, b0), fma(w, x1, b1), fma(w, x2, b2), fma(w, x3, b3)
                    w = load(resp, w2 + r)
                    c0, c1, c2, c3 = fma(w, x0, c0), fma(w, x1, c1), fma(w, x2, c2), fma(w, x3, c3)
                    w = load(resp, w3 + r)
                    e0, e1, e2, e3 = fma(w, x0, e0), fma(w, x1, e1), fma(w, x2, e2), fma(w, x3, e3)
            o = first + k * d + j
            add_in_units(stats, o, ratio, k, a0, a1, a2, a3)
            add_in_units(stats, o + d, ratio, k + 1, b0, b1, b2, b3)
            add_in_units(stats, o + 2 * d, ratio, k + 2, c0, c1, c2, c3)
            add_in_units(stats, o + 3 * d, ratio, k + 3, e0, e1, e2, e3)
            k += 4
        while k < n_components:
            a0 = a1 = a2 = a3 = zeros(z)
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(z)):
                    p, w = row * (d - 1) + j * strip + r, load(resp, k * stride + r)
                    a0, a1 = fma(w, load(z, p), a0), fma(w, load(z, p + strip), a1)
                    p += 2 * strip
                    a2, a3 = fma(w, load(z, p), a2), fma(w, load(z, p + strip), a3)
            add_in_units(stats, first + k * d + j, ratio, k, a0, a1, a2, a3)
            k += 1
        j += 4
    for column in range(j, d):
        for k in range(n_components):
            t = zeros_wide(z)
            for r in range(0, tile, strip):
                t = fma(load_wide(resp, k * stride + r), load_wide(z, r * d + column * strip), t)
            moment = total(t)
            if ratio is not None:
                moment *= element(ratio, k)
            stats[first + k * d + column] += moment
    for k in range(n_components):
        n = weight_total(resp, k * stride, tile)
        stats[start + k] += n
        for i in range(k * d, (k + 1) * d):
            stats[first + i] -= n * element(centres, i)


@helper
def add_in_units(stats, o, ratio, k, a, b, c, e):
    """Add the lane totals of four columns, times ρ."""
    if ratio is None:
        add_totals(stats, o, a, b, c, e)
    else:
        moments = four_totals(a, b, c, e)
        add_to(stats, o, mul(filled(element(ratio, k), moments), moments))


@helper
def square_sums(
    forms,  # IN  (K × stride) ν·z − |z|² / 2
    resp,  # IN  (K × stride) weights of the rows
    ratio,  # IN  (K) ρ, float64
    norms,  # IN  (K) ρ² |ν|²
    stats,  # INOUT Σ r ρ² |z − ν|² at [start + k]
    start,
    n_components,
    tile,
    stride,
):
    """Add the squared distances over a tile."""
    for k in range(n_components):
        s, n = element(ratio, k), weight_total(resp, k * stride, tile)
        form = weighted_total(forms, resp, k * stride, tile)
        stats[start + k] += n * element(norms, k) - 2.0 * s * (s * form)
