"""Steps of the best path through a chain of many states, in logarithms: maxima and their origins.

Every way carries the number of the state that it comes from in the last bits of its mantissa, so that the
maximum itself says where it came from. That rounds to 52 bits less 4 with 16 states, less 8 with 256, which
is why values are lowered again and again: they stay small, and lose no more than a sum over many rows does.
Of equal ways one is taken, which depends on the sign of their value.
Tried: the number beside the maximum, by comparison: a third longer with 16 states, more with 32.
"""

from __future__ import annotations

import math

from fusem.kernels.chain_log import factors as log_factors
from fusem.kernels.elements import element
from fusem.kernels.far_rows import bring_near
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, filled, larger, load_as, store
from fusem.kernels.states import LANES, states_8, store_tags, tagged


@helper
def factors(m, first, rows, n_states, stride, width):
    """Write the log-densities of a tile's rows, those of far rows less the largest."""
    bring_near(m, n_states, stride, rows)
    log_factors(m, first, rows, n_states, stride, width)


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
    place, mask = (t + 1) * width, element(chain.tags, width)
    whole = width - width % (2 * LANES)
    for j in range(0, whole, 2 * LANES):  # two vectors: each state is spread out once for both
        best = other = filled(-math.inf, states_8())
        for i in range(width):
            before, move = filled(element(m.alpha, state + i), best), i * width + j
            way = add(before, load_as(chain.forth, move, best))
            best = larger(tagged(way, chain.tags, i, mask), best)
            way = add(before, load_as(chain.forth, move + LANES, best))
            other = larger(tagged(way, chain.tags, i, mask), other)
        finish(m, best, t * width + j, place + j, origins, at + j, mask)
        finish(m, other, t * width + j + LANES, place + j + LANES, origins, at + j + LANES, mask)
    for j in range(whole, width, LANES):
        best = filled(-math.inf, states_8())
        for i in range(width):
            before = filled(element(m.alpha, state + i), best)
            way = add(before, load_as(chain.forth, i * width + j, best))
            best = larger(tagged(way, chain.tags, i, mask), best)
        finish(m, best, t * width + j, place + j, origins, at + j, mask)
    return place


@helper
def finish(m, best, factor, place, origins, at, mask):
    """Write down a vector of states after a row, and their origins."""
    store_tags(origins, at, best, mask)
    store(m.alpha, place, add(best, load_as(m.factor, factor, best)))


@helper
def lowered(m, state, width):
    """The state with 0 as its largest value, and what that was: small values have more digits."""
    top = -math.inf
    for j in range(width):
        top = max(top, m.alpha[state + j])
    if top == -math.inf:
        return state, 0.0
    for j in range(width):
        m.alpha[state + j] -= top
    return state, top


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
