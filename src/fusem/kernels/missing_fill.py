"""Template of the kernel that fills in missing values: what is expected of them, or draws.

While densities are computed, what `null_space.remove` takes of a row is kept: it leads to the means of the
missing values. Responsibilities then say how much each component counts, or which one a row is drawn from.
"""

from __future__ import annotations

from fusem.kernels.copy_rows import copy_rows
from fusem.kernels.elements import element, put
from fusem.kernels.missing import group_of
from fusem.kernels.missing_sweep import begin_leaf, run_of, tile_density
from fusem.kernels.null_space import basis, led_back
from fusem.kernels.patterns import EMPTY, place_of_empty
from fusem.kernels.policy import helper
from fusem.kernels.posterior import most_probable, posterior
from fusem.kernels.scan_finite import FINITE, INFINITE
from fusem.kernels.simd import filled, fma, lanes, load, store, sub, where_less
from fusem.kernels.tile import PADDING, fill_zeros, place


def many_rows(operands, d):
    """The family's: rows of a leaf from which a pattern has operators of its own."""


def observed(m, operands, pattern, d):
    """The family's operands of the columns that a pattern leaves, and how many those are."""


def expected_of_pattern(m, operands, resp, pattern, r, noisy, rest, d, n_components, tile, stride):
    """The family's means of the missing values of a strip of rows of a pattern that has such operands."""


def expected(m, operands, resp, number, r, count, n_components, d, tile, stride):
    """The family's means of the missing values of some rows of a group into y, a column for each of them."""


def fill(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    pass_number,
    leaf,  # IN  rows that are sorted together, LEAF at most
    m,  # SCRATCH
    normal,  # IN  (rows · d) standard normal values to draw with, or empty: what is expected
    uniform,  # IN  (rows) numbers in [0, 1) to draw a component with, or empty
    values,  # OUT (rows · d) the rows
    left,  # OUT (rows) those without any value or without a density, which are left to Python
):
    """Copy rows and fill in their missing values; how many are left to Python, −1 at an infinity."""
    x, w, logp, resp = m.space.x, m.space.w, m.space.logp, m.space.resp
    n_components, tile, n_left, noisy = log_weights.size, w.size, 0, normal.size > 0
    stride, order, strip = tile + PADDING, m.patterns.order, 4 * lanes(x)
    fill_zeros(m.noise, 0, d * tile)
    for begin in range(0, rows, leaf):
        count = min(leaf, rows - begin)
        kind = copy_rows(address, row_stride, column_stride, begin, count, d, values)
        if kind == INFINITE:
            return -1
        if kind == FINITE:
            continue
        at, complete, large, groups, empty = begin_leaf(
            m, address, row_stride, column_stride, begin, count, many_rows(operands, d), x, d,
            pass_number, tile,
        )  # fmt: skip
        for run in range(1, large + 2):
            p, end, pattern = run_of(m, run, complete, large, groups)
            these, columns = operands, d
            if pattern != EMPTY:
                these, columns = observed(m, operands, pattern, d)
            while p < end:
                n = min(tile, end - p)
                width = (n + strip - 1) // strip * strip
                if noisy:
                    gather_noise(m.noise, normal, begin, order, p, n, d)
                tile_density(
                    m, at, row_stride, column_stride, p, width, run <= large, columns, groups, these,
                    operands, log_weights, d, stride,
                )  # fmt: skip
                most_probable(logp, w, n_components, width, stride)
                for r in range(n):
                    if element(w, r) < 0.0:
                        put(left, n_left, begin + order[p + r])
                        n_left += 1
                posterior(logp, w, resp, n_components, width, stride, width, 0, 0)
                if uniform.size > 0:
                    choose(resp, uniform, begin, order, p, n, n_components, stride)
                if columns < d:
                    for r in range(0, width, strip):
                        expected_of_pattern(
                            m, operands, resp, pattern, r, noisy, columns, d, n_components, width,
                            stride,
                        )  # fmt: skip
                    put_values(m, values, begin, p, 0, n, d - columns, d)
                else:
                    for g in range(m.tile[0], m.tile[1]):
                        fill_group(
                            expected, m, operands, resp, values, begin, p, g, n_components, d,
                            width, stride,
                        )  # fmt: skip
                p += tile
        for i in range(empty):
            put(left, n_left, begin + order[place_of_empty(tile) + i])
            n_left += 1
    return n_left


@helper
def gather_noise(noise, normal, begin, order, first, count, d):
    """Numbers to draw the missing values of some rows with."""
    strip = 4 * lanes(noise)
    for r in range(count):
        row, target = (begin + order[first + r]) * d, place(noise, r, d)
        for j in range(d):
            noise[target + j * strip] = normal[row + j]


@helper
def put_values(m, values, begin, p, first, last, count, d):
    """Put the means of missing values of some rows of a tile where they belong."""
    strip = 4 * lanes(m.y)
    for r in range(first, last):
        to, at = (begin + element(m.patterns.order, p + r)) * d, place(m.y, r, d)
        for s in range(count):
            put(values, to + element(m.bases.columns, s), element(m.y, at + s * strip))


@helper
def choose(resp, uniform, begin, order, p, n, n_components, stride):
    """Give each row to one component, drawn by its responsibilities."""
    for r in range(n):
        number = element(uniform, begin + element(order, p + r))
        chosen = drawn(resp, r, number, n_components, stride)
        for k in range(n_components):
            put(resp, k * stride + r, 1.0 if k == chosen else 0.0)


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


@helper
def fill_group(expected, m, operands, resp, values, begin, p, g, n_components, d, tile, stride):
    """Fill in the missing values of a group: rows side by side, then each value where it belongs."""
    number, first, last, count = group_of(m, g, d, tile)
    step = lanes(resp)
    for r in range(first - first % step, last, step):
        expected(m, operands, resp, number, r, count, n_components, d, tile, stride)
    put_values(m, values, begin, p, first, last, count, d)


@helper
def expected_of_each(
    m, matrix, n, high, low, resp, number, r, count, n_components, d, tile, stride
):
    """Means of the missing values of some rows, by their responsibilities, into y.

    `matrix`, `n`, `high` and `low` as for `observed_densities`.
    """
    at, strip = place(resp, r, d), 4 * lanes(resp)
    for k in range(n_components):
        share, k0, own = load(resp, k * stride + r), k * d, k % n
        v0 = basis(m.bases, m.patterns, matrix, own * d * d, number, count, own, n, d)
        for s in range(count):
            j, here = m.bases.columns[s], at + s * strip
            z = sub(load(m.noise, at + j * strip), load(m.kept, k0 * tile + here))
            mean = float(element(high, k0 + j)) + float(element(low, k0 + j))
            value = led_back(m.bases, v0 + count * d, s, count, z, mean)
            nothing = filled(0.0, share)  # what has no share may be no number
            value = where_less(nothing, share, value, nothing)
            store(m.y, here, fma(share, value, nothing if k == 0 else load(m.y, here)))
