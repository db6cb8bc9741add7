"""Steps of the best path through a chain of many states, in logarithms: maxima and their origins."""

from __future__ import annotations

from fusem.kernels.policy import helper
from fusem.kernels.simd import add, element, filled, load_as, store, where_less
from fusem.kernels.states import states_8

LANES = 8


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence: its place in alpha."""
    place = (t + 1) * width
    for j in range(0, width, LANES):
        start = load_as(chain.start, j, states_8())
        store(m.alpha, place + j, add(start, load_as(m.factor, t * width + j, start)))
    return place


@helper
def resume(m, width):
    """The state before the block."""
    return 0


@helper
def advance(m, chain, state, t, scale, width):
    """The state after row t; the states before that the best paths came from, as numbers, in gamma."""
    place = (t + 1) * width
    for j in range(0, width, LANES):
        origin, first = states_8(), filled(element(m.alpha, state), states_8())
        best = add(first, load_as(chain.forth, j, first))
        for i in range(1, width):
            before = filled(element(m.alpha, state + i), best)
            other = add(before, load_as(chain.forth, i * width + j, best))
            origin = where_less(best, other, filled(float(i), best), origin)
            best = where_less(best, other, other, best)
        store(m.gamma, place + j, origin)
        store(m.alpha, place + j, add(best, load_as(m.factor, t * width + j, best)))
    return place


@helper
def best_of(values, at, width):
    """The first of the largest of a row."""
    best = 0
    for j in range(1, width):
        if values[at + j] > values[at + best]:
            best = j
    return best
