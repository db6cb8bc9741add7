"""Templates of the forward–backward recursion over blocks of time steps, fused with the sums of the M-step.

A block is a run of rows that fits in the cache: whole sequences, or a part of a long one whose neighbours'
messages are given. Densities and sums are a mixture's, tile by tile; between them stands the recursion, in
linear space: every other step the state is multiplied by a power of two, so that nothing is lost and no
logarithm is taken. Where a sum comes out so small that what was rounded to 0 before may have been more, an
alarm is given; the same templates in logarithms (`chain_log`) then do it again.

α_t(j) = Σ_i α_{t−1}(i) A_ij b_j(x_t), β_{t−1}(i) = Σ_j A_ij b_j(x_t) β_t(j), γ_t ∝ α_t β_t, and the moves
ξ_t(i, j) ∝ α_{t−1}(i) A_ij b_j(x_t) β_t(j). Source: Rabiner 1989, section III.
"""

from __future__ import annotations

import math

from fusem.kernels.axes import weight_total
from fusem.kernels.chain_linear import factors, in_logarithms, scale_of
from fusem.kernels.chain_moves import sum_moves
from fusem.kernels.chain_wide import (
    advance,
    close,
    enter,
    keep_back,
    leave,
    mass_back,
    mass_of,
    no_move,
    resume,
    resume_back,
    retreat,
    retreat_only,
)
from fusem.kernels.mixture_sweep import HEADER
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    filled,
    lanes,
    load_as,
    load_wide,
    mul,
    store,
    zero_below,
)
from fusem.kernels.tile import PADDING, clear, close_leaf, fold, load_rows
from fusem.kernels.transpose import GROUP, transpose_group

LEAST = 1e-20  # a probability that cannot change a double sum; exactly 0 keeps denormals away


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel."""


def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """The family's tile kernel."""


def density_again(x, operands, log_weights, logp, scratch, d, tile, stride):
    """`log_density` of families whose sums need its scratch, else nothing."""


@helper
def keep_known(known, row, count, logp, n_states, stride):
    """Rule out all states but the known one, in a tile whose first row is `row`; −1 is not known."""
    for r in range(count):
        state = known[row + r]
        if state >= 0:
            for k in range(n_states):
                if k != state:
                    logp[k * stride + r] = -math.inf


@helper
def block_factors(
    address, row_stride, column_stride, begin, rows, d, log_weights, operands, m, width
):
    """Factors of a block's rows."""
    x, logp, tile = m.tile.x, m.tile.logp, m.tile.w.size
    stride, n_states = tile + PADDING, log_weights.size
    for first in range(0, rows, tile):
        count = min(tile, rows - first)
        load_rows(address, row_stride, column_stride, x, begin + first, count, x, d, tile)
        log_density(x, operands, log_weights, logp, m.tile.scratch, d, tile, stride)
        if m.known.size > 0:
            keep_known(m.known, begin + first, count, logp, n_states, stride)
        factors(m, first, (count + GROUP - 1) // GROUP * GROUP, n_states, stride, width)


@helper
def run_forward(m, chain, begin, end, opens, width):
    """α of the rows of a piece; its mass at the end, and log-likelihood given what came before."""
    t, exponents, top, known = begin, 0, 0.0, 0.0
    if opens:
        state = enter(m, chain, t, width)
        top += m.top[t]
        t += 1
    else:
        state = resume(m, width)
        known = in_logarithms(mass_of(m, state, width), 0)
    scale, e = scale_of(mass_of(m, state, width))
    while t + 2 <= end:
        state = advance(m, chain, state, t, scale, width)
        exponents += e
        top += m.top[t]
        scale, e = scale_of(mass_of(m, state, width))
        state = advance(m, chain, state, t + 1, 1.0, width)
        top += m.top[t + 1]
        t += 2
    if t < end:
        state = advance(m, chain, state, t, scale, width)
        exponents += e
        top += m.top[t]
    mass = mass_of(m, state, width)
    return in_logarithms(mass, exponents) + top - known


@helper
def run_backward(m, chain, begin, end, opens, closes, weight, width):
    """γ and the moves of the rows of a piece, in place of its factors."""
    t = end - 1
    for r in range(begin, end):
        m.weight[r] = weight
    if closes:
        beta = leave(m, t, width)
    else:
        beta = resume_back(m, width)
        close(m, beta, t, width)
    first, scale = begin + 1 if opens else begin, 1.0
    while t - 1 >= first:
        beta = retreat(m, chain, beta, t, scale, weight, width)
        scale, _ = scale_of(mass_back(m, beta, width))
        beta = retreat(m, chain, beta, t - 1, 1.0, weight, width)
        t -= 2
    if t >= first:
        beta = retreat(m, chain, beta, t, scale, weight, width)
    if opens:
        no_move(m, begin, width)


@helper
def posterior_of(m, first, count, n_states, tile, stride, width):
    """γ of a tile's rows, state by state, times their weights; returns the sum of the weights."""
    resp, w, bytes_ = m.tile.resp, m.tile.w, m.gamma.itemsize
    for r in range(tile):
        w[r] = m.weight[first + r] if r < count else 0.0
    for r in range(0, count, GROUP):
        for k in range(0, width, GROUP):
            transpose_group(
                m.gamma_at + ((first + r) * width + k) * bytes_, width * bytes_, m.gamma,
                resp, k * stride + r, stride,
            )  # fmt: skip
    for k in range(n_states):
        for r in range(0, tile, 4 * lanes(resp)):
            share = load_wide(resp, k * stride + r)
            share = zero_below(share, share, filled(LEAST, share))
            store(resp, k * stride + r, mul(share, load_as(w, r, share)))
    return weight_total(w, 0, tile)


@helper
def add_emissions(
    address, row_stride, column_stride, begin, rows, d, log_weights, operands, m, width,
    stats, start, sums,
):  # fmt: skip
    """Add what a block says of the emissions: the weight of its rows, and the family's sums."""
    x, w, tile, n_states = m.tile.x, m.tile.w, m.tile.w.size, log_weights.size
    stride = tile + PADDING
    for first in range(0, rows, tile):
        count = min(tile, rows - first)
        load_rows(address, row_stride, column_stride, x, begin + first, count, x, d, tile)
        density_again(x, operands, log_weights, m.tile.logp, m.tile.scratch, d, tile, stride)
        stats[start + 1] += posterior_of(m, first, count, n_states, tile, stride, width)
        accumulate(
            x, w, m.tile.resp, m.tile.logp, operands, m.tile.scratch, stats, sums, d, n_states,
            tile, stride,
        )  # fmt: skip


def sweep(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    blocks,  # IN  (blocks + 1) pieces a block begins with
    pieces,  # IN  (pieces + 1) rows a piece begins with
    opens,  # IN  (pieces) whether a sequence begins there
    closes,  # IN  (pieces) whether a sequence ends there
    weights,  # IN  (pieces) of the sequences
    before,  # IN  (blocks · width) α of the row before each block that does not open a sequence
    after,  # IN  (blocks · width) β of the last row of each block that does not close one
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN
    m,  # SCRATCH of this thread
    evidence,  # OUT (pieces) log-likelihood given what came before
    proba,  # OUT (rows · K) probabilities of the states, or empty
    out,  # OUT header, starts (K), moves (K · K), the family's sums; or empty
):
    """Add up a segment of blocks, merged in a binary tree, or write the probabilities of its rows.

    Without either `evidence` is found, and whether there is an alarm: what is lost forth shows on the way
    back.
    """
    tree, size, n_states, width = m.tile.tree, out.size, log_weights.size, chain.start.size
    nodes, origin = 0, pieces[blocks[0]]
    starts, moves = HEADER, HEADER + n_states
    for block in range(blocks.size - 1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for j in range(width):
            m.alpha[j] = before[block * width + j] if not opens[begin] else 0.0
            m.beta[j] = after[block * width + j] if not closes[last - 1] else 0.0
        for i in range(width * width):
            m.moves[i] = 0.0
        loglik = 0.0
        for piece in range(begin, last):
            a, b = pieces[piece] - origin - row, pieces[piece + 1] - origin - row
            evidence[piece] = run_forward(m, chain, a, b, opens[piece], width)
            loglik += weights[piece] * evidence[piece] if weights[piece] > 0.0 else 0.0
        for piece in range(last - 1, begin - 1, -1):
            a, b = pieces[piece] - origin - row, pieces[piece + 1] - origin - row
            run_backward(m, chain, a, b, opens[piece], closes[piece], weights[piece], width)
        if proba.size > 0:
            for t in range(rows):
                for k in range(n_states):
                    proba[(row + t) * n_states + k] = m.gamma[(t + 1) * width + k]
        if size == 0:
            continue
        stats, start = clear(tree, out, nodes, size)
        stats[start] += loglik
        stats[start + 2] += rows
        for piece in range(begin, last):
            if opens[piece]:
                place = (pieces[piece] - origin - row + 1) * width
                for k in range(n_states):
                    stats[start + starts + k] += weights[piece] * m.gamma[place + k]
        sum_moves(m, chain, rows, n_states, width, stats, start + moves)
        add_emissions(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width,
            stats, start, start + moves + n_states * n_states,
        )  # fmt: skip
        nodes = close_leaf(tree, out, block, nodes, size)
    if size > 0:
        fold(tree, out, nodes, size)


def forward(
    address,
    row_stride,
    column_stride,
    d,
    blocks,
    pieces,
    opens,
    log_weights,
    operands,
    chain,
    m,  # INOUT its alpha begins with that of the row before the first block
    evidence,  # OUT (pieces)
    ends,  # OUT (blocks · width) α of each block's last row, or empty
):
    """Log-likelihoods, and the messages from one block to the next."""
    width, origin = chain.start.size, pieces[blocks[0]]
    for block in range(blocks.size - 1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for piece in range(begin, last):
            a, b = pieces[piece] - origin - row, pieces[piece + 1] - origin - row
            evidence[piece] = run_forward(m, chain, a, b, opens[piece], width)
        for j in range(width):
            m.alpha[j] = m.alpha[rows * width + j]
            if ends.size > 0:
                ends[block * width + j] = m.alpha[j]


def backward(
    address,
    row_stride,
    column_stride,
    d,
    blocks,  # IN  (blocks + 1) blocks of one piece of the same sequence
    pieces,
    log_weights,
    operands,
    chain,
    m,  # INOUT its beta begins with that of the last row
    begins,  # OUT (blocks · width) β of the row before each block
):
    """The messages from one block to the one before."""
    width, origin = chain.start.size, pieces[blocks[0]]
    beta = resume_back(m, width)
    for block in range(blocks.size - 2, -1, -1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        scale = 1.0
        for t in range(rows - 1, -1, -1):
            beta = retreat_only(m, chain, beta, t, scale, width)
            scale, _ = scale_of(mass_back(m, beta, width))
        keep_back(m, beta, width)
        for j in range(width):
            begins[block * width + j] = m.beta[j]
