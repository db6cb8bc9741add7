"""Rows of category codes 0, 1, …: logarithms looked up, weights counted by code.

A table has a place for each code and one more, for what is no code: a missing value, NaN, adds nothing to a
log-density and is not counted. No code can lead out of a table.
"""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.gather import add_where_equal, looked_up, most_picked, picked
from fusem.kernels.lane_sums import add_totals, total
from fusem.kernels.policy import bind, helper
from fusem.kernels.simd import (
    add,
    filled,
    lanes,
    larger,
    load,
    load_wide,
    store_affine,
    where_less,
    zeros,
    zeros_wide,
)
from fusem.kernels.tile import place

FEW = 6  # codes that are compared one by one where with more logarithms are looked up


@helper
def code_of(row, none):
    """Codes as places in a table; `none` for what is no code."""
    return larger(where_less(row, none, row, none), filled(0.0, row))


@helper
def add_compared(total, row, table, i, n_codes):
    """total + table[i + code] for the codes of a row, which are compared with each."""
    for m in range(n_codes):
        own, more = filled(float(m), row), filled(float(element(table, i + m)), row)
        total = add_where_equal(row, own, more, total)
    return total


@helper
def add_looked_up(total, row, table, i, n_codes):
    """The same of any number of codes."""
    return add(total, looked_up(table, i, code_of(row, filled(float(n_codes), row))))


@helper
def add_picked(total, row, table, i, n_codes):
    """The same of no more than `most_picked`."""
    return add(total, picked(table, i, code_of(row, filled(float(n_codes), row))))


def _densities(x, table, n_codes, log_weights, constant, logp, d, tile, stride):
    """Log-densities, two components at a time."""
    n_components, strip, width = log_weights.size, 4 * lanes(x), n_codes + 1
    for r in range(0, tile, strip):
        k = 0
        while k + 2 <= n_components:
            a = b = zeros_wide(x)
            for j in range(d):
                row, i = load_wide(x, r * d + j * strip), (k * d + j) * width
                a = add_logarithm(a, row, table, i, n_codes)
                b = add_logarithm(b, row, table, i + d * width, n_codes)
            begun = element(log_weights, k) + element(constant, k)
            store_affine(logp, k * stride + r, a, 1.0, begun)
            begun = element(log_weights, k + 1) + element(constant, k + 1)
            store_affine(logp, (k + 1) * stride + r, b, 1.0, begun)
            k += 2
        if k < n_components:
            a = zeros_wide(x)
            for j in range(d):
                row = load_wide(x, r * d + j * strip)
                a = add_logarithm(a, row, table, (k * d + j) * width, n_codes)
            begun = element(log_weights, k) + element(constant, k)
            store_affine(logp, k * stride + r, a, 1.0, begun)


@helper
def add_logarithm(total, row, table, i, n_codes):
    """One of the three above."""


compared_densities = bind(_densities, add_logarithm=add_compared)
looked_up_densities = bind(_densities, add_logarithm=add_looked_up)
picked_densities = bind(_densities, add_logarithm=add_picked)


@helper
def code_densities(
    x,  # IN  (d columns) tile of codes
    table,  # IN  (K · d · (M + 1)) logarithms of probabilities, then 0; and MOST_PICKED more
    n_codes,  # IN  M
    log_weights,  # IN  (K)
    constant,  # IN  (K)
    logp,  # OUT (K × stride) log weight + constant + Σ_j log p_j[x_j]
    d,
    tile,
    stride,
):
    """Log-densities of components that have a probability for every code of every column."""
    if n_codes <= FEW:
        compared_densities(x, table, n_codes, log_weights, constant, logp, d, tile, stride)
    elif n_codes < most_picked(table):
        picked_densities(x, table, n_codes, log_weights, constant, logp, d, tile, stride)
    else:
        looked_up_densities(x, table, n_codes, log_weights, constant, logp, d, tile, stride)


@helper
def count_codes(
    x,  # IN  (d columns) tile of codes
    resp,  # IN  (K × stride) weights of the rows
    n_codes,  # IN  M
    stats,  # INOUT Σ r of the rows with code m in column j at [first + (k·d + j)·M + m]
    first,
    d,
    n_components,
    tile,
    stride,
):
    """Add the weights of a tile's rows by code: of few by comparing with each, else row by row."""
    if n_codes <= 2 * lanes(x):
        for j in range(d):
            for k in range(n_components):
                at = first + (k * d + j) * n_codes
                compare_codes(x, resp, k, j, n_codes, stats, at, d, tile, stride)
    else:
        for j in range(d):
            scatter_codes(x, resp, j, n_codes, stats, first, d, n_components, tile, stride)


@helper
def compare_codes(x, resp, k, j, n_codes, stats, at, d, tile, stride):
    """`count_codes` of one column and component, four codes at a time."""
    strip, m = 4 * lanes(x), 0
    while m + 4 <= n_codes:
        a = b = c = e = none = zeros(x)
        m0, m1 = filled(float(m), none), filled(float(m + 1), none)
        m2, m3 = filled(float(m + 2), none), filled(float(m + 3), none)
        for row in range(0, tile, strip):
            for r in range(row, row + strip, lanes(x)):
                code, w = load(x, row * (d - 1) + j * strip + r), load(resp, k * stride + r)
                a, b = add_where_equal(code, m0, w, a), add_where_equal(code, m1, w, b)
                c, e = add_where_equal(code, m2, w, c), add_where_equal(code, m3, w, e)
        add_totals(stats, at + m, a, b, c, e)
        m += 4
    while m < n_codes:
        a = none = zeros_wide(x)
        own = filled(float(m), none)
        for r in range(0, tile, strip):
            code, w = load_wide(x, r * d + j * strip), load_wide(resp, k * stride + r)
            a = add_where_equal(code, own, w, a)
        stats[at + m] += total(a)
        m += 1


@helper
def scatter_codes(x, resp, j, n_codes, stats, first, d, n_components, tile, stride):
    """`count_codes` of one column, row by row."""
    strip = 4 * lanes(x)
    for r in range(tile):
        value = element(x, place(x, r, d) + j * strip)
        if 0.0 <= value < n_codes:
            at = first + j * n_codes + int(value)
            for k in range(n_components):
                stats[at] += element(resp, k * stride + r)
                at += d * n_codes
