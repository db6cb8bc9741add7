"""The most probable path: forth with maxima, whose origins are kept as small numbers, and back along these.

Stretches of a long sequence are gone through at the same time. Where one begins, nothing is known of the row
before; but after some rows the best paths from all states to all states pass through one and the same (they
meet), and from there on the way is the same but for a constant, whatever was before. So

    best(i → j) = head_i + state_j          i before the stretch, j at its end

and one short recursion over the stretches finds the rest. The rows before the meeting are done again when the
state before them is known. A chain in which paths cannot meet (one that never comes back) goes step by step.
"""

from __future__ import annotations

import math

from fusem.kernels.chain_best import advance, enter, keep, lowered, resume, through
from fusem.kernels.elements import element
from fusem.kernels.forward_backward import block_factors
from fusem.kernels.policy import Kernel, helper

LOWERED = 64  # rows after which the values of all states are lowered
FIRST_LOOK = 16  # rows of each of the two parts in whose middle paths may meet


@helper
def best_of(values, at, count, apart):
    """The first of the largest of so many values."""
    best = 0
    for j in range(1, count):
        if values[at + j * apart] > values[at + best * apart]:
            best = j
    return best


@helper
def common_state(first, second, width):
    """The state that all best ways of two parts one after the other have between them, or −1."""
    common = -1
    for i in range(width):
        for j in range(width):
            best, state = -math.inf, -1
            for k in range(width):
                way = first[i * width + k] + second[k * width + j]
                if way > best:
                    best, state = way, k
            if common < 0:
                common = state
            elif state >= 0 and first[i * width + common] + second[common * width + j] < best:
                return -1
    return common


@helper
def joined(first, second, scratch, width):
    """Best ways through both of two parts, in place of those of the first."""
    for i in range(width):
        for j in range(width):
            scratch[j] = -math.inf
            for k in range(width):
                scratch[j] = max(scratch[j], first[i * width + k] + second[k * width + j])
        for j in range(width):
            first[i * width + j] = scratch[j]


@helper
def meet(m, chain, rows, head, width):
    """Row before which the best paths have met, the state before it in alpha; −1 if not in half the rows."""
    begin = half = FIRST_LOOK
    through(m, chain, 0, begin, m.ways, width)
    while begin + half <= rows // 2:
        through(m, chain, begin, begin + half, m.moves, width)
        common = common_state(m.ways, m.moves, width)
        begin += half
        if common >= 0:
            for i in range(width):
                head[i] = m.ways[i * width + common]
                m.alpha[begin * width + i] = m.moves[common * width + i]
            return begin
        joined(m.ways, m.moves, m.beta, width)
        half = begin
    return -1


def climb(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    blocks,  # IN  (blocks + 1) pieces a block begins with
    pieces,  # IN  (pieces + 1) rows a piece begins with
    opens,  # IN  (pieces) whether a sequence begins there
    closes,  # IN  (pieces) whether a sequence ends there
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  logarithms
    m,  # SCRATCH
    before,  # IN  (width) best log-probabilities of the row before, or empty: to be met
    head,  # OUT (width) from each state before the stretch to where they meet
    ends,  # OUT (width) best log-probabilities of the last row, up to what came before the meeting
    evidence,  # OUT (pieces) those of the best path of a sequence, where it closes
    last_state,  # OUT (pieces) its state there
    origins,  # OUT (rows · width) the state before, of the best path to each state
):
    """The best way to every state at every row; returns the rows before the meeting, −1 if there was none."""
    width, origin, met, off = chain.start.size, pieces[blocks[0]], 0, 0.0
    for j in range(before.size):
        m.alpha[j] = before[j]
    for block in range(blocks.size - 1):
        begin, last = blocks[block], blocks[block + 1]
        row, rows = pieces[begin] - origin, pieces[last] - pieces[begin]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for piece in range(begin, last):
            t, end = pieces[piece] - origin - row, pieces[piece + 1] - origin - row
            if opens[piece]:
                state, off = enter(m, chain, t, width), 0.0
                t += 1
            else:
                if block == 0 and before.size == 0:
                    met = t = meet(m, chain, end, head, width)
                    if met < 0:
                        return -1
                state = resume(m, t, width)
            while t < end:
                state, top = lowered(m, state, width)
                off += top
                until = min(end, t + LOWERED)
                while t < until:
                    state = advance(m, chain, state, t, origins, (row + t) * width, width)
                    t += 1
            keep(m, state, width)
            if closes[piece]:
                last_state[piece] = best_of(m.alpha, 0, width, 1)
                evidence[piece] = off + m.alpha[last_state[piece]]
    for j in range(width):
        ends[j] = off + m.alpha[j]
    return met


def _trace(
    first,  # pieces of the stretch
    last,
    pieces,
    opens,
    closes,
    last_state,  # IN  (pieces)
    state,  # of the last row, where no sequence closes there
    origins,  # IN  (rows · width)
    width,
    path,  # OUT (rows) the states
):
    """Write the states of the best path; returns that of the row before."""
    origin = pieces[first]
    for piece in range(last - 1, first - 1, -1):
        a, b = pieces[piece] - origin, pieces[piece + 1] - origin
        if closes[piece]:
            state = last_state[piece]
        begin = a + 1 if opens[piece] else a
        for t in range(b - 1, begin - 1, -1):
            path[t] = state
            state = element(origins, t * width + state)
        if opens[piece]:
            path[a] = state
    return state


trace = Kernel(_trace, "chain_trace")
