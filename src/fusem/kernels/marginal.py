"""Components of the columns that a pattern leaves: operators, and the way back to all columns.

Rows that miss the same columns are complete rows of the others. An orthogonal G with G W_m = 0 in its rows
for observed columns makes their whitening M = (G W)_oo, a lower triangle again. With y = M (x − μ)_o the
expected whitened row is Gᵀ (y, 0), its covariance the projection on the rows of G for missing columns: sums
over a pattern's rows lead back as Gᵀ m and Gᵀ B G, once for all of them. The missing values are
μ_m − R⁻¹ T y + R⁻¹ ε with R = (G W)_mm, T = (G W)_mo M⁻¹ and ε standard normal.

G comes from plane rotations: a missing column j is taken out of the rows below by turning each with row j,
downwards, which leaves them a triangle. Source: Golub, Van Loan 2013, section 6.5 (updating factorisations).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.null_space import HALF_LOG_2PI, NONE, kept_elements, square_width, width_of
from fusem.kernels.patterns import PATTERNS, missing_columns, observed_columns
from fusem.kernels.policy import helper, seldom
from fusem.kernels.simd import (
    LANES,
    add_scaled,
    filled,
    fma,
    lanes,
    load,
    load_wide,
    mul,
    store,
    sub,
    zeros,
)
from fusem.kernels.tile import aligned, fill_zeros

# Rows of a leaf with one pattern that are worth operators of their own: FILLED strips at least.
LEAST = 128
PER_COLUMN = 8  # … and so many for each column, as the way back takes d³ operations


class Marginals(NamedTuple):
    """What a thread knows of patterns that many rows share; flat arrays."""

    at: NDArray[np.int64]  # (2 · PATTERNS) where a pattern begins in `store` and `exact`, + 1
    store: NDArray[Any]  # operators, in the dtype of the rows
    exact: NDArray[np.float64]  # G of every matrix, its rows for observed columns first; constants
    state: NDArray[np.int64]  # (2) ends of what is kept
    work: NDArray[np.float64]  # (2 squares) W and G being made; B and B G
    columns: NDArray[np.int64]  # (d + 1) observed columns
    sums: NDArray[np.float64]  # a statistic of a pattern's rows


def marginals(n_matrices: int, n_components: int, d: int, size: int, dtype: DTypeLike) -> Marginals:
    """Memory of one thread, for statistics of `size` elements."""
    largest = 2 * n_matrices * d * width_of(d) + 8 * n_components * (d + 1)
    room = kept_elements(largest, 1 << d, np.float64) + LANES
    return Marginals(
        at=aligned(2 * PATTERNS, np.int64),
        store=aligned(room, dtype),
        exact=aligned(room, np.float64),
        state=aligned(2, np.int64),
        work=aligned(2 * (d + 3) * width_of(d), np.float64),
        columns=aligned(d + 1, np.int64),
        sums=aligned(size, np.float64),
    )


@helper
def rows_worth_operators(d):
    """Rows of a leaf from which a pattern has operators of its own."""
    return max(LEAST, PER_COLUMN * d)


@helper
def forget_marginals(marginals, known):
    """Make room: parameters have changed, or other patterns need it."""
    marginals.state[0] = marginals.state[1] = 0
    for i in range(2 * known):
        marginals.at[i] = NONE


@helper
def operators_of(m, matrix, n, pattern, more, more_exact, d):
    """Operators of a pattern, made where they are not known.

    Each store holds those of n matrices one kind after the other, and places for `more` elements of the
    family: M, −R⁻¹ T, R⁻¹; in `exact` G, log normalisations. Returns where they begin in the two stores, how
    many columns are missing, and whether the family's elements are still to be written. Columns are in
    bases.columns and marginals.columns.
    """
    kept, square = m.marginals, d * square_width(d)
    count = missing_columns(m.patterns, pattern, d, m.bases.columns)
    rest = observed_columns(m.patterns, pattern, d, kept.columns)
    if kept.at[2 * pattern] != NONE:
        return kept.at[2 * pattern] - 1, kept.at[2 * pattern + 1] - 1, count, False
    shares = n * rest * rest
    scales = shares + n * count * rest
    at, g0 = enter(
        m, pattern, after_operators(n, count, rest) + more, n * (square + 1) + more_exact
    )
    for own in range(n):
        log_det = make_operators(
            m, matrix, own * d * d, count, at + own * rest * rest, at + shares + own * count * rest,
            at + scales + own * count * count, m.kept, g0 + own * square, d,
        )  # fmt: skip
        kept.exact[g0 + n * square + own] = log_det - rest * HALF_LOG_2PI
    return at, g0, count, True


@helper
def after_operators(n, count, rest):
    """Elements of the operators of n matrices in the store."""
    return n * (rest * rest + count * rest + count * count)


@helper
def enter(m, pattern, size, exact_size):
    """Note where a pattern's operators will stand in both stores, after what is known; the places."""
    kept, state = m.marginals, m.marginals.state
    room = kept.store.size - LANES
    if state[0] + size > room or state[1] + exact_size > room:
        forget_marginals(kept, m.patterns.known[0])
    at, exact = state[0], state[1]
    kept.at[2 * pattern], kept.at[2 * pattern + 1] = at + 1, exact + 1
    state[0], state[1] = at + size, exact + exact_size
    return at, exact


@helper
def choose_columns(source, columns, count, d, target, to):
    """Some columns of one or more rows of d elements, to consecutive places."""
    for row in range(source.size // d):
        for s in range(count):
            target[to + row * count + s] = source[row * d + columns[s]]


@helper
def keep_columns(x, columns, count, d, width):
    """Move the observed columns of a tile together."""
    strip = 4 * lanes(x)
    for r in range(0, width, strip):
        for s in range(count):
            store(x, r * count + s * strip, load_wide(x, r * d + columns[s] * strip))


@seldom
def make_operators(
    m,
    matrix,  # IN  (d × d) W at m0
    m0,
    count,  # IN  missing columns, in bases.columns; the observed ones are in marginals.columns
    at,  # OUT M at this place of the store
    shares,  # OUT −R⁻¹ T, a row for each missing column, there
    scales,  # OUT R⁻¹, lower triangle, there
    fill,  # IN  None where `shares` and `scales` are not wanted
    g0,  # OUT G at this place of `exact`
    d,
):
    """The operators of one matrix; log det M."""
    v, width, rest = m.marginals.work, square_width(d), d - count
    missing, observed = m.bases.columns, m.marginals.columns
    rotate(v, matrix, m0, missing, count, d, width)
    log_det, kept, exact = 0.0, m.marginals.store, m.marginals.exact
    for a in range(rest):
        row = observed[a] * width
        for b in range(rest):
            kept[at + a * rest + b] = v[row + observed[b]]
        log_det += math.log(v[row + observed[a]])
    for a in range(d):
        row = (d + (observed[a] if a < rest else missing[a - rest])) * width
        for i in range(0, width, LANES):
            store(exact, g0 + a * width + i, load(v, row + i))
    if fill is not None:
        solve(v, kept, missing, observed, count, rest, shares, scales, width)
    return log_det


@helper
def rotate(v, matrix, m0, missing, count, d, width):
    """G W and G, a square each, into scratch."""
    fill_zeros(v, 0, 2 * d * width)
    for i in range(d):
        for j in range(i + 1):
            v[i * width + j] = matrix[m0 + i * d + j]
        v[(d + i) * width + i] = 1.0
    for s in range(count - 1, -1, -1):
        j, after = missing[s], s + 1
        for i in range(j + 1, d):
            if after < count and missing[after] == i:
                after += 1
                continue
            a, b = v[j * width + j], v[i * width + j]
            if b != 0.0:
                length = math.hypot(a, b)
                turn(v, j * width, i * width, a / length, b / length, width)
                turn(v, (d + j) * width, (d + i) * width, a / length, b / length, width)
                v[i * width + j] = 0.0


@helper
def turn(v, one, other, cosine, sine, width):
    """Turn two rows by an angle."""
    for i in range(0, width, LANES):
        a, b = load(v, one + i), load(v, other + i)
        c, s = filled(cosine, a), filled(sine, a)
        store(v, one + i, fma(c, a, mul(s, b)))
        store(v, other + i, sub(mul(c, b), mul(s, a)))


@helper
def solve(v, kept, missing, observed, count, rest, shares, scales, width):
    """−R⁻¹ (G W)_mo M⁻¹ and R⁻¹ into the store; in scratch they take the place of (G W)_mo and above R."""
    for s in range(count):
        row = missing[s] * width
        for c in range(rest - 1, -1, -1):
            value = v[row + observed[c]]
            for b in range(c + 1, rest):
                value -= v[row + observed[b]] * v[observed[b] * width + observed[c]]
            v[row + observed[c]] = value / v[observed[c] * width + observed[c]]
        for c in range(rest):
            value = v[row + observed[c]]
            for t in range(s):
                value += v[row + missing[t]] * v[missing[t] * width + observed[c]]
            v[row + observed[c]] = -value / v[row + missing[s]]
            kept[shares + s * rest + c] = v[row + observed[c]]
        kept[scales + s * count + s] = 1.0 / v[row + missing[s]]
        for t in range(s):
            value = v[row + missing[t]] / v[missing[t] * width + missing[t]]
            for u in range(t + 1, s):
                value += v[row + missing[u]] * v[missing[t] * width + missing[u]]
            v[missing[t] * width + missing[s]] = -value / v[row + missing[s]]
            kept[scales + s * count + t] = v[missing[t] * width + missing[s]]


@helper
def padded_rows(d):
    """Rows of a square that blocks of four fill."""
    return (d + 3) // 4 * 4


@helper
def put_triangle(v, sums, at, rest, d):
    """A lower triangle as the first rows and columns of the square in scratch, zeros beside it."""
    width = square_width(d)
    fill_zeros(v, 0, padded_rows(d) * width)
    for a in range(rest):
        for b in range(a + 1):
            v[a * width + b] = v[b * width + a] = sums[at + b]
        at += a + 1


@helper
def lead_back_row(m, g0, sums, at, rest, stats, to, d):
    """Add Gᵀ m."""
    exact, row, width = m.marginals.exact, m.marginals.work, square_width(d)
    for i in range(0, width, LANES):
        t = zeros(exact)
        for a in range(rest):
            t = add_scaled(sums, at + a, load(exact, g0 + a * width + i), t)
        store(row, i, t)
    for i in range(d):
        stats[to + i] += row[i]


@seldom
def lead_back_square(m, g0, own, d):
    """Add Gᵀ B G, B being the square in scratch, to that of a matrix, of which the lower half counts."""
    g, v, to, width = m.marginals.exact, m.marginals.work, m.bases.spread, square_width(d)
    product, first = padded_rows(d) * width, own * d * width
    for i in range(0, width, LANES):
        for a in range(0, d, 4):
            t0 = t1 = t2 = t3 = zeros(v)
            p, at = a * width, product + a * width + i
            for b in range(d):
                row = load(g, g0 + b * width + i)
                t0, t1 = add_scaled(v, p + b, row, t0), add_scaled(v, p + width + b, row, t1)
                t2 = add_scaled(v, p + 2 * width + b, row, t2)
                t3 = add_scaled(v, p + 3 * width + b, row, t3)
            store(v, at, t0), store(v, at + width, t1)
            store(v, at + 2 * width, t2), store(v, at + 3 * width, t3)
        for row in range(i - i % 4, d, 4):
            at = first + row * width + i
            t0, t1 = load(to, at), load(to, at + width)
            t2, t3 = load(to, at + 2 * width), load(to, at + 3 * width)
            for a in range(d):
                part, p = load(v, product + a * width + i), g0 + a * width + row
                t0, t1 = add_scaled(g, p, part, t0), add_scaled(g, p + 1, part, t1)
                t2, t3 = add_scaled(g, p + 2, part, t2), add_scaled(g, p + 3, part, t3)
            store(to, at, t0), store(to, at + width, t1)
            store(to, at + 2 * width, t2), store(to, at + 3 * width, t3)


@helper
def add_noise(m, kept, scales, s, r, d, value):
    """Row s of R⁻¹ ε."""
    for t in range(s + 1):
        part = load_wide(m.noise, r * d + m.bases.columns[t] * 4 * lanes(kept))
        value = add_scaled(kept, scales + t, part, value)
    return value
