"""The most probable paths of many short sequences with few states: eight side by side, a lane each.

As in `viterbi_lanes` a vector holds one state of eight sequences, and a tile the rows of the same steps of
all of them; here each begins and ends on its own. Those of a group have about the same length: where a
shorter one has ended its last row is repeated, and what comes of that is not looked at.
"""

from __future__ import annotations

from fusem.kernels.elements import put
from fusem.kernels.far_rows import bring_near as settle
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes
from fusem.kernels.states import LANES
from fusem.kernels.tile import PADDING, gather_rows, load_group
from fusem.kernels.viterbi_lanes import advance, origin_of

STATES = 8  # bound to other numbers


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The family's tile kernel."""


@helper
def load_steps(
    address, row_stride, column_stride, d, firsts, lasts, t, steps, log_weights, operands, m, chosen
):  # fmt: skip
    """Log-densities of some steps of a group from t on, step by step."""
    x, strip = m.tile.x, 4 * lanes(m.tile.x)
    width = -(-steps * LANES // strip) * strip
    apart, alike = firsts[1] - firsts[0], True
    for lane in range(1, LANES):
        alike &= firsts[lane] - firsts[lane - 1] == apart and lasts[lane] == lasts[0]
    if alike:  # equal lengths, one after the other: nothing is to be looked up
        for r in range(0, width, LANES):
            row = address + (firsts[0] + min(t + r // LANES, lasts[0])) * row_stride
            load_group(row, apart * row_stride, column_stride, x, x, r, d)
    else:
        for step in range(width // LANES):
            for lane in range(LANES):
                row = firsts[lane] + min(t + step, lasts[lane])
                put(chosen, step * LANES + lane, row)
        gather_rows(address, row_stride, column_stride, chosen, 0, x, d, width)
    logp, scratch, stride = m.tile.logp, m.tile.scratch, m.tile.w.size + PADDING
    log_density(x, operands, log_weights, logp, scratch, d, width, stride)
    settle(m, log_weights.size, stride, width)


@helper
def begin(m, chain):
    """For whole numbers; in floating point the start is added to a first row by `enter`."""


@helper
def lowered(m, at):
    """Likewise; states in floating point may fall as long as they like."""


@helper
def state_value(m, at):
    """A state's logarithm."""
    return m.alpha[at]


@helper
def off(m, lane):
    """What was taken off it."""
    return 0.0


@helper
def enter(m, then, chain, stride):
    """The states of every lane after its first row, that of the tile."""
    for j in range(STATES):
        for lane in range(LANES):
            value = chain.start[j] + m.tile.logp[j * stride + lane]
            m.alpha[then + j * LANES + lane] = value


@helper
def best_state(m, at):
    """The first of the best states of a lane."""
    best = 0
    for j in range(1, STATES):
        if state_value(m, at + j * LANES) > state_value(m, at + best * LANES):
            best = j
    return best


@helper
def trace(firsts, lasts, states, origins, path):
    """Write the states of a group's paths from their last rows on, of which they are given."""
    shortest = lasts[0] + 1
    for t in range(lasts[LANES - 1], -1, -1):
        for lane in range(LANES):
            if t < shortest or t <= lasts[lane]:
                state = states[lane]
                put(path, firsts[lane] + t, state)
                if t > 0:
                    states[lane] = origin_of(origins, t * LANES + lane, state)


def best_paths(
    address,  # IN  of the first row of the segment
    row_stride,
    column_stride,
    d,
    order,  # IN  (groups · LANES) sequences, by length; all groups are full
    begins,  # IN  (sequences) first row of each
    lengths,  # IN  (sequences)
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  logarithms
    m,  # SCRATCH
    chosen,  # SCRATCH (tile) rows in a tile
    firsts,  # SCRATCH (LANES) a group's first rows
    lasts,  # SCRATCH (LANES) its last steps
    states,  # SCRATCH (LANES)
    origins,  # SCRATCH (longest · LANES) where the best paths to all states came from
    evidence,  # OUT (sequences) log-density of the best path with its rows
    path,  # OUT (rows) its states
):
    """The best path of every sequence."""
    tile = m.tile.w.size
    stride, per_tile = tile + PADDING, tile // LANES
    for group in range(0, order.size, LANES):
        for lane in range(LANES):
            firsts[lane] = begins[order[group + lane]]
            lasts[lane] = lengths[order[group + lane]] - 1
        longest, ended = lasts[LANES - 1] + 1, 0
        now, then = 0, STATES * LANES
        for t in range(longest):
            place = t % per_tile
            if t == 0:
                begin(m, chain)
            if place == 0:
                load_steps(
                    address, row_stride, column_stride, d, firsts, lasts, t, min(per_tile, longest - t),
                    log_weights, operands, m, chosen,
                )  # fmt: skip
                if t > 0:
                    lowered(m, now)
            if t > 0:
                advance(m, now, then, chain, place, stride, origins, t * LANES)
            else:
                enter(m, then, chain, stride)
            now, then = then, now
            while ended < LANES and lasts[ended] == t:
                states[ended] = best_state(m, now + ended)
                best = now + states[ended] * LANES + ended
                evidence[order[group + ended]] = state_value(m, best) + off(m, ended)
                ended += 1
        trace(firsts, lasts, states, origins, path)
