"""Steps of the best path through a chain of at most eight states: all of them in one vector."""

from __future__ import annotations

from fusem.kernels.policy import helper
from fusem.kernels.simd import add, load_as, store
from fusem.kernels.states import best_moved, best_origin, states_8

nothing = states_8  # bound to `states_4` where all states fit


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence."""
    state = add(load_as(chain.start, 0, nothing()), load_as(m.factor, t * width, nothing()))
    store(m.alpha, (t + 1) * width, state)
    return state


@helper
def resume(m, width):
    """The state before the block."""
    return load_as(m.alpha, 0, nothing())


@helper
def advance(m, chain, state, t, scale, width):
    """The state after row t; the states before that the best paths came from, as numbers, in gamma."""
    best = best_moved(state, chain.forth)
    store(m.gamma, (t + 1) * width, best_origin(state, chain.forth, best))
    state = add(best, load_as(m.factor, t * width, nothing()))
    store(m.alpha, (t + 1) * width, state)
    return state
