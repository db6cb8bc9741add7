"""The most probable paths of few states through whole sequences: eight parts side by side, forth and back.

What `viterbi_lanes` says of a stretch, here of all rows of a sequence but the first, and as many more as
eight parts of equal length leave over. Those go through all lanes alike, as all rows of a short sequence do.
"""

from __future__ import annotations

import math

from fusem.kernels.policy import helper
from fusem.kernels.states import LANES
from fusem.kernels.tile import PADDING
from fusem.kernels.viterbi import best_of
from fusem.kernels.viterbi_lanes import join, origin_of, place_of, trace

STATES = 8  # bound to 4 where all fit: loops of known length are written out
LEAST_LANE = 64  # rows: in half of them paths are to meet
ALIKE = LANES * LEAST_LANE  # rows of the longest sequence without parts


@helper
def climb(
    address, row_stride, column_stride, d, apart, length, steps, log_weights, operands, chain, m, before,
    head, ends, origins,
):  # fmt: skip
    """That of `viterbi_lanes`."""


@helper
def in_parts(
    address, row_stride, column_stride, d, length, log_weights, operands, chain, m, nothing, before, head,
    ends, lane_heads, lane_ends, alone, entry, last_states, origins, path, at,
):  # fmt: skip
    """Go through eight parts, after rows of which the best log-probabilities are in `ends`, and back.

    Returns the last state, −1 where paths have not met in all parts.
    """
    apart = length * row_stride
    met = climb(
        address, row_stride, column_stride, d, apart, length, length, log_weights, operands, chain, m,
        nothing, lane_heads, lane_ends, origins,
    )  # fmt: skip
    if met < 0:
        return -1
    join(1, 1 + LANES, before, head, ends, entry, STATES)
    best = best_of(lane_ends, (LANES - 1) * STATES, STATES, 1)
    for lane in range(LANES):
        for j in range(STATES):
            alone[lane * STATES + j] = 0.0 if j == entry[1 + lane] else -math.inf
        last_states[lane] = entry[2 + lane] if lane < LANES - 1 else best
    climb(
        address, row_stride, column_stride, d, apart, length, met, log_weights, operands, chain, m, alone,
        lane_heads, alone, origins,
    )  # fmt: skip
    trace(length, last_states, origins, path, at)
    return best


def best_paths(
    address,  # IN  of the first row, any strides
    row_stride,
    column_stride,
    d,
    begins,  # IN  (sequences) first row of each
    lengths,  # IN  (sequences)
    least_lane,  # rows of a part; shorter sequences go through all lanes alike
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  logarithms
    m,  # SCRATCH
    nothing,  # IN  (0)
    before,  # SCRATCH ((1 + LANES) · STATES) best log-probabilities of the row before each part
    head,  # SCRATCH (same) from each state before a part to where its paths meet
    ends,  # SCRATCH (same) best log-probabilities of its last row; the first part are the rows left over
    lane_heads,  # `head` after its first part: the same memory
    lane_ends,  # likewise `ends`
    alone,  # SCRATCH (LANES · STATES) best log-probabilities of one state before each lane
    entry,  # SCRATCH (1 + LANES) the state before each part
    last_states,  # SCRATCH (LANES) the last state of each lane
    first_origins,  # SCRATCH (LANES · most rows that go alike) their origins
    origins,  # SCRATCH (longest) the others': where the best paths to all states came from
    evidence,  # OUT (sequences) log-density of the best path with its rows
    path,  # OUT (rows) its states
):
    """Find the best path of every sequence; returns in how many of them, the first ones, paths have met."""
    stride = m.tile.w.size + PADDING
    # a helper is compiled anew for every literal that it is given
    zero = 0 * d
    one = zero + 1
    for number in range(lengths.size):
        rows, at = lengths[number], begins[number]
        length, left = divmod(rows - 1, LANES)
        if length < least_lane:
            length, left = 0, rows - 1
        first = address + at * row_stride
        place_of(first, row_stride, column_stride, d, zero, one, zero, log_weights, operands, m)
        for lane in range(LANES):
            for j in range(STATES):
                alone[lane * STATES + j] = chain.start[j] + m.tile.logp[j * stride + lane]
        climb(
            first + row_stride, row_stride, column_stride, d, zero, left, left, log_weights, operands, chain,
            m, alone, lane_heads, alone, first_origins,
        )  # fmt: skip
        for j in range(STATES):
            ends[j] = alone[j]
        state = best_of(ends, 0, STATES, 1)
        evidence[number] = ends[state]
        if length > 0:
            best = in_parts(
                first + (1 + left) * row_stride, row_stride, column_stride, d, length, log_weights,
                operands, chain, m, nothing, before, head, ends, lane_heads, lane_ends, alone, entry,
                last_states, origins, path, at + 1 + left,
            )  # fmt: skip
            if best < 0:
                return number
            evidence[number] = lane_ends[(LANES - 1) * STATES + best]
            state = entry[1]
        for t in range(left, 0, -1):
            path[at + t] = state
            state = origin_of(first_origins, (t - 1) * LANES, state)
        path[at] = state
    return lengths.size
