"""Template of the kernel that fills in missing values: what is expected of them, or draws.

Each component makes something of a row's missing values while densities are computed (`null_space.move`);
its responsibilities then say how much each counts, or which one is drawn.
"""

from __future__ import annotations

from fusem.kernels.elements import element, put
from fusem.kernels.missing import group_of
from fusem.kernels.missing_sweep import begin_leaf, find_groups
from fusem.kernels.patterns import LEAF, place_of_empty
from fusem.kernels.policy import helper
from fusem.kernels.posterior import most_probable, posterior
from fusem.kernels.simd import add, filled, fma, lanes, load, load_wide, store, where_less
from fusem.kernels.tile import PADDING, fill_zeros, gather_rows, place


def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    """The family's tile kernel for rows with missing values, which leaves its moves."""


def fill(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    pass_number,
    m,  # SCRATCH
    means,  # IN  (K · d)
    normal,  # IN  (rows · d) standard normal values to draw with, or empty: what is expected
    uniform,  # IN  (rows) numbers in [0, 1) to draw a component with, or empty
    values,  # INOUT (rows · d) the same rows
    left,  # OUT (rows) those that are left as they are: without any value, or without a density
):
    """Fill in the missing values of rows; how many are left as they are."""
    x, w, logp, resp = m.space.x, m.space.w, m.space.logp, m.space.resp
    n_components, tile, n_left = log_weights.size, w.size, 0
    stride, order, strip = tile + PADDING, m.patterns.order, 4 * lanes(x)
    fill_zeros(m.noise, 0, d * tile)
    for leaf in range((rows + LEAF - 1) // LEAF):
        begin, count, at, complete, first, groups, end = begin_leaf(
            m, address, row_stride, column_stride, rows, leaf, x, d, pass_number, tile
        )
        for p in range(first, end, tile):
            n = min(tile, end - p)
            width = (n + strip - 1) // strip * strip
            gather_rows(at, row_stride, column_stride, order, p, x, d, width)
            find_groups(m, p, groups, width)
            if normal.size > 0:
                for r in range(n):
                    row, target = (begin + order[p + r]) * d, place(x, r, d)
                    for j in range(d):
                        m.noise[target + j * strip] = normal[row + j]
            log_density_missing(x, m, operands, log_weights, logp, d, width, stride)
            most_probable(logp, w, n_components, width, stride)
            for r in range(n):
                if element(w, r) < 0.0:
                    put(left, n_left, begin + order[p + r])
                    n_left += 1
            for r in range(width):
                w[r] = 1.0
            posterior(logp, w, resp, n_components, width, stride, False, 0, 0)
            for g in range(m.tile[0], m.tile[1]):
                _, one, other, missing = group_of(m, g, d, width)
                if uniform.size > 0:
                    fill_draws(
                        m, resp, means, values, uniform, begin, p, one, other, missing, d, width,
                        stride,
                    )  # fmt: skip
                else:
                    fill_means(
                        m, resp, means, values, begin, p, one, other, missing, d, width, stride
                    )
        for i in range(count - complete - (end - first)):
            put(left, n_left, begin + order[place_of_empty(tile) + i])
            n_left += 1
    return n_left


@helper
def fill_means(m, resp, means, values, begin, p, first, last, count, d, tile, stride):
    """What is expected of the missing values of a group."""
    one, strip, c = lanes(resp), 4 * lanes(resp), m.bases.coefficients
    r = first - first % one
    while r < last:
        if r % strip == 0 and last - r > one:
            expected(load_wide, m, resp, means, r, count, d, tile, stride)
            end = r + strip
        else:
            expected(load, m, resp, means, r, count, d, tile, stride)
            end = r + one
        for row in range(max(r, first), min(end, last)):
            to = (begin + element(m.patterns.order, p + row)) * d
            for s in range(count):
                put(values, to + element(m.bases.columns, s), element(c, s * strip + row - r))
        r = end


@helper
def expected(load, m, resp, means, r, count, d, tile, stride):
    """Means of the missing values of some rows, by their responsibilities, into the coefficients."""
    at, strip = place(resp, r, d), 4 * lanes(resp)
    for s in range(count):
        value = nothing = filled(0.0, load(resp, r))
        for k in range(means.size // d):
            share, mean = load(resp, k * stride + r), element(means, k * d + m.bases.columns[s])
            moved = add(filled(float(mean), share), load(m.moves, k * d * tile + at + s * strip))
            # what has no share may be no number
            value = where_less(nothing, share, fma(share, moved, value), value)
        store(m.bases.coefficients, s * strip, value)


@helper
def fill_draws(m, resp, means, values, uniform, begin, p, first, last, count, d, tile, stride):
    """Draws of the missing values of a group, each row's from one component."""
    strip = 4 * lanes(resp)
    for r in range(first, last):
        row = begin + element(m.patterns.order, p + r)
        k = drawn(resp, r, element(uniform, row), means.size // d, stride)
        moves = k * d * tile + place(resp, r, d)
        for s in range(count):
            j = element(m.bases.columns, s)
            value = element(means, k * d + j) + element(m.moves, moves + s * strip)
            put(values, row * d + j, value)


@helper
def drawn(resp, r, uniform, n_components, stride):
    """A component drawn by the row's responsibilities, with a number in [0, 1)."""
    mass, last = 0.0, 0
    for k in range(n_components):
        if resp[k * stride + r] > 0.0:
            last = k
            mass += resp[k * stride + r]
            if uniform < mass:
                return k
    return last
