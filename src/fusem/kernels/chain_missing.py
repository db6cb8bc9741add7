"""Blocks of time steps whose rows miss values of dependent columns: sorted by pattern, and put back in time.

What `forward_backward` does with a block tile by tile is done here with tiles of equal patterns, as in
`missing_sweep`: complete rows by the family's ordinary tile kernels, the others by a second pair. A row
without any value says nothing of its state; it takes part in the recursion alone.
"""

from __future__ import annotations

import math

from fusem.kernels.chain_linear import factors
from fusem.kernels.forward_backward import posterior_of
from fusem.kernels.missing_sweep import begin_leaf, find_groups, run_of
from fusem.kernels.patterns import LEAF, place_of_empty
from fusem.kernels.policy import helper
from fusem.kernels.tile import PADDING, gather_rows
from fusem.kernels.transpose import GROUP


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel for complete rows."""


def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """The family's tile kernel for complete rows."""


def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    """The family's tile kernel for rows with missing values."""


def accumulate_missing(x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride):
    """The family's tile kernel for rows with missing values."""


@helper
def stage_after(rows):
    """The row after a block's own, with room for a tile on the way between the two orders."""
    return (rows + GROUP - 1) // GROUP * GROUP


@helper
def put_factors(m, row, order, at, count, stage, n_states, stride, width, call_row):
    """Write factors of chosen rows, the block's row `row` being the first that `order` counts from."""
    if m.known.size > 0:
        for r in range(count):
            state = m.known[call_row + order[at + r]]
            for k in range(n_states if state >= 0 else 0):
                if k != state:
                    m.tile.logp[k * stride + r] = -math.inf
    factors(m, stage, (count + GROUP - 1) // GROUP * GROUP, n_states, stride, width)
    for r in range(count):
        target = row + order[at + r]
        m.top[target] = m.top[stage + r]
        for j in range(width):
            m.factor[target * width + j] = m.factor[(stage + r) * width + j]


@helper
def tile_density(
    address, row_stride, column_stride, order, at, complete, groups, d, log_weights, operands, m
):
    """Log-densities of a tile of sorted rows."""
    x, logp, tile = m.tile.x, m.tile.logp, m.tile.w.size
    stride = tile + PADDING
    gather_rows(address, row_stride, column_stride, order, at, x, d, tile)
    if complete:
        log_density(x, operands, log_weights, logp, m.tile.scratch, d, tile, stride)
    else:
        find_groups(m.missing, at, groups, tile)
        log_density_missing(x, m.missing, operands, log_weights, logp, d, tile, stride)


@helper
def sorted_leaf(address, row_stride, column_stride, row, rows, d, m):
    """Sort the leaf of a block's rows that begins at `row`, patterns of many rows and of few alike."""
    count = min(LEAF, rows - row)
    return begin_leaf(
        m.missing, address, row_stride, column_stride, row, count, LEAF + 1, m.tile.x, d, m.number,
        m.tile.w.size,
    )  # fmt: skip


@helper
def block_factors(
    address, row_stride, column_stride, begin, rows, d, log_weights, operands, m, width
):
    """Factors of a block's rows."""
    logp, tile, n_states = m.tile.logp, m.tile.w.size, log_weights.size
    stride, order, stage = tile + PADDING, m.missing.patterns.order, stage_after(rows)
    block = address + begin * row_stride
    for row in range(0, rows, LEAF):
        start, complete, _, groups, empty = sorted_leaf(
            block, row_stride, column_stride, row, rows, d, m
        )
        for run in range(2):
            at, end, _ = run_of(m.missing, run, complete, 0, groups)
            while at < end:
                tile_density(
                    start, row_stride, column_stride, order, at, run == 0, groups, d, log_weights,
                    operands, m,
                )  # fmt: skip
                n = min(tile, end - at)
                put_factors(m, row, order, at, n, stage, n_states, stride, width, begin + row)
                at += tile
        begin_empty = place_of_empty(tile)
        for at in range(begin_empty, begin_empty + empty, tile):
            for i in range(n_states * stride):
                logp[i] = 0.0
            n = min(tile, begin_empty + empty - at)
            put_factors(m, row, order, at, n, stage, n_states, stride, width, begin + row)


@helper
def add_emissions(
    address, row_stride, column_stride, begin, rows, d, log_weights, operands, m, width,
    stats, start, sums,
):  # fmt: skip
    """Add what a block says of the emissions: the weight of its rows, and the family's sums."""
    x, w, logp, resp = m.tile.x, m.tile.w, m.tile.logp, m.tile.resp
    tile, n_states = w.size, log_weights.size
    stride, order, stage = tile + PADDING, m.missing.patterns.order, stage_after(rows)
    block = address + begin * row_stride
    for t in range(rows):
        stats[start + 1] += m.weight[t]
    for row in range(0, rows, LEAF):
        at_leaf, complete, _, groups, _ = sorted_leaf(
            block, row_stride, column_stride, row, rows, d, m
        )
        for run in range(2):
            at, end, _ = run_of(m.missing, run, complete, 0, groups)
            while at < end:
                n = min(tile, end - at)
                tile_density(
                    at_leaf, row_stride, column_stride, order, at, run == 0, groups, d, log_weights,
                    operands, m,
                )  # fmt: skip
                for r in range(n):
                    source = row + order[at + r]
                    m.weight[stage + r] = m.weight[source]
                    for j in range(width):
                        m.gamma[(stage + r + 1) * width + j] = m.gamma[(source + 1) * width + j]
                posterior_of(m, stage, n, n_states, tile, stride, width)
                if run == 0:
                    accumulate(
                        x, w, resp, logp, operands, m.tile.scratch, stats, sums, d, n_states, tile,
                        stride,
                    )  # fmt: skip
                else:
                    accumulate_missing(
                        x, m.missing, w, resp, logp, operands, stats, sums, d, n_states, tile,
                        stride,
                    )  # fmt: skip
                at += tile
