"""Templates of the mixture kernels: a family binds its `log_density` and `accumulate` to them.

`sweep` is the fused E-step: one pass over a segment of rows that yields its additive statistic.
`evaluate` is the same E-step for its own sake: evidence, labels and responsibilities of rows.

A statistic is one flat float64 array: log-likelihood, weight, rows, then the family's sums.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total
from fusem.kernels.elements import element, put
from fusem.kernels.policy import helper
from fusem.kernels.posterior import log_evidence, most_probable, posterior
from fusem.kernels.tile import LEAF, PADDING, clear, close_leaf, fold, load_rows, load_weights

# Bytes of the longest rows that are fetched a tile ahead: with longer ones arithmetic takes so much more time
# that it is not seen.
FETCHED = 256
HEADER = 3  # log-likelihood, weight, rows


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel: logp (K × stride) = log weight + log density; bound by each family."""


def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """The family's tile kernel: add its sums to stats from `start` on; logp is free by then."""


@helper
def stay(x, operands, log_weights, logp, scratch, d, tile, stride):
    """For `recentre`: the sums are about the means of the density, whose scratch still stands."""


@helper
def leave_out(x, w, stats, start, d, tile):
    """For missing values: take the weight of rows without any value; whether there are such rows."""
    return False


recentre = stay  # bound to `log_density`: sums about other means, whose scratch takes the place


def sweep(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    weights,  # IN  (rows) or empty
    log_weights,  # IN  (K)
    operands,  # IN  the family's, for the densities
    about,  # IN  the family's, for the sums: the same, or with means that are nearer to the rows
    space,  # SCRATCH of this thread
    out,  # OUT the segment's statistic
):
    """Add up a segment: leaves of LEAF rows, merged in a binary tree that depends on nothing else."""
    x, w, logp, resp, tree = space.x, space.w, space.logp, space.resp, space.tree
    size, n_components, tile = out.size, log_weights.size, w.size
    stride = tile + PADDING
    nodes, weighted, ones = 0, False, False
    row_bytes = row_stride if row_stride == d * column_stride <= FETCHED else 0
    for leaf in range((rows + LEAF - 1) // LEAF):
        stats, start = clear(tree, out, nodes, size)
        end = min((leaf + 1) * LEAF, rows)
        for first in range(leaf * LEAF, end, tile):
            count = min(tile, end - first)
            load_rows(address, row_stride, column_stride, x, first, count, x, d, tile)
            if weights.size > 0 or count < tile or not ones:
                weighted = load_weights(weights, first, count, w, tile)
                ones = not weighted and count == tile
            blank = leave_out(x, w, stats, start + size - d, d, tile)
            ones &= not blank
            log_density(x, operands, log_weights, logp, space.scratch, d, tile, stride)
            ahead = address + (first + tile) * row_stride
            others = weighted or blank
            stats[start] += posterior(
                logp, w, resp, n_components, tile, stride, 0 if others else count, ahead, row_bytes
            )
            stats[start + 1] += weight_total(w, 0, tile) if others else count
            stats[start + 2] += count
            recentre(x, about, log_weights, logp, space.scratch, d, tile, stride)
            accumulate(
                x,
                w,
                resp,
                logp,
                about,
                space.scratch,
                stats,
                start + HEADER,
                d,
                n_components,
                tile,
                stride,
            )
        nodes = close_leaf(tree, out, leaf, nodes, size)
    fold(tree, out, nodes, size)


def evaluate(
    address,
    row_stride,
    column_stride,
    rows,
    d,
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    space,  # SCRATCH
    evidence,  # OUT (rows) log density of the mixture, or empty
    labels,  # OUT (rows) most probable component, or empty
    proba,  # OUT (rows · K) responsibilities, or empty
):
    """Write what is asked for of every row; an empty array is not asked for."""
    x, w, logp, resp = space.x, space.w, space.logp, space.resp
    n_components, tile = log_weights.size, w.size
    stride = tile + PADDING
    for first in range(0, rows, tile):
        count = min(tile, rows - first)
        load_rows(address, row_stride, column_stride, x, first, count, x, d, tile)
        log_density(x, operands, log_weights, logp, space.scratch, d, tile, stride)
        if labels.size > 0:
            most_probable(logp, w, n_components, tile, stride)
            for r in range(count):
                put(labels, first + r, int(element(w, r)))
        if evidence.size > 0:
            log_evidence(logp, w, n_components, tile, stride)
            for r in range(count):
                put(evidence, first + r, element(w, r))
        if proba.size > 0:
            posterior(logp, w, resp, n_components, tile, stride, tile, 0, 0)
            for r in range(count):
                for k in range(n_components):
                    put(proba, (first + r) * n_components + k, element(resp, k * stride + r))
