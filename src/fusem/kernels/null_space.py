"""What missing values leave open, in whitened coordinates: a subspace, and a unit variance all over it.

With y = W (x − μ), changing the missing values of a row moves y in the span of the columns W_m of W. So the
conditional mean of y given the rest is y without its part in that span, whatever the missing values are
filled with; its conditional covariance is the projection on the span, V Vᵀ; and |y|² without that part is
the squared distance of what was observed. V comes from W_m = V R by Gram–Schmidt; Σ log R_ss is what the
missing columns take from the log normalisation, and R⁻¹ leads back to the units of the data.

Bases are worked out once per pattern and component and kept while there is room. Source: Schur complements,
Anderson 2003, section 2.5; written for triangles W, whose columns are zero above the diagonal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.elements import element
from fusem.kernels.lane_sums import total
from fusem.kernels.patterns import PATTERNS
from fusem.kernels.policy import helper, seldom
from fusem.kernels.simd import (
    LANES,
    add_scaled,
    filled,
    fma,
    lanes,
    less_scaled,
    load,
    load_as,
    mul,
    scaled,
    store,
    sub,
    where_less,
    zeros,
)
from fusem.kernels.tile import aligned, fill_zeros, place

BYTES = 8 * 1024 * 1024  # of the bases that are kept, per thread
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
FEW = 16  # columns: loops over fewer have the same length for all patterns
NONE = 0  # instead of the place of a basis that is not known


class Bases(NamedTuple):
    """Bases a thread has worked out; flat arrays. R is a lower triangle, with reciprocals on the diagonal."""

    # (PATTERNS · K) where V, column after column, begins in `store`, + 1; then R, then what is kept of means
    at: NDArray[np.int64]
    gain: NDArray[np.float64]  # (PATTERNS · K) what a pattern adds to the log normalisation
    store: NDArray[Any]  # in the dtype of the rows
    state: NDArray[np.int64]  # (2) end of what is kept; number of the pass it belongs to
    work: NDArray[np.float64]  # (2 · d · width) V and R being made; B and a row of B Vᵀ
    columns: NDArray[np.int64]  # (d + 1) missing columns
    coefficients: NDArray[Any]  # (d strips) ā, or missing values less their means
    spread: NDArray[
        np.float64
    ]  # (matrices · d · width) conditional covariances of a tile, zeros between
    ramp: NDArray[Any]  # (tile) 0, 1, 2 …


def width_of(d):
    """Elements between the rows of a square."""
    return (d + LANES - 1) // LANES * LANES


square_width = helper(width_of)


def kept_elements(largest: int, number: int, dtype: DTypeLike) -> int:
    """Room for entries of so many elements at most: for `number` of them or in BYTES, or for one at least."""
    largest, number = int(largest), int(number)  # NumPy's would overflow
    return max(largest, min(number * largest, BYTES // np.dtype(dtype).itemsize))


def bases(n_components: int, n_means: int, d: int, tile: int, dtype: DTypeLike) -> Bases:
    """Memory of one thread; `n_components` so many as have covariances of their own, `n_means` means."""
    room = kept_elements(2 * d * d + n_means * (d + 1), int(n_components) << d, dtype)
    made = Bases(
        at=aligned(PATTERNS * n_components, np.int64),
        gain=aligned(PATTERNS * n_components, np.float64),
        store=aligned(room + LANES, dtype),
        state=aligned(2, np.int64),
        work=aligned(2 * d * width_of(d), np.float64),
        columns=aligned(d + 1, np.int64),
        coefficients=aligned(d * 4 * 16, dtype),
        # blocks of four rows may reach beyond the last
        spread=aligned((n_components * d + 3) * width_of(d), np.float64),
        ramp=aligned(tile, dtype),
    )
    made.ramp[:] = np.arange(tile)
    made.state[1] = -1
    return made


@helper
def forget(bases, patterns, n_components):
    """Make room: parameters have changed, or other patterns need it. What was never used is not touched."""
    bases.state[0] = 0
    for i in range(patterns.known[0] * n_components):
        bases.at[i] = NONE


@helper
def product(v, one, other, begin, end):
    """Scalar product of two rows of scratch."""
    t = zeros(v)
    for i in range(begin, end, LANES):
        t = fma(load(v, one + i), load(v, other + i), t)
    return total(t)


@helper
def product_of(v, one, other, begin, d):
    """Scalar product of a row of scratch and d elements of another array."""
    t, rest, i = zeros(v), 0.0, 0
    while i + LANES <= d:
        t = fma(load(v, one + i), load_as(other, begin + i, t), t)
        i += LANES
    while i < d:
        rest += v[one + i] * element(other, begin + i)
        i += 1
    return total(t) + rest


@helper
def add_multiple(factor, source, at, target, to, d):
    """Add a multiple of d elements of one array to those of another, which is float64."""
    i, wide = 0, filled(factor, zeros(target))
    while i + lanes(target) <= d:
        v = load_as(source, at + i, wide)
        store(target, to + i, fma(wide, v, load(target, to + i)))
        i += lanes(target)
    while i < d:
        target[to + i] += factor * element(source, at + i)
        i += 1


@helper
def basis(
    bases,
    patterns,
    matrix,  # IN  (d × d) lower triangle W at m0
    m0,
    number,  # IN  of the pattern
    count,  # IN  its missing columns, in bases.columns
    k,
    n_components,
    d,
    means=None,  # IN  (… · d) whitened means that share the covariance, or None
):
    """The place of V in bases.store; R stands after it, then Vᵀ ν of every mean and half its square."""
    entry = number * n_components + k
    if bases.at[entry] != NONE:
        return bases.at[entry] - 1
    return make_basis(bases, patterns, matrix, m0, number, count, k, n_components, d, means)


@seldom
def make_basis(bases, patterns, matrix, m0, number, count, k, n_components, d, means):
    """`basis`, of a pattern that has none."""
    entry = number * n_components + k
    size = count * d + count * count
    if means is not None:
        size += means.size // d * (count + 1)
    if bases.state[0] + size > bases.store.size - LANES:
        forget(bases, patterns, n_components)
    v, width, gain = bases.work, square_width(d), count * HALF_LOG_2PI
    rest = count * width
    for s in range(count - 1, -1, -1):
        first, row = bases.columns[s], s * width
        unit = 0.0  # squares of the elements themselves might over- or underflow
        for i in range(first, d):
            unit = max(unit, abs(float(matrix[m0 + i * d + first])))
        fill_zeros(v, row, width)
        for i in range(first, d):
            v[row + i] = matrix[m0 + i * d + first] / unit
        for t in range(count):
            v[rest + t * count + s] = 0.0
        for _ in range(2):  # once more, or V would lose its right angles where columns nearly agree
            for t in range(s + 1, count):
                begin, other = bases.columns[t] // LANES * LANES, t * width
                part = product(v, other, row, begin, width)
                factor = filled(part, load(v, row))
                for i in range(begin, width, LANES):
                    rows = sub(load(v, row + i), mul(factor, load(v, other + i)))
                    store(v, row + i, rows)
                v[rest + t * count + s] += part * unit
        length = math.sqrt(product(v, row, row, first // LANES * LANES, width))
        for i in range(first, d):
            v[row + i] /= length
        v[rest + s * count + s] = 1.0 / length / unit
        gain -= math.log(length) + math.log(unit)
    where = bases.state[0]
    for s in range(count):
        for i in range(d):
            bases.store[where + s * d + i] = v[s * width + i]
    for i in range(count * count):
        bases.store[where + count * d + i] = v[rest + i]
    if means is not None:
        to = along(count, d) + where
        for mean in range(0, means.size, d):
            square = 0.0
            for s in range(count):
                part = product_of(v, s * width, means, mean, d)
                bases.store[to + s] = part
                square += part * part
            bases.store[to + count] = 0.5 * square
            to += count + 1
    bases.state[0] = where + size
    bases.at[entry] = where + 1
    bases.gain[entry] = gain
    return where


@helper
def along(count, d):
    """Where Vᵀ ν of the first mean begins, from the place of V on; that of the next is count + 1 further."""
    return count * d + count * count


@helper
def start_of(bases, s, d):
    """Where to begin with a column of V, zero above its number: a few zeros are faster than a branch."""
    return 0 if d <= FEW else bases.columns[s]


@helper
def remove(
    y,  # INOUT (d columns) at y0: less its part in the span of V
    y0,
    bases,
    v0,  # IN  V in bases.store
    count,  # IN  columns of V
    first,  # IN  rows of the tile
    last,
    kept,  # OUT (d columns) at y0 or None: Vᵀ y, a column for each of V
    d,
):
    """Conditional mean of the rows of a group, in whitened coordinates."""
    one, strip = lanes(y), 4 * lanes(y)
    # By single vectors: four at a time took as long, as rows of a pattern that many have do not come here.
    for r in range(first - first % one, last, one):
        at, mask = y0 + place(y, r, d), within(load(bases.ramp, r), first, last)
        for s in range(count):
            i, row, to = start_of(bases, s, d), v0 + s * d, at + s * strip
            remove_one(y, at, mask, bases, row, i, kept, to, d)


@helper
def within(rows, first, last):
    """1 in lanes whose row belongs to a group, else 0."""
    nothing, one = filled(0.0, rows), filled(1.0, rows)
    before_end = where_less(rows, filled(float(last), rows), one, nothing)
    return where_less(rows, filled(float(first), rows), nothing, before_end)


@helper
def remove_one(y, at, mask, bases, row, start, kept, to, d):
    """Take the part along one column of V, zero above `start`, out of some rows; keep how much that is."""
    strip = 4 * lanes(y)
    part = sub(mask, mask)
    for i in range(start, d):
        part = add_scaled(bases.store, row + i, load(y, at + i * strip), part)
    part = mul(part, mask)
    for i in range(start, d):
        store(y, at + i * strip, less_scaled(bases.store, row + i, part, load(y, at + i * strip)))
    if kept is not None:
        store(kept, to, where_less(filled(0.5, mask), mask, part, load(kept, to)))


@helper
def led_back(bases, triangle, s, count, z, mean):
    """A mean plus element s of δ with R δ = z; those before it are in the coefficients, there it stays."""
    c, row = bases.coefficients, triangle + s * count
    strip = 4 * lanes(c)
    for t in range(s):
        z = less_scaled(bases.store, row + t, load(c, t * strip), z)
    store(c, s * strip, scaled(element(bases.store, row + s), z))
    return add_scaled(bases.store, row + s, z, filled(mean, z))


@helper
def add_spread(bases, v0, count, mass, own, d):
    """Add mass · V Vᵀ, the conditional covariance of so many rows, to the square of a component.

    Whole rows by vectors: half as many scalars in a triangle took three times as long.
    """
    square = own * d * square_width(d)
    for s in range(count):
        first, row = start_of(bases, s, d), v0 + s * d
        for i in range(first, d):
            add_row(bases, square, i, mass * bases.store[row + i], row, first, d)


@helper
def add_row(bases, square, i, factor, row, first, d):
    """Add a multiple of a column of V, zero above `first`, to row i of a square, as far as the diagonal."""
    step = lanes(bases.spread)
    wide, j = filled(factor, load(bases.spread, 0)), first - first % step
    while j <= i:
        at, v = square + i * square_width(d) + j, load_as(bases.store, row + j, wide)
        store(bases.spread, at, fma(wide, v, load(bases.spread, at)))
        j += step


@helper
def add_outer(bases, v0, count, d):
    """Add V B Vᵀ to the square of the first component; the scratch has B's lower triangle (count × count)."""
    work, u = bases.work, d * square_width(d)
    for s in range(count):
        fill_zeros(work, u, d)
        for t in range(count):
            b = element(work, s * count + t if t <= s else t * count + s)
            add_multiple(b, bases.store, v0 + t * d, work, u, d)
        first = start_of(bases, s, d)
        for i in range(first, d):
            add_row(bases, 0, i, element(work, u + i), v0 + s * d, first, d)


@helper
def take_spread(bases, own, stats, second, d):
    """Add a component's square to a lower triangle at `second`, and leave zeros."""
    width = square_width(d)
    for i in range(d):
        at, to = (own * d + i) * width, second + i * (i + 1) // 2
        for j in range(i + 1):
            stats[to + j] += bases.spread[at + j]
        fill_zeros(bases.spread, at, width)


@helper
def mass_of(resp, r0, bases, first, last):
    """Σ r over some rows of a tile, as float64; theirs begin at r0."""
    t, step = zeros(resp), lanes(resp)
    for r in range(first - first % step, last, step):
        rows = load(bases.ramp, r)
        t = fma(within(rows, first, last), load(resp, r0 + r), t)
    return total(t)
