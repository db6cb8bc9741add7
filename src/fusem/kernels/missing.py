"""Tiles of rows with missing values: the memory they need, and where their groups lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.axes import weight_total
from fusem.kernels.marginal import Marginals, marginals
from fusem.kernels.null_space import Bases, bases
from fusem.kernels.patterns import Patterns, missing_columns, patterns
from fusem.kernels.policy import helper
from fusem.kernels.tile import Workspace, aligned


class MissingSpace(NamedTuple):
    """Memory of one thread for rows with missing values, beside that for complete ones."""

    space: Workspace
    patterns: Patterns
    bases: Bases
    marginals: Marginals
    y: NDArray[Any]  # (the family's columns) of every component, or what they have in common
    # where missing values are filled in, else None
    kept: (
        NDArray[Any] | None
    )  # (K · d columns) what `remove` took of y, a column for each missing value
    noise: NDArray[Any] | None  # (d columns) standard normal values to draw them with, or 0
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
    return MissingSpace(
        space=space,
        patterns=patterns(d, tile),
        bases=bases(n_bases, n_components, d, tile, dtype),
        marginals=marginals(n_bases, n_components, d, size, dtype),
        y=aligned(columns * tile, dtype),
        kept=aligned(n_components * d * tile, dtype) if fill else None,
        noise=aligned(d * tile, dtype) if fill else None,
        local=aligned(size, np.float64),
        tile=aligned(3, np.int64),
    )


@helper
def group_of(m, g, d, tile):
    """A group of the tile: number of its pattern, first row and the one past the last, columns it misses."""
    p, place = m.patterns, m.tile[2]
    number = p.group[g]
    first, last = max(p.begin[g] - place, 0), min(p.end[g] - place, tile)
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
            stats[start] -= mass * rounding_of(m, log_weights[k] + begun[k])


@helper
def more_rounded(m, begun, others, log_weights):
    """What the log-likelihood of a pattern's rows lacks as their constants, not `others`, were rounded.

    What rounding `others` did to all rows will be added in the end.
    """
    lost, counts = 0.0, m.marginals.sums
    for k in range(log_weights.size):
        if counts[k] > 0.0:  # weights of 0 have no finite logarithm
            one = rounding_of(m, log_weights[k] + begun[k])
            lost += counts[k] * (one - rounding_of(m, log_weights[k] + others[k]))
    return lost


@helper
def rounding_of(m, number):
    """What a number loses in the dtype of the rows."""
    rounded = m.bases.coefficients
    rounded[0] = number
    return number - rounded[0]


@helper
def add_to(values, first, last, addend):
    """Add a number to consecutive elements."""
    for i in range(first, last):
        values[i] += addend
