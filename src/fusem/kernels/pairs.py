"""Pairs of a row and a component that is near it: lists of them, sorted by component, and their posterior.

A leaf's pairs stand in flat lists: first one for every row, with the component it was guessed to belong to,
from place `spare`, the leaf's rows, on those with other components that may have a share of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.elements import element, put
from fusem.kernels.exp_log import exp, log
from fusem.kernels.lane_sums import total
from fusem.kernels.policy import helper
from fusem.kernels.posterior import NEGLIGIBLE
from fusem.kernels.simd import (
    add,
    convert,
    div,
    double,
    filled,
    fma,
    lanes,
    load,
    load_as,
    store,
    zero_below,
    zeros,
)
from fusem.kernels.tile import aligned

# Rows of a leaf: enough of every component to fill vectors, and for the sums at the end of a tile to be
# worth it. A long one takes 0.72 to 0.76 times as long with float32 and full covariances (d = 32, K = 64),
# 0.81 to 0.89 with float64; threads share leaves.
LEAF, LONG_LEAF = 4096, 16384
# Room for pairs per row beside its guess: a quarter of the components, within these.
FEWEST, MOST = 2, 8
DONE = -1  # in place of the component of a pair whose sums are taken
WIDTH = 64  # rows of one component are padded to no more than so many


class Pairs(NamedTuple):
    """Lists of one thread for one leaf; flat arrays, reused for every leaf."""

    row: NDArray[np.int32]  # (room) row within the leaf
    component: NDArray[np.int32]  # (room)
    logp: NDArray[Any]  # (room) log weight + log density, dtype of the rows
    share: NDArray[Any]  # (room) weight · responsibility
    sorted_pair: NDArray[np.int32]  # (room + K · WIDTH) places in the lists, by component
    sorted_row: NDArray[np.int32]  # the rows of those, padded by a row of the same component
    begin: NDArray[np.int64]  # (K + 1) where a component's begin in the sorted lists
    counts: NDArray[np.int64]  # (K) how many it has
    top: NDArray[Any]  # (spare) number of the guess, then largest logp of each row
    mass: NDArray[Any]  # (spare) sum of its shares
    w: NDArray[np.float64]  # (spare) weights of the rows, 0 past the end
    sums: NDArray[np.float64]  # (K · sums of one component) of the leaf, component by component
    tree: NDArray[
        np.float64
    ]  # (levels − 1 · statistic) of leaves, not yet merged; the first is `out`


def neighbours_per_row(n_components: int) -> int:
    """Pairs for which there is room, per row, beside that with its guess."""
    return min(MOST, max(FEWEST, n_components // 4))


def pairs(
    leaf: int, n_components: int, each: int, whole: int, levels: int, dtype: DTypeLike
) -> Pairs:
    """Lists of one thread for K components with `each` so many sums, in a statistic of size `whole`."""
    room = leaf * (1 + neighbours_per_row(n_components))
    entries = room + n_components * WIDTH
    return Pairs(
        row=aligned(room, np.int32),
        component=aligned(room, np.int32),
        logp=aligned(room, dtype),
        share=aligned(room, dtype),
        sorted_pair=aligned(entries, np.int32),
        sorted_row=aligned(entries, np.int32),
        begin=aligned(n_components + 1, np.int64),
        counts=aligned(n_components, np.int64),
        top=aligned(leaf, dtype),
        mass=aligned(leaf, dtype),
        w=aligned(leaf, np.float64),
        sums=aligned(n_components * each, np.float64),
        tree=aligned((levels - 1) * whole, np.float64),
    )


@helper
def sort_pairs(lists, rows, spare, end, n_components):
    """Sort pairs by component: the first `rows` of the lists, then those from `spare` to `end`."""
    counts, begin = lists.counts, lists.begin
    for k in range(n_components):
        counts[k] = 0
    for p in range(rows):
        if waits(lists, p):
            k = element(lists.component, p)
            put(counts, k, element(counts, k) + 1)
    for p in range(spare, end):
        if waits(lists, p):
            k = element(lists.component, p)
            put(counts, k, element(counts, k) + 1)
    place = 0
    for k in range(n_components):
        begin[k] = place
        place += whole_strips(counts[k], lists.logp)
        counts[k] = 0
    for p in range(rows):
        place_pair(lists, p)
    for p in range(spare, end):
        place_pair(lists, p)
    for k in range(n_components):
        last = begin[k] + counts[k]
        for place in range(last, begin[k] + whole_strips(counts[k], lists.logp)):
            lists.sorted_row[place] = lists.sorted_row[last - 1]


@helper
def whole_strips(count, rows):
    """So many rows of a component, padded to strips."""
    strip = 4 * lanes(rows)
    return (count + strip - 1) // strip * strip


@helper
def waits(lists, p):
    """Whether a pair has a share that is not summed yet."""
    return element(lists.share, p) != 0.0 and element(lists.component, p) != DONE


@helper
def place_pair(lists, p):
    """Put one pair behind the others of its component."""
    if waits(lists, p):
        k = element(lists.component, p)
        count = element(lists.counts, k)
        place = element(lists.begin, k) + count
        put(lists.sorted_pair, place, p)
        put(lists.sorted_row, place, element(lists.row, p))
        put(lists.counts, k, count + 1)


@helper
def pair_posterior(lists, rows, spare, end):
    """Shares of all pairs of a leaf from their log-densities; returns Σ w · log Σ_k exp(logp)."""
    logp, share, top, mass, w = lists.logp, lists.share, lists.top, lists.mass, lists.w
    v = lanes(logp)
    padded = (rows + v - 1) // v * v
    for r in range(rows, padded):
        logp[r], w[r] = 0.0, 0.0
    for r in range(padded):
        top[r] = logp[r]
    for p in range(spare, end):
        row = element(lists.row, p)
        if element(logp, p) > element(top, row):
            put(top, row, element(logp, p))
    for r in range(padded):
        share[r] = logp[r] - top[r]
    for p in range(spare, end):
        put(share, p, element(logp, p) - element(top, element(lists.row, p)))
    bound = filled(NEGLIGIBLE, load(logp, 0))
    for r in range(0, padded, v):
        below = load(share, r)
        part = zero_below(exp(below), below, bound)
        store(share, r, part)
        store(mass, r, part)
    for p in range(spare, end, v):  # lists are padded
        below = load(share, p)
        store(share, p, zero_below(exp(below), below, bound))
    for p in range(spare, end):
        row = element(lists.row, p)
        put(mass, row, element(mass, row) + element(share, p))
    loglik = double(zeros(logp))
    for r in range(0, padded, v):
        m = load(mass, r)
        weight = load_as(w, r, loglik)
        loglik = fma(weight, add(double(load(top, r)), log(double(m))), loglik)
        store(mass, r, div(convert(weight, m), m))
    for r in range(rows):
        share[r] *= mass[r]
    for p in range(spare, end):
        put(share, p, element(share, p) * element(mass, element(lists.row, p)))
    return total(loglik)
