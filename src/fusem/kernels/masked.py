"""Rows with missing values, NaN, under independent columns: their lanes are left out, one by one.

A missing value is where its mean is, z = 0; it adds log σ + log 2π / 2 to the log-density and its variance
to the squares. Nothing depends on the pattern, so rows stay where they are. Tried: rows sorted by pattern as
for matrices, twice as slow at d = 8.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from fusem.kernels import axes
from fusem.kernels.elements import element
from fusem.kernels.lane_sums import total
from fusem.kernels.policy import bind, helper
from fusem.kernels.simd import (
    add,
    converted,
    double,
    filled,
    fma,
    lanes,
    load_as,
    load_wide,
    offset,
    pointer_to,
    rest_of_scale,
    scaled,
    standardised,
    store,
    where_known,
    where_less,
    zeros_wide,
)


@intrinsic
def add_to_strip(typing_context, array, index, addend):
    """Add a vector to as many elements of a flat array, in the array's dtype."""

    def codegen(context, builder, signature, arguments):
        array_value, at, more = arguments
        pointer, size = pointer_to(context, builder, array, array_value, at, addend.lanes)
        own = builder.load(pointer)
        own.align = size
        builder.store(builder.fadd(own, converted(builder, more, own.type)), pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, addend), codegen


@helper
def known_standardised(x, high, scale, shift, i):
    """`standardised`, 0 where x is missing."""
    return where_known(x, standardised(x, high, scale, shift, i), filled(0.0, x))


@helper
def known_offset(x, high, shift, i, scale):
    """`offset`, 0 where x is missing."""
    return where_known(x, offset(x, high, shift, i, scale), filled(0.0, x))


known_scaled_distances = bind(axes.scaled_distances.py_func, standardised=known_standardised)
known_distances = bind(axes.distances.py_func, offset=known_offset)
known_two_moments = bind(axes.two_moments.py_func, offset=known_offset)
known_first_moments = bind(
    axes.first_moments.py_func,
    offset=known_offset,
    first_moment=bind(axes.first_moment.py_func, offset=known_offset),
)


@helper
def count_missing(x, r, d):
    """How many values each row of a strip misses."""
    count, step = zeros_wide(x), 4 * lanes(x)
    none, one = zeros_wide(x), filled(1.0, zeros_wide(x))
    for j in range(d):
        count = add(count, where_known(load_wide(x, r * d + j * step), none, one))
    return count


@helper
def leave_out(x, w, stats, start, d, tile):
    """Take the weight of rows without any value; whether some had one.

    Adds the weight of the other rows that miss column j at [start + j].
    """
    empty, step = False, 4 * lanes(x)
    for r in range(0, tile, step):
        count = count_missing(x, r, d)
        before = load_as(w, r, double(count))
        after = where_less(count, filled(float(d), count), before, filled(0.0, before))
        empty |= total(after) != total(before)
        store(w, r, after)
    for j in range(d):
        weight = filled(0.0, double(zeros_wide(x)))
        for r in range(0, tile, step):
            own = load_as(w, r, weight)
            known = where_known(load_wide(x, r * d + j * step), filled(0.0, own), own)
            weight = add(weight, known)
        stats[start + j] += total(weight)
    return empty


@helper
def add_gains(
    x,  # IN  (d columns) tile
    gain,  # IN  (K · d) what a missing value adds to the log-density
    logp,  # INOUT (K × stride)
    n_components,
    d,
    tile,
    stride,
):
    """Add what log-densities lack where components have a scale for every column."""
    step = 4 * lanes(x)
    nothing = zeros_wide(x)
    for r in range(0, tile, step):
        k = 0
        while k + 2 <= n_components:
            a = b = nothing
            for j in range(d):
                row, i = load_wide(x, r * d + j * step), k * d + j
                a = add(a, where_known(row, nothing, filled(float(element(gain, i)), row)))
                i += d
                b = add(b, where_known(row, nothing, filled(float(element(gain, i)), row)))
            add_to_strip(logp, k * stride + r, a)
            add_to_strip(logp, (k + 1) * stride + r, b)
            k += 2
        if k < n_components:
            a = nothing
            for j in range(d):
                row, i = load_wide(x, r * d + j * step), k * d + j
                a = add(a, where_known(row, nothing, filled(float(element(gain, i)), row)))
            add_to_strip(logp, k * stride + r, a)


@helper
def add_masses(
    x,  # IN  (d columns) tile
    resp,  # IN  (K × stride)
    stats,  # INOUT Σ r over the rows that miss column j at [second + k·d + j]
    second,
    n_components,
    d,
    tile,
    stride,
):
    """Add the expected squares of missing values: each is 1."""
    step = 4 * lanes(x)
    for j in range(d):
        k = 0
        while k + 2 <= n_components:
            a = b = zeros_wide(x)
            for r in range(0, tile, step):
                row, share = load_wide(x, r * d + j * step), load_wide(resp, k * stride + r)
                a = add(a, where_known(row, zeros_wide(x), share))
                share = load_wide(resp, (k + 1) * stride + r)
                b = add(b, where_known(row, zeros_wide(x), share))
            stats[second + k * d + j] += total(a)
            stats[second + (k + 1) * d + j] += total(b)
            k += 2
        if k < n_components:
            a = zeros_wide(x)
            for r in range(0, tile, step):
                row, share = load_wide(x, r * d + j * step), load_wide(resp, k * stride + r)
                a = add(a, where_known(row, zeros_wide(x), share))
            stats[second + k * d + j] += total(a)


@helper
def add_counts(
    x,  # IN  (d columns) tile
    gain,  # IN  (K) what a missing value adds to the log-density
    scale,  # IN  (K) 1 / standard deviation
    squares,  # INOUT (K × stride) of `distances`: each missing value is a standard deviation away
    logp,  # INOUT (K × stride)
    n_components,
    d,
    tile,
    stride,
):
    """Add what log-densities and squares lack where components have one scale for all columns."""
    step = 4 * lanes(x)
    for r in range(0, tile, step):
        count = count_missing(x, r, d)
        for k in range(n_components):
            at, rest = k * stride + r, rest_of_scale(scale, k)
            square = fma(count, filled(1.0 / rest / rest, count), load_wide(squares, at))
            store(squares, at, square)
            add_to_strip(logp, at, scaled(element(gain, k), count))
