"""Templates of the most probable path: forth with maxima, and back along the states that these came from.

Between the blocks of a long sequence stand the log-probabilities of the best paths to every state, or, with
few states, the matrices of the blocks (see `chain_blocks`), in which maxima take the place of sums.
"""

from __future__ import annotations

import math

from fusem.kernels.chain_best import advance, best_of, enter, resume
from fusem.kernels.forward_backward import block_factors
from fusem.kernels.policy import Kernel, helper
from fusem.kernels.simd import add, load_as, store
from fusem.kernels.states import best_moved, repeated, states_8, states_64

nothing, all_rows = states_8, states_64  # bound to those of four states where all fit


@helper
def run(m, chain, begin, end, opens, width):
    """The best way to every state at every row of a piece."""
    t = begin
    if opens:
        state = enter(m, chain, t, width)
        t += 1
    else:
        state = resume(m, width)
    while t < end:
        state = advance(m, chain, state, t, 1.0, width)
        t += 1


def forward(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    blocks,  # IN  (blocks + 1) pieces a block begins with: parts of one sequence
    pieces,
    opens,
    log_weights,
    operands,
    chain,  # IN  logarithms
    m,  # INOUT its alpha begins with the row before the first block
    ends,  # OUT (blocks · width) best log-probabilities of each block's last row
):
    """The best way to every state at the end of every block."""
    width, origin = chain.start.size, pieces[blocks[0]]
    for block in range(blocks.size - 1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        run(m, chain, 0, rows, opens[begin], width)
        for j in range(width):
            m.alpha[j] = m.alpha[rows * width + j]
            ends[block * width + j] = m.alpha[j]


def matrices(
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
    m,
    out,  # OUT (blocks · width · width) best from state to state; where a sequence opens the first row alone
):
    """The best ways through every block."""
    width, origin = chain.start.size, pieces[blocks[0]]
    for block in range(blocks.size - 1):
        piece, place = blocks[block], block * width * width
        row, rows = pieces[piece] - origin, pieces[piece + 1] - pieces[piece]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for i in range(place, place + width * width):
            out[i] = -math.inf
        t = 0
        if opens[piece]:
            first = load_as(m.factor, 0, nothing())
            store(out, place, add(load_as(chain.start, 0, first), first))
            t = 1
        else:
            for i in range(width):
                out[place + i * (width + 1)] = 0.0
        state = load_as(out, place, all_rows())
        while t < rows:
            factor = load_as(m.factor, t * width, nothing())
            state = add(best_moved(state, chain.forth), repeated(factor, state))
            t += 1
        store(out, place, state)


def trace(
    address,
    row_stride,
    column_stride,
    d,
    blocks,
    pieces,
    opens,
    closes,
    before,  # IN  (blocks · width) of the row before each block that does not open a sequence
    after,  # IN  (blocks) state of the last row of each block that does not close one, or −1
    log_weights,
    operands,
    chain,
    m,  # SCRATCH; its beta begins with the state of the last row where `after` does not say
    evidence,  # OUT (pieces) log-probability of path and rows, where a sequence closes
    path,  # OUT (rows) the states
):
    """Write the most probable states of some blocks, from the last to the first."""
    width, origin = chain.start.size, pieces[blocks[0]]
    for block in range(blocks.size - 2, -1, -1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for j in range(width):
            m.alpha[j] = before[block * width + j] if not opens[begin] else 0.0
        for piece in range(last - 1, begin - 1, -1):
            a, b = pieces[piece] - origin - row, pieces[piece + 1] - origin - row
            run(m, chain, a, b, opens[piece], width)
            if closes[piece]:
                state = best_of(m.alpha, b * width, width)
                evidence[piece] = m.alpha[b * width + state]
            else:
                state = int(after[block]) if after[block] >= 0 else int(m.beta[0])
            for t in range(b - 1, a - 1, -1):
                path[row + t] = state
                if t > a or not opens[piece]:
                    state = int(m.gamma[(t + 1) * width + state])
            m.beta[0] = float(state)


def _connect(
    matrices,  # IN  (blocks · width · width)
    first,  # IN  blocks of one sequence
    last,
    width,
    before,  # OUT (blocks · width) best log-probabilities of the row before each block but the first
    after,  # OUT (blocks) best state of the last row of each block but the last
):
    """The best states between the blocks of a sequence."""
    square = width * width
    for block in range(first, last - 1):
        place, to = block * square, (block + 1) * width
        for j in range(width):
            best = -math.inf if block > first else matrices[place + j]
            if block > first:
                for i in range(width):
                    best = max(best, before[block * width + i] + matrices[place + i * width + j])
            before[to + j] = best
    state, top = 0, -math.inf
    for j in range(width):
        for i in range(width):
            value = before[(last - 1) * width + i] + matrices[(last - 1) * square + i * width + j]
            if value > top:
                top, state = value, j
    for block in range(last - 1, first, -1):
        place, best, origin = block * square + state, -math.inf, 0
        for i in range(width):
            value = before[block * width + i] + matrices[place + i * width]
            if value > best:
                best, origin = value, i
        state = origin
        after[block - 1] = state
    return 0


connect_best = Kernel(_connect, "chain_connect_best")
