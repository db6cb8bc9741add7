"""The most probable paths (Viterbi) of sequences that are neither many and short nor very long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.em.spaces import result, scratch
from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_sequences import few_states, segments
from fusem.hmm.traversal import NOTHING, parameters_of
from fusem.kernels.chain import whole_kernel
from fusem.kernels.states import LANES
from fusem.kernels.tile import aligned
from fusem.kernels.viterbi_lanes import packed_in
from fusem.kernels.viterbi_whole import ALIKE, LEAST_LANE
from fusem.mixture.engine import location

Array = NDArray[np.float64]
# Seconds of a single thread, about: of less a second one takes as much as it gives.
LANES_WORTH_HELP = 2e-3
LONGEST = 1e-1  # of one sequence: where paths do not meet, eight numbers are kept of every row
FEW = 32  # sequences that may be short: such steps take eight times as long
# Operations of a step's densities and rows of a sequence: dear ones are not to be worked out eight times, as
# they are of some hundred rows of each sequence.
CHEAP, LONG = 1000.0, 8192


def each_whole(engine: ChainEngine, observations: Observations) -> bool:
    """Whether there are few states, of whose rows nothing is known, and sequences of such lengths."""
    lengths = observations.lengths
    long_enough = len(lengths) <= FEW or observations.n_rows >= ALIKE * len(lengths)
    return bool(
        few_states(engine, observations)
        and long_enough
        and (is_cheap(engine) or lengths.min() >= LONG)
        and lengths.max() * engine.seconds_per_step < LONGEST
    )


def is_cheap(engine: ChainEngine) -> bool:
    """Whether densities may be worked out for eight lanes that hold the same rows."""
    return engine.operations <= CHEAP


def whole_paths(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, Ints] | None:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,).

    None where paths do not meet in a sequence whose densities are too dear to go through all lanes alike.
    """
    lengths, W = observations.lengths, engine.width
    begins = np.cumsum(lengths) - lengths
    evidence, states = np.empty(len(lengths)), result(observations.n_rows, np.int64)
    parameters, packed = parameters_of(engine, model, True), packed_in(W)
    kernel = whole_kernel(engine.emission, W)[engine.dtype]

    def through(first: int, last: int, least_lane: int, alike: int) -> int:
        """Take some sequences as far as paths meet; how many of them."""
        rows, begin = lengths[first:last], int(begins[first])
        end = begin + int(rows.sum())
        X = observations.part(begin, end)  # held: it may be a copy
        address, row_stride, column_stride, _ = location(X)
        before, head, ends = np.empty((3, (1 + LANES) * W))
        entry, last_states = aligned(4 * LANES, np.int64).reshape(2, 2 * LANES)
        with (
            engine.space("lanes", True) as space,
            scratch(alike * LANES, packed) as first_origins,
            scratch(int(rows.max(initial=0)), packed) as origins,
        ):
            met: int = kernel(
                address, row_stride, column_stride, engine.d, begins[first:last] - begin, rows, least_lane,
                *parameters, space, NOTHING, before, head, ends, head[W:], ends[W:], np.empty(LANES * W),
                entry, last_states, first_origins, origins, evidence[first:last], states[begin:end],
            )  # fmt: skip
        return met

    failed: list[int] = []

    def work(segment: tuple[int, int]) -> None:
        first, last = segment
        while first < last and not failed:
            first += through(first, last, LEAST_LANE, ALIKE)
            if first < last and not is_cheap(engine):
                failed.append(first)
            elif first < last:  # paths do not meet in parts of this one: it has none
                rows = int(lengths[first])
                through(first, first + 1, rows, rows)
                first += 1

    if not kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
        through(0, 0, LEAST_LANE, ALIKE)
    workers.run(iter(segments(lengths, begins, workers.n_jobs)), work)
    return None if failed else (evidence, states)
