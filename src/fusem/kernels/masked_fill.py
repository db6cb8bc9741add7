"""Template of the kernel that fills in missing values of independent columns: means or draws of components.

Nothing depends on the pattern, so rows stay where they are: a strip of each column at a time.
"""

from __future__ import annotations

from fusem.kernels.compact import how_many, nonzero
from fusem.kernels.copy_rows import copy_rows
from fusem.kernels.elements import element, put
from fusem.kernels.missing_fill import drawn
from fusem.kernels.policy import helper
from fusem.kernels.posterior import most_probable, posterior
from fusem.kernels.scan_finite import FINITE, INFINITE
from fusem.kernels.simd import filled, fma, lanes, load_wide, mul, store, where_known
from fusem.kernels.tile import LEAF, PADDING, load_rows


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel, which leaves out what is missing."""


def fill(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    space,  # SCRATCH
    means,  # IN  (K · d)
    deviations,  # IN  (K · d) standard deviations
    normal,  # IN  (rows · d) standard normal values to draw with, or empty: what is expected
    uniform,  # IN  (rows) numbers in [0, 1) to draw a component with, or empty
    values,  # OUT (rows · d) the rows
    left,  # OUT (rows) those without any value or without a density, which are left to Python
):
    """Copy rows and fill in their missing values; how many are left to Python, −1 at an infinity."""
    x, w, logp, resp = space.x, space.w, space.logp, space.resp
    n_components, tile, n_left, strip = log_weights.size, w.size, 0, 4 * lanes(space.x)
    stride = tile + PADDING
    for begin in range(0, rows, LEAF):
        end = min(begin + LEAF, rows)
        kind = copy_rows(address, row_stride, column_stride, begin, end - begin, d, values)
        if kind == INFINITE:
            return -1
        if kind == FINITE:
            continue
        for first in range(begin, end, tile):
            count = min(tile, end - first)
            load_rows(address, row_stride, column_stride, x, first, count, x, d, tile)
            log_density(x, operands, log_weights, logp, space.scratch, d, tile, stride)
            most_probable(logp, w, n_components, tile, stride)
            for r in range(count):
                if element(w, r) < 0.0:
                    put(left, n_left, first + r)
                    n_left += 1
            posterior(logp, w, resp, n_components, tile, stride, tile, 0, 0)
            if uniform.size > 0:
                for r in range(count):
                    k = drawn(resp, r, element(uniform, first + r), n_components, stride)
                    put(w, r, float(k))
                    for other in range(n_components):
                        put(resp, other * stride + r, 1.0 if other == k else 0.0)
            for r in range(0, count, strip):
                rows_here = (1 << (count - r)) - 1 if count - r < strip else -1
                empty = rows_here
                for j in range(d):
                    missing = missing_lanes(load_wide(x, r * d + j * strip)) & rows_here
                    empty &= missing
                    if missing == 0:
                        continue
                    expected(resp, means, logp, r, j, d, n_components, stride)
                    while missing != 0:
                        lane = first_of(missing)
                        missing &= missing - 1
                        value, at = element(logp, lane), (first + r + lane) * d + j
                        if normal.size > 0:
                            scale = element(deviations, int(element(w, r + lane)) * d + j)
                            value += scale * element(normal, at)
                        put(values, at, value)
                while empty != 0:
                    put(left, n_left, first + r + first_of(empty))
                    n_left += 1
                    empty &= empty - 1
    return n_left


@helper
def first_of(bits):
    """Number of the lowest bit that is set."""
    return how_many((bits & -bits) - 1)


@helper
def missing_lanes(rows):
    """Bits that say which lanes are NaN, the first lane's lowest."""
    return nonzero(where_known(rows, filled(0.0, rows), filled(1.0, rows)))


@helper
def expected(resp, means, out, r, j, d, n_components, stride):
    """Means of column j of a strip of rows, by their responsibilities, into `out`."""
    value = mul(load_wide(resp, r), filled(float(element(means, j)), load_wide(resp, r)))
    for k in range(1, n_components):
        share = load_wide(resp, k * stride + r)
        value = fma(share, filled(float(element(means, k * d + j)), share), value)
    store(out, 0, value)
