"""Rows with missing values under one covariance: whitened once, about a centre c that components share.

With z = W (x − c), V as in `null_space`, z° = z − V Vᵀ z, ν the whitened mean of a component and a = Vᵀ ν:
the squared distance of what was observed is |z° − ν|² − |a|², the conditional mean of z is z° + V a, its
conditional covariance V Vᵀ. So z° is what all components have in common. With ā, the mean of a by the shares
of a row, the scatter is that of z° + V ā, and V (Σ r a aᵀ − Σ w ā āᵀ + Σ w) Vᵀ.
"""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.lane_sums import total
from fusem.kernels.linear import forms_of_strip, linear_sums
from fusem.kernels.missing import add_to, group_of
from fusem.kernels.missing_matrices import store_square
from fusem.kernels.null_space import (
    add_multiple,
    add_outer,
    along,
    basis,
    led_back,
    mass_of,
    remove,
    start_of,
    take_spread,
    within,
)
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    add_scaled,
    div,
    filled,
    lanes,
    load,
    load_wide,
    mul,
    store,
    sub,
    where_less,
)
from fusem.kernels.tile import fill_zeros, place
from fusem.kernels.whiten import scatter, whiten


@helper
def shared_densities(
    x,  # IN  (d columns) tile
    m,  # INOUT z° in the first d columns of y, −|z°|² / 2 in the next; `kept` of `remove`
    high,  # IN  (d) centre
    low,
    matrix,  # IN  (d · d) W
    centres,  # IN  (K · d) ν
    log_weights,  # IN  (K)
    added,  # IN  (K) log normalisation − |ν|² / 2
    logp,  # OUT (K × stride)
    d,
    tile,
    stride,
):
    """Log-densities of what was observed."""
    z, n_components, strip, halves = m.y, log_weights.size, 4 * lanes(x), d * tile
    for r in range(0, tile, strip):
        whiten(x, high, low, 0, matrix, 0, z, 0, 0.0, z, halves, r, d, True)
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        v0 = basis(m.bases, m.patterns, matrix, 0, number, count, 0, 1, d, centres)
        remove(z, 0, m.bases, v0, count, first, last, m.kept, d)
    for r in range(0, tile, strip):
        store_square(z, r * d, d, z, halves + r)
        forms_of_strip(z, z, halves, centres, None, log_weights, added, None, logp, r, d, stride)
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        v0 = basis(m.bases, m.patterns, matrix, 0, number, count, 0, 1, d, centres)
        half = v0 + along(count, d) + count
        for k in range(n_components):
            begun = m.bases.gain[number] + element(m.bases.store, half + k * (count + 1))
            add_to(logp, k * stride + first, k * stride + last, begun)


@helper
def shared_sums(
    m,  # INOUT what `shared_densities` left
    resp,  # IN  (K × stride) weights of the rows
    matrix,  # IN  (d · d) W
    centres,  # IN  (K · d) ν
    exact,  # IN  the same in float64
    sums,  # INOUT Σ r at [k], Σ r E[z − ν] at [first + k·d + j]
    first_moment,
    unused,  # IN  d places
    second,  # IN  of the lower triangle of Σ r E[z zᵀ]
    d,
    n_components,
    tile,
    stride,
):
    """Add what is expected of a tile's rows."""
    z, strip, weights = m.y, 4 * lanes(resp), d * tile
    linear_sums(z, resp, None, exact, sums, 0, first_moment, d, n_components, tile, stride)
    for r in range(0, tile, strip):
        weight = load_wide(resp, r)
        for k in range(1, n_components):
            weight = add(weight, load_wide(resp, k * stride + r))
        store(z, weights + r, weight)
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        v0 = basis(m.bases, m.patterns, matrix, 0, number, count, 0, 1, d, centres)
        between = m.bases.work
        fill_zeros(between, 0, count * count)
        for k in range(n_components):
            a0 = v0 + along(count, d) + k * (count + 1)
            mass = mass_of(resp, k * stride, m.bases, first, last)
            for s in range(count):
                part = mass * m.bases.store[a0 + s]
                between[s * count + s] += mass
                for t in range(s + 1):
                    between[s * count + t] += part * m.bases.store[a0 + t]
                add_multiple(part, m.bases.store, v0 + s * d, sums, first_moment + k * d, d)
        lead_back(m, v0, count, first, last, resp, weights, between, d, n_components, stride)
        add_outer(m.bases, v0, count, d)
    scatter(z, 0, z, weights, z[weights + tile :], sums, unused, second, d, tile)
    take_spread(m.bases, 0, sums, second, d)


@helper
def lead_back(m, v0, count, first, last, resp, weights, between, d, n_components, stride):
    """Add V ā to the rows of a group, and take Σ w ā āᵀ from `between`, the lower triangle."""
    one, strip = lanes(resp), 4 * lanes(resp)
    r = first - first % one
    while r < last:
        at = place(m.y, r, d)
        if r % strip == 0 and last - r > one:
            mask = within(load_wide(m.bases.ramp, r), first, last)
            lead_back_some(
                load_wide, m, v0, count, mask, resp, r, weights, at, between, d, n_components,
                stride,
            )  # fmt: skip
            r += strip
        else:
            mask = within(load(m.bases.ramp, r), first, last)
            lead_back_some(
                load, m, v0, count, mask, resp, r, weights, at, between, d, n_components, stride
            )
            r += one


@helper
def lead_back_some(
    load, m, v0, count, mask, resp, r, weights, at, between, d, n_components, stride
):
    """`lead_back` of some rows."""
    z, c, strip = m.y, m.bases.coefficients, 4 * lanes(resp)
    a0 = v0 + along(count, d)
    weight, nothing = load(z, weights + r), sub(mask, mask)
    weight = where_less(nothing, weight, weight, filled(1.0, mask))  # sums of a row without are 0
    for s in range(count):
        part = nothing
        for k in range(n_components):
            part = add_scaled(
                m.bases.store, a0 + k * (count + 1) + s, load(resp, k * stride + r), part
            )
        part = mul(part, mask)
        mean, row = div(part, weight), v0 + s * d
        store(c, s * strip, mean)
        for i in range(start_of(m.bases, s, d), d):
            p = at + i * strip
            store(z, p, add_scaled(m.bases.store, row + i, mean, load(z, p)))
        for t in range(s + 1):
            between[s * count + t] -= total(mul(part, load(c, t * strip)))


@helper
def shared_values(m, matrix, high, low, centres, resp, number, r, count, n_components, d, stride):
    """Means of the missing values of some rows, by their responsibilities, into y: those of z° + V ā."""
    at, strip, triangle = place(resp, r, d), 4 * lanes(resp), count * d
    v0 = basis(m.bases, m.patterns, matrix, 0, number, count, 0, 1, d, centres)
    a0 = v0 + along(count, d)
    for s in range(count):
        j, here = m.bases.columns[s], at + s * strip
        z = sub(load(m.noise, at + j * strip), load(m.kept, here))
        for k in range(n_components):
            z = add_scaled(m.bases.store, a0 + k * (count + 1) + s, load(resp, k * stride + r), z)
        centre = float(element(high, j)) + float(element(low, j))
        store(m.y, here, led_back(m.bases, v0 + triangle, s, count, z, centre))
