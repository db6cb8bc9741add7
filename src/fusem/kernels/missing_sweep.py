"""Templates of the kernels for rows with missing values, NaN: exact EM on what was observed.

The rows of a leaf are sorted by pattern. Complete ones pass through the family's ordinary tile kernels, and
so do those of a pattern that many rows have, as complete rows of fewer columns (`marginal`). All others pass
through a second pair that knows the groups of equal patterns in a tile. Rows without any value say nothing:
they count as rows and have no weight.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total
from fusem.kernels.elements import element, put
from fusem.kernels.marginal import forget_marginals, keep_columns
from fusem.kernels.missing import add_missing_weights
from fusem.kernels.mixture_sweep import FETCHED, HEADER
from fusem.kernels.null_space import forget
from fusem.kernels.patterns import (
    EMPTY,
    LEAF,
    PATTERNS,
    count_patterns,
    forget_patterns,
    sort_rows,
)
from fusem.kernels.policy import helper, seldom
from fusem.kernels.posterior import log_evidence, most_probable, posterior
from fusem.kernels.simd import lanes
from fusem.kernels.tile import PADDING, clear, close_leaf, fill_zeros, fold, gather_rows


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel for complete rows."""


def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """The family's tile kernel for complete rows."""


def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    """The family's tile kernel for rows with missing values: logp of what was observed."""


def accumulate_missing(x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride):
    """The family's tile kernel for rows with missing values: expected sums given what was observed."""


def take_back(m, operands, log_weights, resp, stats, start, tile, stride):
    """`unrounded`, with the constants that the family's complete rows begin with."""


def many_rows(operands, d):
    """The family's: rows of a leaf from which a pattern has operators of its own."""


def observed(m, operands, pattern, d):
    """The family's operands of the columns that a pattern leaves, and how many those are."""


def lead_back(m, operands, these, log_weights, pattern, last, stats, start, d, n_components):
    """The family's: add the sums of a pattern's rows, taken with operands of their own, to the statistic.

    Some only after the `last` of such patterns. Returns what their log-likelihood lacks, as `more_rounded`.
    """


@helper
def gather_weights(weights, begin, order, first, count, w, tile):
    """Weights of chosen rows of a leaf, 1 where none were given, 0 past the end; whether any is not 1."""
    other = False
    for r in range(count, tile):
        w[r] = 0.0
    for r in range(count):
        w[r] = weights[begin + order[first + r]] if weights.size > 0 else 1.0
        other |= w[r] != 1.0
    return other


@seldom
def begin_leaf(m, address, row_stride, column_stride, begin, count, many, x, d, pass_number, tile):
    """Sort `count` rows from `begin` on by pattern; forget what belongs to other parameters or patterns.

    Returns the address, how many rows are complete, how many patterns have `many` rows, how many there are,
    and rows without any value.
    """
    p, at = m.patterns, address + begin * row_stride
    full = p.known[0] + count > PATTERNS
    if full or m.bases.state[1] != pass_number:
        forget(m.bases, p, m.bases.at.size // PATTERNS)
        forget_marginals(m.marginals, p.known[0])
        m.bases.state[1] = pass_number
    if full or p.known[0] == 0:
        forget_patterns(p, d)
    groups = count_patterns(p, at, row_stride, column_stride, x, count, d)
    complete, large, groups, empty = sort_rows(p, groups, count, many, 4 * lanes(x), tile)
    m.tile[0] = large
    return at, complete, large, groups, empty


@helper
def run_of(m, run, complete, large, groups):
    """Places of the first and the one past the last row of a run, and the number of its pattern.

    The complete rows, then those of every pattern that has many, then all others: EMPTY for a number.
    """
    p = m.patterns
    if run == 0:
        return 0, complete, EMPTY
    if run <= large:
        return p.begin[run - 1], p.end[run - 1], p.group[run - 1]
    return (p.begin[large], p.end[groups - 1], EMPTY) if groups > large else (0, 0, EMPTY)


@helper
def find_groups(m, at, groups, tile):
    """Note which groups have rows in the tile that begins at a place of the order."""
    p, g = m.patterns, m.tile[0]
    while p.end[g] <= at:
        g += 1
    last = g + 1
    while last < groups and p.begin[last] < at + tile:
        last += 1
    m.tile[0], m.tile[1], m.tile[2] = g, last, at


def tile_density(
    m, at, row_stride, column_stride, p, width, whole, columns, groups, these, operands, log_weights,
    d, stride,
):  # fmt: skip
    """Log-densities of the tile that begins at place p: of whole rows, of some columns or all, or of groups.

    A template of its own, which `sweep`, `evaluate` and `missing_fill.fill` share.
    """
    x, logp = m.space.x, m.space.logp
    gather_rows(at, row_stride, column_stride, m.patterns.order, p, x, d, width)
    if columns < d:
        keep_columns(x, m.marginals.columns, columns, d, width)
    if whole:
        log_density(x, these, log_weights, logp, m.space.scratch, columns, width, stride)
    else:
        find_groups(m, p, groups, width)
        log_density_missing(x, m, operands, log_weights, logp, d, width, stride)


def sweep(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    weights,  # IN  (rows) or empty
    log_weights,  # IN  (K)
    operands,  # IN  the family's
    pass_number,  # IN  another one for other operands
    m,  # SCRATCH of this thread
    out,  # OUT the segment's statistic, at its end the weight that misses each column (d)
):
    """Add up a segment, in leaves that are longer than those of complete rows."""
    x, w, logp, resp, tree = m.space.x, m.space.w, m.space.logp, m.space.resp, m.space.tree
    size, n_components, tile, nodes = out.size, log_weights.size, w.size, 0
    stride, order, strip = tile + PADDING, m.patterns.order, 4 * lanes(x)
    row_bytes = row_stride if row_stride == d * column_stride <= FETCHED else 0
    for leaf in range((rows + LEAF - 1) // LEAF):
        stats, start = clear(tree, out, nodes, size)
        begin = leaf * LEAF
        count = min(LEAF, rows - begin)
        at, complete, large, groups, _ = begin_leaf(
            m, address, row_stride, column_stride, begin, count, many_rows(operands, d), x, d,
            pass_number, tile,
        )  # fmt: skip
        for run in range(large + 2):
            p, end, pattern = run_of(m, run, complete, large, groups)
            these, columns, sums, to, weight = operands, d, stats, start + HEADER, 0.0
            if pattern != EMPTY:
                these, columns = observed(m, operands, pattern, d)
                sums, to = m.marginals.sums, 0
                fill_zeros(sums, 0, sums.size)
            while p < end:
                n = min(tile, end - p)
                width = (n + strip - 1) // strip * strip
                weighted = gather_weights(weights, begin, order, p, n, w, width)
                tile_density(
                    m, at, row_stride, column_stride, p, width, run <= large, columns, groups, these,
                    operands, log_weights, d, stride,
                )  # fmt: skip
                ahead = at + (LEAF + p) * row_stride
                stats[start] += posterior(
                    logp, w, resp, n_components, width, stride, 0 if weighted else n, ahead,
                    row_bytes,
                )  # fmt: skip
                weight += weight_total(w, 0, width) if weighted else n
                if run <= large:
                    accumulate(
                        x, w, resp, logp, these, m.space.scratch, sums, to, columns,
                        n_components, width, stride,
                    )  # fmt: skip
                else:
                    take_back(m, operands, log_weights, resp, stats, start, width, stride)
                    accumulate_missing(
                        x, m, w, resp, logp, operands, stats, start + HEADER, d, n_components,
                        width, stride,
                    )  # fmt: skip
                    add_missing_weights(m, w, stats, start + size - d, d, width)
                p += tile
            stats[start + 1] += weight
            if pattern != EMPTY:
                stats[start] += lead_back(
                    m, operands, these, log_weights, pattern, run == large, stats, start + HEADER,
                    d, n_components,
                )  # fmt: skip
                for s in range(d - columns):
                    stats[start + size - d + m.bases.columns[s]] += weight
        stats[start + 2] += count
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
    pass_number,
    leaf,  # IN  rows that are sorted together, LEAF at most
    m,  # SCRATCH
    evidence,  # OUT (rows) log density of what was observed, or empty
    labels,  # OUT (rows) most probable component, or empty
    proba,  # OUT (rows · K) responsibilities, or empty
):
    """Write what is asked for of every row but those without any value; an empty array is not asked for."""
    x, w, logp, resp = m.space.x, m.space.w, m.space.logp, m.space.resp
    n_components, tile = log_weights.size, w.size
    stride, order, strip = tile + PADDING, m.patterns.order, 4 * lanes(x)
    for begin in range(0, rows, leaf):
        count = min(leaf, rows - begin)
        at, complete, large, groups, _ = begin_leaf(
            m, address, row_stride, column_stride, begin, count, many_rows(operands, d), x, d,
            pass_number, tile,
        )  # fmt: skip
        for run in range(large + 2):
            p, end, pattern = run_of(m, run, complete, large, groups)
            these, columns = operands, d
            if pattern != EMPTY:
                these, columns = observed(m, operands, pattern, d)
            while p < end:
                n = min(tile, end - p)
                width = (n + strip - 1) // strip * strip
                tile_density(
                    m, at, row_stride, column_stride, p, width, run <= large, columns, groups, these,
                    operands, log_weights, d, stride,
                )  # fmt: skip
                if labels.size > 0:
                    most_probable(logp, w, n_components, width, stride)
                    for r in range(n):
                        put(labels, begin + order[p + r], int(element(w, r)))
                if evidence.size > 0:
                    log_evidence(logp, w, n_components, width, stride)
                    for r in range(n):
                        evidence[begin + order[p + r]] = w[r]
                if proba.size > 0:
                    posterior(logp, w, resp, n_components, width, stride, width, 0, 0)
                    for r in range(n):
                        row = (begin + order[p + r]) * n_components
                        for k in range(n_components):
                            put(proba, row + k, element(resp, k * stride + r))
                p += tile
