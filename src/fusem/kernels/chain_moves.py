"""Expected transitions of a block of time steps: a product of two long thin matrices."""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.policy import helper
from fusem.kernels.simd import filled, fma, load_as, store
from fusem.kernels.states import states_8

LANES = 8  # bound to 4 where all states fit, `nothing` with it
nothing = states_8


@helper
def sum_moves(
    m,  # IN  alpha before each row, in `factor` what follows from the row on, 0 where no move leads to it
    chain,
    rows,
    n_states,
    width,
    stats,  # INOUT expected transitions from i to j at [start + i · n_states + j]
    start,
):
    """Add the expected transitions of a block: four rows of the matrix by one vector of columns at a time."""
    for i in range(0, width, 4):
        for j in range(0, width, LANES):
            a0 = a1 = a2 = a3 = nothing()
            for t in range(rows):
                place = t * width
                u, a = load_as(m.factor, place + j, a0), place + i
                a0 = fma(filled(element(m.alpha, a), u), u, a0)
                a1 = fma(filled(element(m.alpha, a + 1), u), u, a1)
                a2 = fma(filled(element(m.alpha, a + 2), u), u, a2)
                a3 = fma(filled(element(m.alpha, a + 3), u), u, a3)
            store(m.moves, i * width + j, a0)
            store(m.moves, (i + 1) * width + j, a1)
            store(m.moves, (i + 2) * width + j, a2)
            store(m.moves, (i + 3) * width + j, a3)
    for i in range(n_states):
        for j in range(n_states):
            more = m.moves[i * width + j] * chain.forth[i * width + j]
            stats[start + i * n_states + j] += more
