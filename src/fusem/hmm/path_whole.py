"""The most probable paths (Viterbi) of sequences that are neither many and short nor very long, a call for several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_sequences import few_states, segments
from fusem.hmm.traversal import NOTHING, parameters_of
from fusem.kernels.chain import whole_kernel
from fusem.kernels.large_pages import LEAST_RESULT, room, scratch
from fusem.kernels.viterbi_lanes import LANES, packed_in
from fusem.kernels.viterbi_whole import ALIKE
from fusem.mixture.engine import location

Array = NDArray[np.float64]
SECONDS = 5e-3  # of a sequence, at most: more is worth several threads
FEW = 32  # sequences that may be short: such steps take eight times as long


def each_whole(engine: ChainEngine, observations: Observations) -> bool:
    """Whether there are few states, of whose rows nothing is known, and sequences of such lengths."""
    lengths = observations.lengths
    long_enough = len(lengths) <= FEW or observations.n_rows >= ALIKE * len(lengths)
    return bool(
        few_states(engine, observations)
        and long_enough
        and lengths.max() * engine.seconds_per_step < SECONDS
    )


def whole_paths(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, Ints] | None:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,).

    None where the paths of a sequence do not meet.
    """
    lengths, W = observations.lengths, engine.width
    begins = np.cumsum(lengths) - lengths
    evidence, states = np.empty(len(lengths)), room(observations.n_rows, np.int64, LEAST_RESULT)
    parameters, packed = parameters_of(engine, model, True), packed_in(W)
    kernel, met = whole_kernel(engine.emission, W)[engine.dtype], True

    def work(segment: tuple[int, int]) -> None:
        nonlocal met
        own = slice(*segment)
        rows, begin = lengths[own], int(begins[own.start])
        end = begin + int(rows.sum())
        X = observations.part(begin, end)  # held: it may be a copy
        address, row_stride, column_stride, _ = location(X)
        before, head, last = np.empty((3, (1 + LANES) * W))
        entry, last_states = np.empty((2, 1 + LANES), dtype=np.int64)
        with (
            engine.space(True, kept_for="lanes") as space,
            scratch(int(rows.max(initial=0)), packed) as origins,
        ):
            found = kernel(
                address, row_stride, column_stride, engine.d, begins[own] - begin, rows, *parameters,
                space, NOTHING, before, head, last, head[W:], last[W:], np.empty(LANES * W), entry,
                last_states, np.empty(ALIKE * LANES, dtype=packed), origins, evidence[own],
                states[begin:end],
            )  # fmt: skip
        if found < len(rows):
            met = False

    if not kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
        work((0, 0))
    workers.run(iter(segments(lengths, begins)), work)
    return (evidence, states) if met else None
