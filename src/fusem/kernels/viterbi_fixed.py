"""The most probable path of up to sixteen states through a long sequence, in whole numbers.

A sequence is cut into parts of equal length, eight of them side by side (`lanes_fixed`), and a part begins
some rows before its own, from states that are all as good. After some tens of rows nothing is left of that:
what is best to every state, less the best of all, is what it would be had the part before gone on. In whole
numbers that is so exactly or not at all, and seen where the part before ends. Where it is not so yet, the
part is entered again with what the part before ends with, until it is (`enter_again`).

The way back begins at the end of all parts at the same time, from the state that is best there. Ways back
soon meet, too: where another state turns out to be on the path, the last rows are written again.
"""

from __future__ import annotations

from fusem.kernels.elements import put
from fusem.kernels.fixed_point import bits_at, number, put_bits, store
from fusem.kernels.lanes_fixed import (
    OFF,
    STATES,
    advance,
    begin,
    enter,
    go_on,
    largest,
    lower,
    lowered,
    rows_taken_off,
)
from fusem.kernels.policy import helper
from fusem.kernels.states import LANES
from fusem.kernels.tile import PADDING
from fusem.kernels.viterbi_lanes import origin_of, trace

ALL = STATES * LANES  # bound with STATES
LOOK = 8  # rows after which parts that are entered again are compared with what they were


@helper
def place_of(address, row_stride, column_stride, d, apart, length, t, log_weights, operands, m):
    """That of `viterbi_lanes`."""


@helper
def climb(
    address, row_stride, column_stride, d, apart, length, begin, end, log_weights, operands, chain, m, now,
    origins,
):  # fmt: skip
    """Take all lanes through steps `begin` to `end`; where their states are then."""
    tile, then, t = m.tile.w.size, ALL - now, begin
    while t < end:
        place = place_of(
            address, row_stride, column_stride, d, apart, length, t, log_weights, operands, m
        )
        steps = min(tile // LANES - place, end - t)
        for step in range(steps):
            advance(m, now, then, chain, place + step, tile + PADDING, origins, (t + step) * LANES)
            now, then = then, now
        lowered(m, now)
        rows_taken_off(m, place, steps)
        t += steps
    return now


@helper
def begin_alike(
    address, row_stride, column_stride, d, left, log_weights, operands, chain, m, origins
):  # fmt: skip
    """Take all lanes alike through the first rows of a sequence; where their states are then."""
    # a helper is compiled anew for every literal that it is given
    zero = 0 * d
    begin(m, chain)
    place_of(address, row_stride, column_stride, d, zero, zero + 1, zero, log_weights, operands, m)
    enter(m, zero, chain, m.tile.w.size + PADDING)
    return climb(
        address + row_stride, row_stride, column_stride, d, zero, left, zero, left, log_weights, operands,
        chain, m, zero, origins,
    )  # fmt: skip


@helper
def enter_again(
    address, row_stride, column_stride, d, apart, length, warm, log_weights, operands, chain, m, first,
    begun, ended, gains, origins,
):  # fmt: skip
    """Take parts on from what those before end with, until that is what they were; false if it never is."""
    tile, now, then, t = m.tile.w.size, 0, ALL, warm
    for lane in range(LANES):
        for j in range(STATES):
            at = (first + lane) * STATES + j
            before = ended[at - STATES] if first + lane > 0 else begun[at]
            put_bits(m.alpha, now + j * LANES + lane, before)
            put_bits(m.alpha, now + 2 * ALL + j * LANES + lane, begun[at])
            begun[at] = before
    while t < length:
        place = place_of(
            address, row_stride, column_stride, d, apart, length, t, log_weights, operands, m
        )
        steps = min(tile // LANES - place, min(LOOK, length - t))
        for step in range(place, place + steps):
            at = (t + step - place) * LANES
            advance(m, now + 2 * ALL, then + 2 * ALL, chain, step, tile + PADDING, origins, at)
            advance(m, now, then, chain, step, tile + PADDING, origins, at)
            now, then = then, now
        t += steps
        new, old, alike = largest(m, now), largest(m, now + 2 * ALL), True
        lower(m, now, new)
        lower(m, now + 2 * ALL, old)
        store(m.gamma, 0, new)
        store(m.gamma, LANES, old)
        for lane in range(LANES):
            gains[first + lane] += number(m.gamma, lane) - number(m.gamma, LANES + lane)
        for i in range(now, now + ALL):
            alike &= bits_at(m.alpha, i) == bits_at(m.alpha, i + 2 * ALL)
        if alike:
            return True
    return False


def part_paths(
    address,  # IN  of a row, any strides
    row_stride,
    column_stride,
    d,
    left,  # rows after that, the first of a sequence, before the first lane begins; −1: that begins there
    length,  # rows of a part
    warm,  # rows that are gone through before a part, of the part before
    again,  # whether the parts were gone through before, and are only entered again
    first,  # the first of these eight parts
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  in whole numbers
    m,  # SCRATCH
    begun,  # INOUT (parts · STATES) states of the row before each part
    ended,  # OUT (parts · STATES) states of its last row
    gains,  # OUT (parts) by how much the largest of them rises
    guesses,  # OUT (parts) the state its way back begins with
    entry,  # OUT (parts) the state before it, where that leads to
    first_origins,  # OUT (left · LANES) where the best paths to all states came from
    origins,  # OUT ((warm + length) · LANES) likewise
    path,  # OUT (all parts · length) the states, part by part
):
    """Go through eight parts and back; returns false where they cannot be entered again."""
    steps, now = warm + length, 0
    go_on(m)
    for lane in range(LANES):
        m.beta[OFF + lane] = 0.0
    if left >= 0 and not again:
        now = begin_alike(
            address, row_stride, column_stride, d, left, log_weights, operands, chain, m, first_origins,
        )  # fmt: skip
    if left >= 0:
        address += (1 + left) * row_stride
    apart = length * row_stride
    if again:
        if not enter_again(
            address, row_stride, column_stride, d, apart, steps, warm, log_weights, operands, chain, m, first,
            begun, ended, gains, origins,
        ):  # fmt: skip
            return False
    else:
        for lane in range(1 if left >= 0 else 0, LANES):
            for j in range(STATES):
                m.alpha[now + j * LANES + lane] = 0.0
        zero = 0 * d
        now = climb(
            address, row_stride, column_stride, d, apart, steps, zero, warm, log_weights, operands, chain, m,
            now, origins,
        )  # fmt: skip
        keep(m, now, first, begun)
        for lane in range(LANES):
            gains[first + lane] = 0.0 if left >= 0 and lane == 0 else -m.beta[OFF + lane]
        now = climb(
            address, row_stride, column_stride, d, apart, steps, warm, steps, log_weights, operands, chain, m,
            now, origins,
        )  # fmt: skip
        keep(m, now, first, ended)
        for lane in range(LANES):
            gains[first + lane] += m.beta[OFF + lane]
    for lane in range(LANES):
        best = 0
        for j in range(1, STATES):
            if ended[(first + lane) * STATES + j] > ended[(first + lane) * STATES + best]:
                best = j
        guesses[first + lane] = entry[first + lane] = best
    trace(length, entry[first : first + LANES], origins[warm * LANES :], path, first * length)
    return True


@helper
def keep(m, now, first, states):
    """Write down the states of all lanes, part by part."""
    for lane in range(LANES):
        for j in range(STATES):
            states[(first + lane) * STATES + j] = bits_at(m.alpha, now + j * LANES + lane)


def mended(
    left,  # as above
    length,
    warm,
    guesses,  # IN  (parts)
    entry,  # INOUT (parts)
    first_origins,  # IN  (left · LANES)
    origins,  # IN  (groups of eight parts, (warm + length) · LANES)
    path,  # INOUT (rows of the sequence) the states
):
    """Make one path of those of all parts."""
    for part in range(guesses.size - 1, 0, -1):
        state, before = entry[part], part - 1
        if state == guesses[before]:
            continue
        group, t = (before // LANES) * (warm + length) * LANES + before % LANES, length - 1
        at = 1 + left + warm + before * length
        while t >= 0 and path[at + t] != state:
            put(path, at + t, state)
            state = origin_of(origins, group + (warm + t) * LANES, state)
            t -= 1
        if t < 0:
            entry[before] = state
    state = entry[0]
    for t in range(warm - 1, -1, -1):
        put(path, 1 + left + t, state)
        state = origin_of(origins, t * LANES, state)
    for t in range(left - 1, -1, -1):
        put(path, 1 + t, state)
        state = origin_of(first_origins, t * LANES, state)
    put(path, 0, state)
