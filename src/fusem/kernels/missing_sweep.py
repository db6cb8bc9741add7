"""Templates of the kernels for rows with missing values, NaN: exact EM on what was observed.

The rows of a leaf are sorted by pattern. Complete ones pass through the family's ordinary tile kernels, the
others through a second pair that knows the groups of equal patterns in a tile. Rows without any value say
nothing: they count as rows and have no weight.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_total
from fusem.kernels.elements import element, put
from fusem.kernels.missing import add_missing_weights
from fusem.kernels.mixture_sweep import FETCHED, HEADER
from fusem.kernels.null_space import forget
from fusem.kernels.patterns import (
    LEAF,
    PATTERNS,
    find_missing,
    forget_patterns,
    sort_rows,
    words_in,
)
from fusem.kernels.policy import helper, seldom
from fusem.kernels.posterior import log_evidence, most_probable, posterior
from fusem.kernels.simd import lanes
from fusem.kernels.tile import PADDING, clear, close_leaf, fold, gather_rows


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
def begin_leaf(m, address, row_stride, column_stride, rows, leaf, x, d, pass_number, tile):
    """Sort the rows of a leaf; forget what belongs to other parameters or other patterns.

    Returns its first row, how many there are, the address, how many are complete, the place of the first that
    is not, groups of these, and the end of all places.
    """
    begin = leaf * LEAF
    count, at = min(LEAF, rows - begin), address + begin * row_stride
    p = m.patterns
    full = p.known[0] + count > PATTERNS
    if full or m.bases.state[1] != pass_number:
        forget(m.bases, p, m.bases.at.size // PATTERNS)
        m.bases.state[1] = pass_number
    if full or p.known[0] == 0:
        forget_patterns(p, d)
    find_missing(at, row_stride, column_stride, x, count, d, words_in(p), p.bits)
    m.tile[0] = 0
    complete, first, groups = sort_rows(p, count, tile)
    return begin, count, at, complete, first, groups, p.begin[groups] if groups > 0 else first


@helper
def find_groups(m, at, groups, tile):
    """Note which groups have rows in the tile that begins at a place of the order."""
    begin, g = m.patterns.begin, m.tile[0]
    while begin[g + 1] <= at:
        g += 1
    last = g + 1
    while last < groups and begin[last] < at + tile:
        last += 1
    m.tile[0], m.tile[1], m.tile[2] = g, last, at


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
    size, n_components, tile = out.size, log_weights.size, w.size
    stride, nodes, order, strip = tile + PADDING, 0, m.patterns.order, 4 * lanes(x)
    row_bytes = row_stride if row_stride == d * column_stride <= FETCHED else 0
    for leaf in range((rows + LEAF - 1) // LEAF):
        stats, start = clear(tree, out, nodes, size)
        begin, count, at, complete, first, groups, end = begin_leaf(
            m, address, row_stride, column_stride, rows, leaf, x, d, pass_number, tile
        )
        for p in range(0, end, tile):
            n = min(tile, (complete if p < first else end) - p)
            width = (n + strip - 1) // strip * strip
            gather_rows(at, row_stride, column_stride, order, p, x, d, width)
            weighted = gather_weights(weights, begin, order, p, n, w, width)
            if p < first:
                log_density(x, operands, log_weights, logp, m.space.scratch, d, width, stride)
            else:
                find_groups(m, p, groups, width)
                log_density_missing(x, m, operands, log_weights, logp, d, width, stride)
            ahead = at + (LEAF + p) * row_stride
            stats[start] += posterior(
                logp, w, resp, n_components, width, stride, 0 if weighted else n, ahead, row_bytes
            )
            stats[start + 1] += weight_total(w, 0, width) if weighted else n
            if p < first:
                accumulate(
                    x, w, resp, logp, operands, m.space.scratch, stats, start + HEADER, d,
                    n_components, width, stride,
                )  # fmt: skip
            else:
                take_back(m, operands, log_weights, resp, stats, start, width, stride)
                accumulate_missing(
                    x, m, w, resp, logp, operands, stats, start + HEADER, d, n_components, width,
                    stride,
                )  # fmt: skip
                add_missing_weights(m, w, stats, start + size - d, d, width)
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
    m,  # SCRATCH
    evidence,  # OUT (rows) log density of what was observed, or empty
    labels,  # OUT (rows) most probable component, or empty
    proba,  # OUT (rows · K) responsibilities, or empty
):
    """Write what is asked for of every row but those without any value; an empty array is not asked for."""
    x, w, logp, resp = m.space.x, m.space.w, m.space.logp, m.space.resp
    n_components, tile = log_weights.size, w.size
    stride, order, strip = tile + PADDING, m.patterns.order, 4 * lanes(x)
    for leaf in range((rows + LEAF - 1) // LEAF):
        begin, _, at, complete, first, groups, end = begin_leaf(
            m, address, row_stride, column_stride, rows, leaf, x, d, pass_number, tile
        )
        for p in range(0, end, tile):
            n = min(tile, (complete if p < first else end) - p)
            width = (n + strip - 1) // strip * strip
            gather_rows(at, row_stride, column_stride, order, p, x, d, width)
            if p < first:
                log_density(x, operands, log_weights, logp, m.space.scratch, d, width, stride)
            else:
                find_groups(m, p, groups, width)
                log_density_missing(x, m, operands, log_weights, logp, d, width, stride)
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
