"""Steps of best paths whose lanes are stretches or sequences, in whole numbers: up to sixteen states.

A row's log-densities are taken less the largest of them, and the states of a row less theirs from tile to
tile; what was taken off is added up beside. What is left of them is small, and rounded to 2⁻⁴⁰ once. Of a
log-density that lies further below than 2040 no more is kept than that (of a first row's after the start was
added): where every transition is possible, however improbable, the way through another state is better by
then. So these steps are for chains that forbid no transition.
"""

from __future__ import annotations

import math

from fusem.kernels.fixed_point import (
    ABOVE,
    LEAST,
    ONE,
    filled,
    fixed,
    floating,
    larger,
    less,
    load_as,
    number,
    states_8,
    step_of,
    store,
)
from fusem.kernels.policy import helper
from fusem.kernels.simd import add as plus
from fusem.kernels.simd import filled as filled_floating
from fusem.kernels.simd import larger as larger_floating
from fusem.kernels.simd import load_as as load
from fusem.kernels.simd import store as put
from fusem.kernels.simd import sub
from fusem.kernels.states import LANES
from fusem.kernels.states import states_8 as zeros

STATES = 16  # bound to others
OFF = LANES  # place in beta of what was taken off, of every lane
step = step_of(STATES)


@helper
def taken_off(m, vector):
    """Add to what was taken off."""
    put(m.beta, OFF, plus(load(m.beta, OFF, vector), vector))


@helper
def begin(m, chain):
    """Say that the next tile begins with the first rows of sequences: `settle` adds where these may start."""
    m.weight[STATES] = 1.0
    for j in range(STATES):
        m.weight[j] = chain.start[j]


@helper
def go_on(m):
    """Say that it does not."""
    m.weight[STATES] = 0.0


@helper
def settle(m, n_states, stride, columns):
    """Log-densities of a tile, whole numbers less each row's largest; of states that there are not 0."""
    logp, highest = m.tile.logp, zeros()
    if m.weight[STATES] > 0.0:
        highest = filled_floating(-math.inf, highest)
        for j in range(n_states):
            if m.weight[j] > -math.inf:
                highest = larger_floating(load(logp, j * stride, highest), highest)
        for j in range(n_states):
            here = sub(load(logp, j * stride, highest), highest)
            put(logp, j * stride, plus(here, filled_floating(m.weight[j], here)))
    for r in range(0, columns, LANES):
        top = load(logp, r, zeros())
        for j in range(1, n_states):
            top = larger_floating(load(logp, j * stride + r, top), top)
        put(m.top, r, top)
        for j in range(n_states):
            store(logp, j * stride + r, fixed(load(logp, j * stride + r, top), top))
        for j in range(n_states, STATES):
            store(logp, j * stride + r, filled(ABOVE, states_8()))
    if m.weight[STATES] > 0.0:
        put(m.top, 0, plus(load(m.top, 0, highest), highest))
        go_on(m)


@helper
def enter(m, then, chain, stride):
    """The states of every lane after its first row, that of the tile; what was taken off begins with it."""
    for j in range(STATES):
        here = less(load_as(m.tile.logp, j * stride, states_8()), filled(ABOVE, states_8()))
        if chain.start[j] == -math.inf:  # there may be no such state
            here = filled(int(LEAST * ONE), here)
        store(m.alpha, then + j * LANES, here)
    put(m.beta, OFF, load(m.top, 0, zeros()))


@helper
def largest(m, at):
    """The largest of the states of every lane."""
    top = load_as(m.alpha, at, states_8())
    for j in range(LANES, STATES * LANES, LANES):
        top = larger(load_as(m.alpha, at + j, top), top)
    return top


@helper
def lower(m, at, top):
    """Take a number off the states of every lane."""
    for j in range(0, STATES * LANES, LANES):
        store(m.alpha, at + j, less(load_as(m.alpha, at + j, top), top))


@helper
def lowered(m, at):
    """Take the largest off the states of all lanes."""
    top = largest(m, at)
    taken_off(m, floating(top))
    lower(m, at, top)


@helper
def state_value(m, at):
    """A state's logarithm, but for what was taken off."""
    return number(m.alpha, at)


@helper
def off(m, lane):
    """What was taken off."""
    return m.beta[OFF + lane]


@helper
def rows_taken_off(m, place, steps):
    """Add up what was taken off the rows of some steps of the tile."""
    total = zeros()
    for at in range(place * LANES, (place + steps) * LANES, LANES):
        total = plus(total, load(m.top, at, total))
    taken_off(m, total)


@helper
def advance(m, now, then, chain, place, stride, origins, at):
    """Take the states of all lanes (in alpha) through a step; where they came from, one number per lane."""
    step(m.alpha, now, then, chain.back, m.tile.logp, place * LANES, stride, origins, at)


@helper
def advance_and_add(m, now, then, chain, place, stride, origins, at):
    """The same, and add what was taken off the row."""
    taken_off(m, load(m.top, place * LANES, zeros()))
    advance(m, now, then, chain, place, stride, origins, at)
