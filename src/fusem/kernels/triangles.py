"""Triangular matrices in compiled code: Cholesky factors, solutions, products; d³ / 6 multiply–adds each.

A square stands in rows of `width` elements inside a flat scratch array. Its order is a multiple of four: past
the caller's d it goes on as the identity. All work is on blocks of four rows by four vectors of columns, with
one inner loop: rows less multiples of other rows. What a block holds beyond the triangle is not looked at.
"""

from __future__ import annotations

import math

from fusem.kernels.policy import helper
from fusem.kernels.simd import LANES, less_scaled, load_wide, scaled, store

ROWS, COLUMNS = 4, 4 * LANES  # of a block
PADDING = LANES  # elements between rows, so that a column does not fall on few cache sets


def order_of(d: int) -> int:
    """Rows of a square that holds a matrix of order d."""
    return -(-d // ROWS) * ROWS


def width_of(d: int) -> int:
    """Elements between its rows."""
    return -(-d // COLUMNS) * COLUMNS + PADDING


@helper
def four_rows(m, at, width):
    """Four rows of a block."""
    return (
        load_wide(m, at),
        load_wide(m, at + width),
        load_wide(m, at + 2 * width),
        load_wide(m, at + 3 * width),
    )


@helper
def store_rows(m, at, width, a, b, c, e):
    """Put four rows of a block back."""
    store(m, at, a), store(m, at + width, b)
    store(m, at + 2 * width, c), store(m, at + 3 * width, e)


@helper
def less_products(m, factors, down, along, rows, begin, end, width, a, b, c, e):
    """Four rows less Σ_q factor_q · row q; the factors of the i-th at [factors + i · down + q · along]."""
    for q in range(begin, end):
        v, f = load_wide(m, rows + q * width), factors + q * along
        a, b = less_scaled(m, f, v, a), less_scaled(m, f + down, v, b)
        f += 2 * down
        c, e = less_scaled(m, f, v, c), less_scaled(m, f + down, v, e)
    return a, b, c, e


@helper
def solved(m, block, down, along, a, b, c, e):
    """T⁻¹ applied to four rows, T a lower triangle of order four at `block`."""
    r1, r2, r3 = block + down, block + 2 * down, block + 3 * down
    a = scaled(1.0 / m[block], a)
    b = scaled(1.0 / m[r1 + along], less_scaled(m, r1, a, b))
    c = less_scaled(m, r2 + along, b, less_scaled(m, r2, a, c))
    c = scaled(1.0 / m[r2 + 2 * along], c)
    e = less_scaled(m, r3 + along, b, less_scaled(m, r3, a, e))
    e = scaled(1.0 / m[r3 + 3 * along], less_scaled(m, r3 + 2 * along, c, e))
    return a, b, c, e


@helper
def solve(m, t, down, along, b, order, width):
    """B ← T⁻¹ B, both lower triangles; T_ij at [t + i · down + j · along]."""
    for i in range(0, order, ROWS):
        for j in range(0, i + ROWS, COLUMNS):
            at = b + i * width + j
            block = less_products(
                m, t + i * down, down, along, b + j, min(i, j), i, width, *four_rows(m, at, width)
            )
            store_rows(m, at, width, *solved(m, t + i * (down + along), down, along, *block))


@helper
def factorise(m, a, diagonal, floor, order, width):
    """A ← U with A = Uᵀ U, in the upper triangle; False where A is not positive definite.

    A pivot below `floor` times the element of A's diagonal, kept at `diagonal`, is rounding error.
    """
    for i in range(0, order, ROWS):
        corner = a + i * (width + 1)
        for j in range(i // COLUMNS * COLUMNS, order, COLUMNS):
            at = a + i * width + j
            block = less_products(m, a + i, 1, width, a + j, 0, i, width, *four_rows(m, at, width))
            if j <= i:
                store_rows(m, at, width, *block)
                if not factorise_four(m, corner, diagonal + i, floor, width):
                    return False
            store_rows(m, at, width, *solved(m, corner, 1, width, *block))
    return True


@helper
def factorise_four(m, corner, diagonal, floor, width):
    """`factorise` a matrix of order four."""
    for i in range(ROWS):
        row = corner + i * width
        if not m[row + i] > floor * m[diagonal + i]:
            return False
        root = math.sqrt(m[row + i])
        m[row + i] = root
        for j in range(i + 1, ROWS):
            m[row + j] /= root
        for below in range(i + 1, ROWS):
            for j in range(below, ROWS):
                m[corner + below * width + j] -= m[row + below] * m[row + j]
    return True


@helper
def subtract_product(m, lower, upper, target, order, width):
    """The upper triangle of lower · upper from that of the target; symmetric where upper is its transpose."""
    for i in range(0, order, ROWS):
        for j in range(i // COLUMNS * COLUMNS, order, COLUMNS):
            at = target + i * width + j
            block = less_products(
                m, lower + i * width, width, 1, upper + j, 0, i + ROWS, width,
                *four_rows(m, at, width),
            )  # fmt: skip
            store_rows(m, at, width, *block)
