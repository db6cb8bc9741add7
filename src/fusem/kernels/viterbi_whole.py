"""The most probable path of few states through one sequence: eight parts side by side, forth and back in one call.

What `viterbi_lanes` says of a stretch, here of all rows but the first, and as many more as eight parts of equal
length leave over. Those go through all eight lanes alike.
"""

from __future__ import annotations

import math

from fusem.kernels.policy import helper
from fusem.kernels.tile import PADDING
from fusem.kernels.viterbi import best_of
from fusem.kernels.viterbi_lanes import LANES, join, origin_of, place_of, trace

STATES = 8  # bound to 4 where all fit: loops of known length are written out


@helper
def climb(
    address, row_stride, column_stride, d, apart, length, steps, log_weights, operands, chain, m, before,
    head, ends, origins,
):  # fmt: skip
    """That of `viterbi_lanes`."""


def best_path(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    d,
    rows,
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    chain,  # IN  logarithms
    m,  # SCRATCH
    nothing,  # IN  (0)
    before,  # SCRATCH ((1 + LANES) · STATES) best log-probabilities of the row before each part
    head,  # SCRATCH (same) from each state before a part to where its paths meet
    ends,  # SCRATCH (same) best log-probabilities of its last row; the first part are the rows left over
    lane_heads,  # those of the lanes
    lane_ends,
    alone,  # SCRATCH (LANES · STATES) best log-probabilities of one state before each lane
    entry,  # SCRATCH (1 + LANES) the state before each part
    last_states,  # SCRATCH (LANES) the last state of each lane
    first_origins,  # SCRATCH (LANES · LANES) origins of the rows left over
    origins,  # SCRATCH (rows) where the best paths to all states came from
    evidence,  # OUT (1) log-density of the best path with the rows
    path,  # OUT (rows) its states
):
    """Find the best path; returns whether paths have met in all parts, without which there is none."""
    stride, (length, left) = m.tile.w.size + PADDING, divmod(rows - 1, LANES)
    place_of(address, row_stride, column_stride, d, 0, 1, 0, log_weights, operands, m)
    for lane in range(LANES):
        for j in range(STATES):
            alone[lane * STATES + j] = chain.start[j] + m.tile.logp[j * stride + lane]
    address += row_stride
    climb(
        address, row_stride, column_stride, d, 0, left, left, log_weights, operands, chain, m, alone,
        lane_heads, alone, first_origins,
    )  # fmt: skip
    for j in range(STATES):
        ends[j] = alone[j]
    address += left * row_stride
    met = climb(
        address, row_stride, column_stride, d, length * row_stride, length, length, log_weights, operands,
        chain, m, nothing, lane_heads, lane_ends, origins,
    )  # fmt: skip
    if met < 0:
        return False
    join(1, 1 + LANES, before, head, ends, entry, STATES)
    best = best_of(lane_ends, (LANES - 1) * STATES, STATES, 1)
    evidence[0] = lane_ends[(LANES - 1) * STATES + best]
    for lane in range(LANES):
        for j in range(STATES):
            alone[lane * STATES + j] = 0.0 if j == entry[1 + lane] else -math.inf
        last_states[lane] = entry[2 + lane] if lane < LANES - 1 else best
    climb(
        address, row_stride, column_stride, d, length * row_stride, length, met, log_weights, operands,
        chain, m, alone, lane_heads, alone, origins,
    )  # fmt: skip
    trace(length, last_states, origins, path, 1 + left)
    state = entry[1]
    for t in range(left, 0, -1):
        path[t] = state
        state = origin_of(first_origins, (t - 1) * LANES, state)
    path[0] = state
    return True
