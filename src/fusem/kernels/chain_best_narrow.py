"""Steps of the best path through a chain of at most eight states: all of them in one vector."""

from __future__ import annotations

import math

from fusem.kernels.policy import helper
from fusem.kernels.simd import add, load_as, store
from fusem.kernels.states import best_moved, best_origin, states_8, states_64, store_whole

nothing, all_rows = states_8, states_64  # bound to those of four states where all fit


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence."""
    return add(load_as(chain.start, 0, nothing()), load_as(m.factor, t * width, nothing()))


@helper
def resume(m, t, width):
    """The state before row t of the block."""
    return load_as(m.alpha, t * width, nothing())


@helper
def advance(m, chain, state, t, origins, at, width):
    """The state after row t; where its best paths came from, into `origins` at an element."""
    factor = load_as(m.factor, t * width, nothing())
    best = best_moved(state, chain.forth, factor)
    store_whole(origins, at, best_origin(state, chain.forth, factor, best))
    return best


@helper
def lowered(m, state, width):
    """Nothing is gained: no digit is lost in a maximum."""
    return state, 0.0


@helper
def keep(m, state, width):
    """Write down the state: the one before the next block."""
    store(m.alpha, 0, state)


@helper
def through(m, chain, begin, end, ways, width):
    """Best ways from each state before row `begin` to each one at the last row before `end`."""
    for i in range(width * width):
        ways[i] = 0.0 if i % (width + 1) == 0 else -math.inf
    state = load_as(ways, 0, all_rows())
    for t in range(begin, end):
        state = best_moved(state, chain.forth, load_as(m.factor, t * width, nothing()))
    store(ways, 0, state)
