"""The most probable path of few states through a long sequence: eight stretches side by side, a lane each.

With few states a step of `viterbi` waits for the step before most of its time. Here a vector holds one state
of eight stretches of equal length, and a tile has the rows of the same step of all of them: densities are
read as they stand, and nothing is shuffled. What is said in `viterbi` of one stretch holds for each of the
eight. Lanes are eight on every processor.
"""

from __future__ import annotations

import math

import numpy as np

from fusem.kernels.elements import element, put
from fusem.kernels.far_rows import bring_near as settle
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, filled, larger, load_as, store, where_less
from fusem.kernels.states import LANES, states_8, store_whole
from fusem.kernels.tile import PADDING, load_group
from fusem.kernels.transpose import GROUP, transpose_group
from fusem.kernels.viterbi import FIRST_LOOK
from fusem.kernels.way_back import STEPS, eight_back

MOST_STATES = 8  # in floating point
# Bound to 4 and 1 where all fit: loops of known length are written out.
STATES, SHIFT = 8, 2  # a state's number stands in 2 ** SHIFT bits


def packed_in(width: int) -> type:
    """What holds the numbers of the states that the best paths to so many states come from."""
    return np.uint8 if width == 4 else np.uint32


def shift_of(width: int) -> int:
    """The SHIFT with which so many numbers fill it."""
    return width.bit_length() - 2


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel."""


@helper
def place_of(
    address,  # IN  of the first lane's first row
    row_stride,
    column_stride,
    d,
    apart,  # IN  bytes from a lane's first row to the next one's
    length,  # IN  rows of a lane
    t,
    log_weights,
    operands,
    m,
):
    """Place of step t in its tile, whose groups are steps and their rows those of the lanes.

    Where the tile begins with it, the log-densities are found.
    """
    x, tile = m.tile.x, m.tile.w.size
    place = t % (tile // LANES)
    if place == 0:
        begun = 0
        if d == 1 and row_stride == x.itemsize:  # steps follow each other as columns do elsewhere
            last = min(tile, (length - t) * LANES)
            begun = last - last % (LANES * GROUP)
            for r in range(0, begun, LANES * GROUP):
                transpose_group(address + (t + r // LANES) * row_stride, apart, x, x, r, LANES)
        for r in range(begun, tile, LANES):
            step = t + r // LANES if t + r // LANES < length else t
            load_group(address + step * row_stride, apart, column_stride, x, x, r, d)
        logp, scratch = m.tile.logp, m.tile.scratch
        log_density(x, operands, log_weights, logp, scratch, d, tile, tile + PADDING)
        settle(m, log_weights.size, tile + PADDING, tile)
    return place


@helper
def best_to(states, at, chain, j, unit):
    """The largest of states_i + moves_ij over i in every lane, and unit · its i."""
    origin, before = states_8(), load_as(states, at, states_8())
    best = add(before, filled(element(chain.forth, j), before))
    for i in range(1, STATES):
        before = load_as(states, at + i * LANES, best)
        other = add(before, filled(element(chain.forth, i * STATES + j), best))
        origin = where_less(best, other, filled(i * unit, best), origin)
        best = larger(other, best)
    return best, origin


@helper
def advance(m, now, then, chain, place, stride, origins, at):
    """Take the states of all lanes (in alpha) through a step; where they came from, one number per lane."""
    packed, unit = states_8(), 1.0
    for j in range(STATES):
        best, origin = best_to(m.alpha, now, chain, j, unit)
        packed = add(packed, origin)
        unit *= 1 << (1 << SHIFT)
        factor = load_as(m.tile.logp, j * stride + place * LANES, best)
        store(m.alpha, then + j * LANES, add(best, factor))
    store_whole(origins, at, packed)


@helper
def origin_of(origins, at, state):
    """The state before, of the best path to a state."""
    return (int(element(origins, at)) >> (state << SHIFT)) & (STATES - 1)


@helper
def through(m, chain, place, steps, ways, n_states, stride):
    """Take the best ways from each state (n_states · STATES · LANES) on through some steps of the tile."""
    for i in range(n_states):
        now = ways + i * STATES * LANES
        for step in range(place, place + steps):
            for j in range(STATES):
                best, _ = best_to(m.gamma, now, chain, j, 1.0)
                factor = load_as(m.tile.logp, j * stride + step * LANES, best)
                store(m.alpha, j * LANES, add(best, factor))
            for j in range(0, STATES * LANES, LANES):
                store(m.gamma, now + j, load_as(m.alpha, j, states_8()))


@helper
def stay(m, ways, n_states):
    """Best ways through no step: from each state to itself."""
    for i in range(n_states):
        for j in range(STATES):
            nothing = filled(0.0 if i == j else -math.inf, states_8())
            store(m.gamma, ways + (i * STATES + j) * LANES, nothing)


@helper
def joined(m, first, second, both, n_states):
    """Best ways through both of two parts."""
    for i in range(n_states):
        for j in range(STATES):
            best = filled(-math.inf, states_8())
            for k in range(n_states):
                there = load_as(m.gamma, first + (i * STATES + k) * LANES, best)
                back = load_as(m.gamma, second + (k * STATES + j) * LANES, best)
                best = larger(add(there, back), best)
            store(m.gamma, both + (i * STATES + j) * LANES, best)


@helper
def common_states(m, first, second, both, n_states):
    """The state that all best ways have between two parts into beta, per lane; whether all have one."""
    common = filled(-1.0, states_8())
    for k in range(n_states):
        holds = filled(float(k), common)
        for i in range(n_states):
            for j in range(n_states):
                there = load_as(m.gamma, first + (i * STATES + k) * LANES, common)
                back = load_as(m.gamma, second + (k * STATES + j) * LANES, common)
                best = load_as(m.gamma, both + (i * STATES + j) * LANES, common)
                holds = where_less(add(there, back), best, filled(-1.0, common), holds)
        common = larger(common, holds)
    store(m.beta, 0, common)
    for lane in range(LANES):
        if m.beta[lane] < 0.0:
            return False
    return True


@helper
def meet(
    address, row_stride, column_stride, d, apart, length, log_weights, operands, chain, m, head, n_states
):  # fmt: skip
    """Step before which the best paths have met in all lanes; −1 if not in half the steps.

    The best ways to each state there, from where they have met, are in alpha; the tile of that step is loaded
    unless it begins with it.
    """
    stride, per_tile = m.tile.w.size + PADDING, m.tile.w.size // LANES
    size = n_states * STATES * LANES
    ways, moves, both = 0, size, 2 * size
    begin, half, t = 0, FIRST_LOOK, 0
    stay(m, ways, n_states)
    while begin + half <= length // 2:
        # the first part is none: both parts of the first look have the same length
        end = begin + half
        stay(m, moves, n_states)
        while t < end:
            place = place_of(
                address, row_stride, column_stride, d, apart, length, t, log_weights, operands, m
            )
            steps = min(per_tile - place, end - t)
            through(m, chain, place, steps, moves, n_states, stride)
            t += steps
        joined(m, ways, moves, both, n_states)
        if begin > 0 and common_states(m, ways, moves, both, n_states):
            for lane in range(LANES):
                common = int(m.beta[lane])
                for i in range(STATES):
                    head[lane * STATES + i] = -math.inf
                    back = (common * STATES + i) * LANES + lane
                    m.alpha[i * LANES + lane] = m.gamma[moves + back]
                for i in range(n_states):
                    there = (i * STATES + common) * LANES + lane
                    head[lane * STATES + i] = m.gamma[ways + there]
            return end
        ways, both = both, ways
        begin = half = end
    return -1


def climb(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    apart,  # IN  bytes from a lane's first row to the next one's
    length,  # IN  rows of a lane
    steps,  # IN  how many of them are gone through
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  logarithms
    m,  # SCRATCH
    before,  # IN  (LANES · STATES) best log-probabilities of the row before each lane, or empty: to be met
    head,  # OUT (LANES · STATES) from each state before a lane to where they meet
    ends,  # OUT (LANES · STATES) best log-probabilities of the last row, up to what came before the meeting
    origins,  # OUT (length · LANES) where the best paths to all states came from
):
    """The best way to every state at every row; returns the steps before the meeting, −1 without one."""
    n_states, tile = log_weights.size, m.tile.w.size
    stride = tile + PADDING
    met, now, then = 0, 0, MOST_STATES * LANES
    if before.size > 0:
        for lane in range(LANES):
            for j in range(STATES):
                m.alpha[j * LANES + lane] = before[lane * STATES + j]
    else:
        met = meet(
            address, row_stride, column_stride, d, apart, length, log_weights, operands, chain, m,
            head, n_states,
        )  # fmt: skip
        if met < 0:
            return -1
    t = met
    while t < steps:
        place = place_of(
            address, row_stride, column_stride, d, apart, length, t, log_weights, operands, m
        )
        end = min(tile // LANES, place + steps - t)
        for step in range(place, end):
            advance(m, now, then, chain, step, stride, origins, (t - place + step) * LANES)
            now, then = then, now
        t += end - place
    for lane in range(LANES):
        for j in range(STATES):
            ends[lane * STATES + j] = m.alpha[now + j * LANES + lane]
    return met


@helper
def join(
    first,  # of the parts side by side
    after,
    before,  # OUT (parts · width) best log-probabilities of the row before each part
    head,  # IN  (parts · width) from each state there to where all best paths meet
    ends,  # INOUT (parts · width) those of the last row: up to what came before the meeting, then all
    entry,  # OUT (parts) the state before, of the best path
    width,
):
    """What came before each part: where paths have met that adds one number to all that follows."""
    for part in range(first * width, after * width, width):
        best, state = -math.inf, 0
        for j in range(width):
            before[part + j] = ends[part - width + j]
            way = before[part + j] + head[part + j]
            if way > best:
                best, state = way, j
        entry[part // width] = state
        for j in range(width):
            ends[part + j] += best


@helper
def trace(
    length,  # rows of a lane
    states,  # INOUT (LANES) the states of their last rows, then of the rows before
    origins,  # IN  (length · LANES)
    path,  # OUT (LANES · length) the states, from an element on
    at,
):
    """Write the states of the best path, all lanes at the same time."""
    whole = length - length % STEPS
    for t in range(length - 1, whole - 1, -1):
        for lane in range(LANES):
            state = states[lane]
            put(path, at + lane * length + t, state)
            states[lane] = origin_of(origins, t * LANES + lane, state)
    for t in range(whole - STEPS, -1, -STEPS):
        eight_back(origins, t * LANES, states, path, at + t, length, STATES - 1, SHIFT)
