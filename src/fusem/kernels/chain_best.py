"""Steps of the best path through a chain of many states, in logarithms: maxima and their origins."""

from __future__ import annotations

import math

from fusem.kernels.elements import element
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, filled, larger, load_as, store, where_less
from fusem.kernels.states import states_8, store_whole

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
def resume(m, t, width):
    """The state before row t of the block."""
    return t * width


@helper
def advance(m, chain, state, t, origins, at, width):
    """The state after row t; where its best paths came from, into `origins` at an element."""
    place = (t + 1) * width
    for j in range(0, width, LANES):
        origin, first = states_8(), filled(element(m.alpha, state), states_8())
        best = add(first, load_as(chain.forth, j, first))
        for i in range(1, width):
            before = filled(element(m.alpha, state + i), best)
            other = add(before, load_as(chain.forth, i * width + j, best))
            origin = where_less(best, other, filled(float(i), best), origin)
            best = larger(other, best)
        store_whole(origins, at + j, origin)
        store(m.alpha, place + j, add(best, load_as(m.factor, t * width + j, best)))
    return place


@helper
def keep(m, state, width):
    """Write down the state: the one before the next block."""
    for j in range(width):
        m.alpha[j] = m.alpha[state + j]


@helper
def through(m, chain, begin, end, ways, width):
    """Best ways from each state before row `begin` to each one at the last row before `end`."""
    for i in range(width):
        for j in range(width):
            m.alpha[begin * width + j] = 0.0 if i == j else -math.inf
        for t in range(begin, end):
            for j in range(0, width, LANES):
                first = filled(element(m.alpha, t * width), states_8())
                best = add(first, load_as(chain.forth, j, first))
                for k in range(1, width):
                    before = filled(element(m.alpha, t * width + k), best)
                    best = larger(add(before, load_as(chain.forth, k * width + j, best)), best)
                factor = load_as(m.factor, t * width + j, best)
                store(m.alpha, (t + 1) * width + j, add(best, factor))
        for j in range(width):
            ways[i * width + j] = m.alpha[end * width + j]
