"""The most probable paths (Viterbi) of sequences that one call each goes through, forth and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.traversal import NOTHING, parameters_of
from fusem.kernels.chain import whole_kernel
from fusem.kernels.large_pages import LEAST_RESULT, room, scratch
from fusem.kernels.viterbi_lanes import LANES, MOST_STATES, packed_in
from fusem.mixture.engine import location

Array = NDArray[np.float64]
LEAST = 1024  # rows of a sequence
SECONDS = 5e-3  # of a sequence, at most: more is worth several threads


def each_whole(engine: ChainEngine, observations: Observations) -> bool:
    """Whether there are few states and no sequence is short or very long, with nothing known of its rows."""
    if engine.emission.by_pattern is not None or observations.states is not None:
        return False
    if engine.n_states > MOST_STATES:
        return False
    least, most = observations.lengths.min(), observations.lengths.max()
    return bool(least >= LEAST and most * engine.seconds_per_step < SECONDS)


def whole_paths(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, Ints] | None:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,).

    None where the paths of a sequence do not meet.
    """
    lengths, W = observations.lengths, engine.width
    ends = np.cumsum(lengths)
    evidence, states = np.empty(len(lengths)), room(observations.n_rows, np.int64, LEAST_RESULT)
    parameters = parameters_of(engine, model, True)
    kernel, packed = whole_kernel(engine.emission, W)[engine.dtype], packed_in(W)
    met = np.ones(len(lengths), dtype=bool)

    def work(number: int) -> None:
        end, rows = int(ends[number]), int(lengths[number])
        X = observations.part(end - rows, end)  # held: it may be a copy
        address, row_stride, column_stride, _ = location(X)
        before, head, last = np.empty((3, (1 + LANES) * W))
        entry, last_states = np.empty((2, 1 + LANES), dtype=np.int64)
        with engine.space(True) as space, scratch(rows, packed) as origins:
            met[number] = kernel(
                address, row_stride, column_stride, engine.d, rows, *parameters, space, NOTHING, before,
                head, last, head[W:], last[W:], np.empty(LANES * W), entry, last_states,
                np.empty(LANES * LANES, dtype=packed), origins, evidence[number:],
                states[end - rows : end],
            )  # fmt: skip

    numbers = iter(range(len(lengths)))
    if not kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
        work(next(numbers))
    workers.run(numbers, work)
    return (evidence, states) if met.all() else None
