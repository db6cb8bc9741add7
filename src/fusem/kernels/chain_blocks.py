"""What the blocks of a long sequence do to any state before them, and from it the messages between them.

A block of time steps is a matrix, Π_t A diag(b_t): all its rows together take hardly more time than one,
which waits for its own last step. So blocks are computed in any order and by any thread, each once; two short
recursions over them then give what the rows before and after each block say. With more states than fit a
vector the matrix costs more than to go along the sequence twice (`forward_backward.forward`, `backward`).
"""

from __future__ import annotations

from fusem.kernels.chain_linear import CONFLICT, scale_of
from fusem.kernels.forward_backward import block_factors
from fusem.kernels.lane_sums import total
from fusem.kernels.policy import Kernel
from fusem.kernels.simd import filled, load_as, mul, scaled, store
from fusem.kernels.states import moved, repeated, states_8, states_64

nothing, all_rows = states_8, states_64  # bound to those of four states where all fit


def matrices(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    blocks,  # IN  (blocks + 1) pieces a block begins with; each is a part of one sequence
    pieces,
    opens,
    log_weights,
    operands,
    chain,
    m,  # SCRATCH
    out,  # OUT (blocks · width · width) up to a factor; of a block that opens a sequence the first row alone
):
    """The matrix of every block."""
    width, origin = chain.start.size, pieces[blocks[0]]
    for block in range(blocks.size - 1):
        piece, place = blocks[block], block * width * width
        row, rows = pieces[piece] - origin, pieces[piece + 1] - pieces[piece]
        block_factors(
            address, row_stride, column_stride, row, rows, d, log_weights, operands, m, width
        )
        for i in range(place, place + width * width):
            out[i] = 0.0
        t, later = 0, 1.0
        if opens[piece]:
            first = load_as(m.factor, 0, nothing())
            store(out, place, mul(load_as(chain.start, 0, first), first))
            t = 1
        else:
            for i in range(width):
                out[place + i * (width + 1)] = 1.0
        state, scale = load_as(out, place, all_rows()), 1.0
        while t < rows:
            # every other step: the sum for the next scale is ready by then
            factor = scaled(scale, load_as(m.factor, t * width, nothing()))
            state, scale = mul(moved(state, chain.forth), repeated(factor, state)), 1.0
            if t % 2 == 0:
                later, _ = scale_of(total(state))
            else:
                scale = later
            t += 1
        scale, _ = scale_of(total(state))
        store(out, place, mul(state, filled(scale, state)))


def _connect(
    matrices,  # IN  (blocks · width · width)
    first,  # IN  blocks of one sequence
    last,
    width,
    before,  # OUT (blocks · width) α of the row before each block but the first
    after,  # OUT (blocks · width) β of the last row of each block but the last
):
    """The messages between the blocks of a sequence; whether a sum lost what it should hold."""
    alarm, square = False, width * width
    for block in range(first, last - 1):
        place, to = block * square, (block + 1) * width
        mass, all_mass, ahead = 0.0, 0.0, 0.0
        for j in range(width):
            value = matrices[place + j] if block == first else 0.0
            for i in range(width):
                entry = matrices[place + i * width + j]
                if block > first:
                    value += before[block * width + i] * entry
                all_mass += entry
            before[to + j] = value
            mass += value
            ahead += before[block * width + j] if block > first else 1.0 / width
        alarm |= not mass > CONFLICT * all_mass * ahead
        scale, _ = scale_of(mass)
        for j in range(width):
            before[to + j] *= scale
    for block in range(last - 1, first, -1):
        place, to = block * square, (block - 1) * width
        mass, all_mass, ahead = 0.0, 0.0, 0.0
        for i in range(width):
            value = 0.0
            for j in range(width):
                entry = matrices[place + i * width + j]
                value += entry * (after[block * width + j] if block < last - 1 else 1.0)
                all_mass += entry
            after[to + i] = value
            mass += value
            ahead += after[block * width + i] if block < last - 1 else 1.0 / width
        alarm |= not mass > CONFLICT * all_mass * ahead
        scale, _ = scale_of(mass)
        for i in range(width):
            after[to + i] *= scale
    return alarm


connect = Kernel(_connect, "chain_connect")
