"""Template of the mixture sweep for many components that lie apart: what cannot have a share is left out.

Of every row one component is guessed and its density computed. How far the row is from that component bounds
how near it can be to any other (`Neighbourhood`); of those that may reach a share of 1e-20 the densities are
computed too, rows gathered component by component. All other shares are 0 in the dense sweep too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.axes import weight_total
from fusem.kernels.discriminant import Discriminant, guess
from fusem.kernels.elements import element, put
from fusem.kernels.mixture_sweep import HEADER, accumulate, log_density
from fusem.kernels.mixture_sweep import sweep as dense
from fusem.kernels.pairs import (
    DONE,
    Pairs,
    pair_posterior,
    sort_pairs,
    whole_strips,
)
from fusem.kernels.policy import helper
from fusem.kernels.tile import (
    PADDING,
    Workspace,
    close_leaf,
    fill_zeros,
    fold,
    gather_rows,
    load_rows,
    load_weights,
    move,
    node_at,
)

PROBE = 256  # rows of a leaf that are tried first
GUESSES, NEIGHBOURS, SHARES = range(3)  # what is computed of a leaf, one after the other


class Neighbourhood(NamedTuple):
    """Which other components may have a share of a row of component j that is so far from its mean."""

    most: float  # neighbours per row, beyond which the dense sweep is faster
    guess: Discriminant
    # (K · listed) squared distances from mean j, ascending, beyond which ...
    reach: NDArray[np.float64]
    neighbour: NDArray[np.int32]  # ... this component may have a share; -1: all may


class PrunedSpace(NamedTuple):
    """Memory of one thread."""

    space: Workspace
    lists: Pairs


def only(operands, k, d):
    """The family's operands of component k alone; bound by each family."""


def take_pairs(
    address,  # IN  of the leaf's first row
    row_stride,
    column_stride,
    d,
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    near,  # IN  Neighbourhood
    stage,  # IN  GUESSES, NEIGHBOURS or SHARES
    whole,  # IN  whether these are all rows of the leaf
    space,  # SCRATCH
    lists,  # INOUT Pairs
    end,  # IN  of the pairs beside the guesses
):
    """Template: densities of pairs, and their sums where shares are known; the new end, -1 for too many.

    A row without neighbours belongs to its guess alone; its sums are taken at once.
    """
    x, w, logp, resp = space.x, space.w, space.logp, space.resp
    n_components, tile = log_weights.size, w.size
    stride, own = tile + PADDING, lists.sums.size // n_components
    for k in range(n_components):
        one, log_weight = only(operands, k, d), log_weights[k : k + 1]
        constant = log_weights[k] + operands.constant[k]
        for i in range(0, lists.counts[k], tile):
            m, begin = min(tile, lists.counts[k] - i), lists.begin[k] + i
            width = whole_strips(m, x)
            gather_rows(address, row_stride, column_stride, lists.sorted_row, begin, x, d, width)
            log_density(x, one, log_weight, logp, space.scratch, d, width, stride)
            for r in range(m):
                p = element(lists.sorted_pair, begin + r)
                if stage == SHARES:
                    put(resp, r, element(lists.share, p))
                    continue
                put(lists.logp, p, element(logp, r))
                if stage == GUESSES:
                    before, square = end, 2.0 * (constant - element(logp, r))
                    end = add_neighbours(lists, p, square, near, k, n_components, end)
                    put(resp, r, 0.0)
                    if whole and end == before:
                        put(resp, r, element(lists.w, element(lists.row, p)))
                        put(lists.component, p, DONE)
            if end < 0:
                return end
            if whole and stage != NEIGHBOURS:
                for r in range(m, width):
                    resp[r] = 0.0
                accumulate(
                    x, w, resp, logp, one, space.scratch, lists.sums, k * own, d, 1, width, stride
                )
    return end


@helper
def pair_rows(
    address,
    row_stride,
    column_stride,
    near,  # IN  Neighbourhood
    x,  # SCRATCH (d columns)
    lists,  # OUT a pair for every row
    n,
    d,
    tile,
):
    """Pair the first `n` rows of a leaf with the components they may belong to."""
    row_bytes = row_stride if row_stride == d * column_stride else 0
    for first in range(0, n, tile):
        m, ahead = min(tile, n - first), address + (first + tile) * row_stride
        load_rows(address, row_stride, column_stride, x, first, m, x, d, tile)
        guess(x, near.guess, lists.top, first, d, tile, ahead, row_bytes)
    for r in range(n):
        lists.row[r], lists.component[r], lists.share[r] = r, int(lists.top[r]), 1.0


@helper
def add_neighbours(lists, p, square, near, k, n_components, end):
    """Pair a row with the components that may have a share beside k; the new end, -1 for too many."""
    listed = near.reach.size // n_components
    first, last = k * listed, (k + 1) * listed
    found = first
    while found < last and square > element(near.reach, found):
        found += 1
    count = found - first
    everyone = count > 0 and near.neighbour[found - 1] < 0
    if everyone:
        count = n_components - 1
    if end < 0 or end + count > lists.row.size:
        return -1
    for n in range(count):
        other = n + (n >= k) if everyone else near.neighbour[first + n]
        lists.row[end], lists.component[end], lists.share[end] = lists.row[p], other, 1.0
        end += 1
    return end


@helper
def take_sums(lists, stats, start, d, n_components):
    """Move a leaf's sums into its statistic: there each sum stands for all components in turn."""
    size = lists.sums.size // n_components
    rest, second = size - 1 - d, start + n_components * (1 + d)
    for k in range(n_components):
        own = k * size
        move(lists.sums, own, stats, start + k, 1)
        move(lists.sums, own + 1, stats, start + n_components + k * d, d)
        move(lists.sums, own + 1 + d, stats, second + k * rest, rest)


def sweep(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    weights,  # IN  (rows) or empty
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    near,  # IN  Neighbourhood
    spaces,  # SCRATCH PrunedSpace of this thread
    out,  # OUT the segment's statistic
):
    """Add up a segment as `mixture_sweep.sweep` does; a leaf with too many pairs goes the dense way.

    Some rows of a leaf are tried first.
    """
    space, lists = spaces.space, spaces.lists
    tree, n_components, tile = lists.tree, log_weights.size, space.w.size
    spare, size, nodes = lists.w.size, out.size, 0
    for leaf in range((rows + spare - 1) // spare):
        first = leaf * spare
        stats, start = node_at(tree, out, nodes, size)
        count, place = min(spare, rows - first), address + first * row_stride
        weighted = load_weights(weights, first, count, lists.w, spare)
        n, end, loglik = min(PROBE, count), 0, 0.0
        while end >= 0:
            whole, end = n == count, spare
            pair_rows(place, row_stride, column_stride, near, space.x, lists, n, d, tile)
            for stage in range(3 if whole else 1):
                if end >= 0:
                    if stage == SHARES:
                        loglik = pair_posterior(lists, count, spare, end)
                    guesses = n if stage != NEIGHBOURS else 0
                    last = end if stage != GUESSES else spare
                    sort_pairs(lists, guesses, spare, last, n_components)
                    end = take_pairs(
                        place, row_stride, column_stride, d, log_weights, operands, near,
                        stage, whole, space, lists, end,
                    )  # fmt: skip
            if whole:
                break
            if end - spare > near.most * n:
                end = -1
            n = count
        if end >= 0:
            stats[start] = loglik
            stats[start + 1] = weight_total(lists.w, 0, spare) if weighted else count
            stats[start + 2] = count
            take_sums(lists, stats, start + HEADER, d, n_components)
        else:
            fill_zeros(lists.sums, 0, lists.sums.size)
            dense(
                place, row_stride, column_stride, count, d, weights[first : first + count],
                log_weights, operands, operands, space, stats[start : start + size],
            )  # fmt: skip
        nodes = close_leaf(tree, out, leaf, nodes, size)
    fold(tree, out, nodes, size)
