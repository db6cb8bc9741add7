"""Distances and moments as matrix products: one multiply–add per row, component and column.

With the columns x of a tile in units of their own about a centre that all components share, and a component's
z = ρ x − ν, a squared distance is Σ ρ² x² − 2 ρ ν x + ν², and the sums of r z and r z² follow from those of
r x and r x². As many digits are lost as |ν|² has, so this is for means that do not lie far from their centre;
`axes` has the other form.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total
from fusem.kernels.lane_sums import add_totals, total
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add_scaled,
    element,
    fma,
    lanes,
    load,
    load_wide,
    mul,
    scaled,
    standardised,
    store,
    store_affine,
    zeros,
    zeros_wide,
)


@helper
def shared_columns(
    x,  # IN  (d columns) tile
    high,  # IN  (d) centre
    shift,  # IN  (d) −scale · what rounding the centre lost
    scale,  # IN  (d) units of the columns
    out,  # OUT (width columns) (x − centre) · scale; where there is room, each followed by its square
    halves,  # OUT −|…|² / 2 of every row at [h0 + r], or None
    h0,
    d,
    width,
    tile,
):
    """Columns about the shared centre."""
    strip = 4 * lanes(x)
    for r in range(0, tile, strip):
        square = zeros_wide(x)
        for j in range(d):
            z = standardised(load_wide(x, r * d + j * strip), high, scale, shift, j)
            if width > d:
                place = r * width + 2 * j * strip
                store(out, place, z), store(out, place + strip, mul(z, z))
            else:
                store(out, r * width + j * strip, z)
                square = fma(z, z, square)
        if halves is not None:
            store_affine(halves, h0 + r, square, -0.5, 0.0)


@helper
def linear_forms(
    x,  # IN  (width columns) at 0
    width,
    coefficients,  # IN  (K · width)
    halves,  # IN  what `times` multiplies at [h0 + r], or None
    h0,
    times,  # IN  (K)
    log_weights,  # IN  (K)
    added,  # IN  (K)
    norms,  # IN  (K) |ν|², read where squares are wanted
    squares,  # OUT (K × stride) squared distances, or None
    logp,  # OUT (K × stride) log weight + added − (form of the row) / 2
    tile,
    stride,
):
    """Log-densities, four components at a time."""
    n_components, strip = log_weights.size, 4 * lanes(x)
    for r in range(0, tile, strip):
        k = 0
        while k + 4 <= n_components:
            a, b = begun(x, halves, h0 + r, times, k), begun(x, halves, h0 + r, times, k + 1)
            c, e = begun(x, halves, h0 + r, times, k + 2), begun(x, halves, h0 + r, times, k + 3)
            p0 = k * width
            p1, p2, p3 = p0 + width, p0 + 2 * width, p0 + 3 * width
            for j in range(width):
                v = load_wide(x, r * width + j * strip)
                a = add_scaled(coefficients, p0 + j, v, a)
                b = add_scaled(coefficients, p1 + j, v, b)
                c = add_scaled(coefficients, p2 + j, v, c)
                e = add_scaled(coefficients, p3 + j, v, e)
            ended(a, k, r, log_weights, added, norms, squares, logp, stride)
            ended(b, k + 1, r, log_weights, added, norms, squares, logp, stride)
            ended(c, k + 2, r, log_weights, added, norms, squares, logp, stride)
            ended(e, k + 3, r, log_weights, added, norms, squares, logp, stride)
            k += 4
        while k < n_components:
            a = begun(x, halves, h0 + r, times, k)
            for j in range(width):
                v = load_wide(x, r * width + j * strip)
                a = add_scaled(coefficients, k * width + j, v, a)
            ended(a, k, r, log_weights, added, norms, squares, logp, stride)
            k += 1


@helper
def begun(x, halves, h, times, k):
    """The part of a form that depends on the rows' norms alone."""
    if halves is None:
        return zeros_wide(x)
    return scaled(element(times, k), load_wide(halves, h))


@helper
def ended(form, k, r, log_weights, added, norms, squares, logp, stride):
    """Store the log-densities of some rows, and their squared distances where wanted."""
    if squares is not None:
        store_affine(squares, k * stride + r, form, 1.0, element(norms, k))
    constant = element(log_weights, k) + element(added, k)
    store_affine(logp, k * stride + r, form, -0.5, constant)


@helper
def linear_sums(
    x,  # IN  (d columns)
    resp,  # IN  (K × stride) weights of the rows
    ratio,  # IN  (K) ρ
    centres,  # IN  (K · d) ν, float64
    stats,  # INOUT Σ r at [start + k], Σ r z at [first + k·d + j]
    start,
    first,
    d,
    n_components,
    tile,
    stride,
):
    """Add Σ r and Σ r z over a tile, four columns of four components at a time."""
    strip, j = 4 * lanes(x), 0
    while j + 4 <= d:
        k = 0
        while k + 4 <= n_components:
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zeros(x)
            c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = zeros(x)
            w0 = k * stride
            w1, w2, w3 = w0 + stride, w0 + 2 * stride, w0 + 3 * stride
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(x)):
                    p = row * (d - 1) + j * strip + r
                    x0, x1 = load(x, p), load(x, p + strip)
                    x2, x3 = load(x, p + 2 * strip), load(x, p + 3 * strip)
                    w = load(resp, w0 + r)
                    a0, a1, a2, a3 = fma(w, x0, a0), fma(w, x1, a1), fma(w, x2, a2), fma(w, x3, a3)
                    w = load(resp, w1 + r)
                    b0, b1, b2, b3 = fma(w, x0, b0), fma(w, x1, b1), fma(w, x2, b2), fma(w, x3, b3)
                    w = load(resp, w2 + r)
                    c0, c1, c2, c3 = fma(w, x0, c0), fma(w, x1, c1), fma(w, x2, c2), fma(w, x3, c3)
                    w = load(resp, w3 + r)
                    e0, e1, e2, e3 = fma(w, x0, e0), fma(w, x1, e1), fma(w, x2, e2), fma(w, x3, e3)
            o = first + k * d + j
            add_scaled_totals(stats, o, ratio, k, a0, a1, a2, a3)
            add_scaled_totals(stats, o + d, ratio, k + 1, b0, b1, b2, b3)
            add_scaled_totals(stats, o + 2 * d, ratio, k + 2, c0, c1, c2, c3)
            add_scaled_totals(stats, o + 3 * d, ratio, k + 3, e0, e1, e2, e3)
            k += 4
        while k < n_components:
            a0 = a1 = a2 = a3 = zeros(x)
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(x)):
                    p, w = row * (d - 1) + j * strip + r, load(resp, k * stride + r)
                    a0, a1 = fma(w, load(x, p), a0), fma(w, load(x, p + strip), a1)
                    p += 2 * strip
                    a2, a3 = fma(w, load(x, p), a2), fma(w, load(x, p + strip), a3)
            add_scaled_totals(stats, first + k * d + j, ratio, k, a0, a1, a2, a3)
            k += 1
        j += 4
    for column in range(j, d):
        for k in range(n_components):
            t = zeros_wide(x)
            for r in range(0, tile, strip):
                t = fma(load_wide(resp, k * stride + r), load_wide(x, r * d + column * strip), t)
            stats[first + k * d + column] += total(scaled(element(ratio, k), t))
    for k in range(n_components):
        n = weight_total(resp, k * stride, tile)
        stats[start + k] += n
        for i in range(k * d, (k + 1) * d):
            stats[first + i] -= n * element(centres, i)


@helper
def add_scaled_totals(stats, at, ratio, k, a, b, c, e):
    """Add ρ times the lane totals of four vectors to four consecutive elements."""
    s = element(ratio, k)
    add_totals(stats, at, scaled(s, a), scaled(s, b), scaled(s, c), scaled(s, e))


@helper
def linear_and_square_sums(
    x,  # IN  (2 d columns) x and x² in turn
    resp,  # IN  (K × stride) weights of the rows
    ratio,  # IN  (K · d) ρ
    coefficients,  # IN  (K · 2 d) −2 ρ ν and ρ² in turn
    centres,  # IN  (K · d) ν, float64
    stats,  # INOUT Σ r at [start + k], Σ r z at [first + k·d + j], Σ r z² at [second + k·d + j]
    start,
    first,
    second,
    d,
    n_components,
    tile,
    stride,
):
    """Add Σ r, Σ r z and Σ r z² over a tile, four columns of two components at a time."""
    strip, j = 4 * lanes(x), 0
    while j + 4 <= d:
        k = 0
        while k + 2 <= n_components:
            t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = zeros(x)
            v0 = v1 = v2 = v3 = w0 = w1 = w2 = w3 = zeros(x)
            for row in range(0, tile, strip):
                for r in range(row, row + strip, lanes(x)):
                    p = row * (2 * d - 1) + 2 * j * strip + r
                    a, b = load(resp, k * stride + r), load(resp, (k + 1) * stride + r)
                    c, e = load(x, p), load(x, p + strip)
                    t0, u0, v0, w0 = fma(a, c, t0), fma(a, e, u0), fma(b, c, v0), fma(b, e, w0)
                    c, e = load(x, p + 2 * strip), load(x, p + 3 * strip)
                    t1, u1, v1, w1 = fma(a, c, t1), fma(a, e, u1), fma(b, c, v1), fma(b, e, w1)
                    c, e = load(x, p + 4 * strip), load(x, p + 5 * strip)
                    t2, u2, v2, w2 = fma(a, c, t2), fma(a, e, u2), fma(b, c, v2), fma(b, e, w2)
                    c, e = load(x, p + 6 * strip), load(x, p + 7 * strip)
                    t3, u3, v3, w3 = fma(a, c, t3), fma(a, e, u3), fma(b, c, v3), fma(b, e, w3)
            i = k * d + j
            add_four(
                stats, first + i, second + i, ratio, coefficients, i, t0, t1, t2, t3, u0, u1, u2, u3
            )
            i += d
            add_four(
                stats, first + i, second + i, ratio, coefficients, i, v0, v1, v2, v3, w0, w1, w2, w3
            )
            k += 2
        if k < n_components:
            for column in range(j, j + 4):
                add_one(
                    x, resp, ratio, coefficients, stats, first, second, k, column, d, tile, stride
                )
        j += 4
    for column in range(j, d):
        for k in range(n_components):
            add_one(x, resp, ratio, coefficients, stats, first, second, k, column, d, tile, stride)
    for k in range(n_components):
        n = weight_total(resp, k * stride, tile)
        stats[start + k] += n
        for i in range(k * d, (k + 1) * d):
            centre = element(centres, i)
            stats[first + i] -= n * centre
            stats[second + i] += n * centre * centre


@helper
def add_four(stats, first, second, ratio, coefficients, i, t0, t1, t2, t3, u0, u1, u2, u3):
    """Add Σ r z and Σ r z² of four columns from Σ r x and Σ r x², all but what Σ r adds."""
    u0, u1 = squares_of(coefficients, i, t0, u0), squares_of(coefficients, i + 1, t1, u1)
    u2, u3 = squares_of(coefficients, i + 2, t2, u2), squares_of(coefficients, i + 3, t3, u3)
    t0, t1 = scaled(element(ratio, i), t0), scaled(element(ratio, i + 1), t1)
    t2, t3 = scaled(element(ratio, i + 2), t2), scaled(element(ratio, i + 3), t3)
    add_totals(stats, first, t0, t1, t2, t3)
    add_totals(stats, second, u0, u1, u2, u3)


@helper
def add_one(x, resp, ratio, coefficients, stats, first, second, k, column, d, tile, stride):
    """`add_four` of one column and component, with its sums."""
    t, u, i, strip = zeros_wide(x), zeros_wide(x), k * d + column, 4 * lanes(x)
    for r in range(0, tile, strip):
        p, w = 2 * (r * d + column * strip), load_wide(resp, k * stride + r)
        t, u = fma(w, load_wide(x, p), t), fma(w, load_wide(x, p + strip), u)
    stats[second + i] += total(squares_of(coefficients, i, t, u))
    stats[first + i] += total(scaled(element(ratio, i), t))


@helper
def squares_of(coefficients, i, t, u):
    """ρ² Σ r x² − 2 ρ ν Σ r x, still in lanes."""
    return add_scaled(coefficients, 2 * i, t, scaled(element(coefficients, 2 * i + 1), u))
