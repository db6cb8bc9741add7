"""Template of the way back along the best path; the way forth is `forward_backward.forward` with maxima."""

from __future__ import annotations

from fusem.kernels.chain_best import advance, best_of, enter, resume
from fusem.kernels.forward_backward import block_factors
from fusem.kernels.policy import helper


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


def trace(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    blocks,  # IN  as for `forward_backward.sweep`
    pieces,
    opens,
    closes,
    before,  # IN  (blocks · width) log-probabilities of the row before each block, as there
    log_weights,
    operands,
    chain,  # IN  logarithms
    m,  # SCRATCH; its beta begins with the state of the row after the last block
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
            else:
                state = int(m.beta[0])
            for t in range(b - 1, a - 1, -1):
                path[row + t] = state
                if t > a or not opens[piece]:
                    state = int(m.gamma[(t + 1) * width + state])
            m.beta[0] = float(state)
