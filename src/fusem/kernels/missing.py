"""Tiles of rows with missing values: the memory they need, where their groups lie, what fills the holes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.axes import weight_total
from fusem.kernels.elements import element, put
from fusem.kernels.null_space import Bases, bases
from fusem.kernels.patterns import Patterns, missing_columns, patterns
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes
from fusem.kernels.tile import Workspace, aligned, place

ALL = -1  # in place of the component that takes a row: each takes its share


class MissingSpace(NamedTuple):
    """Memory of one thread for rows with missing values, beside that for complete ones."""

    space: Workspace
    patterns: Patterns
    bases: Bases
    y: NDArray[Any]  # (the family's columns) of every component, or what they have in common
    moves: NDArray[Any]  # (K · d columns) conditional means less what was filled in, or empty
    noise: NDArray[Any]  # (d columns) or empty
    local: NDArray[np.float64]  # a statistic of one tile
    tile: NDArray[
        np.int64
    ]  # (3) first and last group of the tile, place of its first row in the order


def missing_space(
    space: Workspace,
    d: int,
    n_components: int,
    n_bases: int,
    columns: int,
    size: int,
    dtype: DTypeLike,
    fill: bool,
) -> MissingSpace:
    """Memory of one thread.

    Parameters
    ----------
    n_bases : int
        Covariances there are.
    columns : int
        Columns of y per tile.
    size : int
        Elements of a statistic.
    fill : bool
        Whether missing values are to be filled.
    """
    tile = len(space.w)
    moves, noise = (n_components * d * tile, d * tile) if fill else (0, 0)
    return MissingSpace(
        space=space,
        patterns=patterns(d, tile),
        bases=bases(n_bases, n_components, d, tile, dtype),
        y=aligned(columns * tile, dtype),
        moves=aligned(moves, dtype)[:moves],
        noise=aligned(noise, dtype)[:noise],
        local=aligned(size, np.float64),
        tile=aligned(3, np.int64),
    )


@helper
def group_of(m, g, d, tile):
    """A group of the tile: number of its pattern, first row and the one past the last, columns it misses."""
    p, place = m.patterns, m.tile[2]
    number = p.group[g]
    first, last = max(p.begin[g] - place, 0), min(p.begin[g + 1] - place, tile)
    return number, first, last, missing_columns(p, number, d, m.bases.columns)


@helper
def add_missing_weights(m, w, stats, start, d, tile):
    """Add the weight of the rows that miss column j, at [start + j]."""
    for g in range(m.tile[0], m.tile[1]):
        _, first, last, count = group_of(m, g, d, tile)
        weight = 0.0
        for r in range(first, last):
            weight += w[r]
        for s in range(count):
            stats[start + m.bases.columns[s]] += weight


@helper
def unrounded(m, begun, log_weights, resp, stats, start, tile, stride):
    """Take back what will be added for the rounding of the constants that complete rows begin with.

    Rows with missing values begin with others, added in float64.
    """
    for k in range(log_weights.size):
        mass = weight_total(resp, k * stride, tile)
        if mass > 0.0:
            exact = log_weights[k] + begun[k]
            rounded = m.bases.coefficients
            rounded[0] = exact
            stats[start] -= mass * (exact - rounded[0])


@helper
def add_to(values, first, last, addend):
    """Add a number to consecutive elements."""
    for i in range(first, last):
        values[i] += addend


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
def fill_row(
    x,  # IN  (d columns) tile
    m,  # IN  what components make of its missing values, less their means
    resp,  # IN  (K × stride)
    chosen,  # IN  the component that takes the row, or ALL
    means,  # IN  (K · d)
    values,  # OUT (d) from `first` on
    first,
    r,
    d,
    tile,
    stride,
):
    """Fill in the missing values of one row."""
    n_components, at, strip = means.size // d, place(x, r, d), 4 * lanes(x)
    for j in range(d):
        i, value = at + j * strip, 0.0
        known = element(x, i)
        if known == known:
            continue
        if chosen != ALL:
            value = element(means, chosen * d + j) + element(m.moves, chosen * d * tile + i)
        else:
            for k in range(n_components):
                moved = element(means, k * d + j) + element(m.moves, k * d * tile + i)
                share = float(element(resp, k * stride + r))
                value += share * moved if share > 0.0 else 0.0  # what has no share may be no number
        put(values, first + j, value)
