"""The most probable paths (Viterbi) of many short sequences, eight at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.spaces import result, scratch
from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_density import of_rows
from fusem.hmm.traversal import parameters_of
from fusem.kernels.chain import sequences_kernel
from fusem.kernels.fixed_point import MOST_FIXED, fixed_chain, origins_in
from fusem.kernels.states import LANES
from fusem.kernels.tile import aligned
from fusem.kernels.viterbi_lanes import MOST_STATES, packed_in
from fusem.mixture.engine import location

Array = NDArray[np.float64]
# Rows of one call, at least and at most, and calls of a thread: long against the 60 µs of Python around each,
# enough of them that threads end together, short against Ctrl-C.
SEGMENT, LONGEST_SEGMENT, CALLS = 1 << 15, 1 << 17, 2
LONGEST = 1 << 12  # rows of a sequence: what is kept of eight is to stay in the second cache
# Steps of all groups over those that eight lanes would take at best: more and lanes stand empty too often.
MOST_EMPTY = 1.5
# Of every segment, by its first sequence and last + 1, the order of its sequences.
Plan = dict[tuple[int, int], Ints]


def nothing_known(engine: ChainEngine, observations: Observations) -> bool:
    """Whether rows go in their order, and no state is known."""
    return engine.emission.by_pattern is None and observations.states is None


def few_states(engine: ChainEngine, observations: Observations) -> bool:
    """Whether a step of eight lanes can be taken: with few states, of whose rows nothing is known."""
    return nothing_known(engine, observations) and engine.n_states <= MOST_STATES


def in_whole_numbers(engine: ChainEngine, model: ChainModel, observations: Observations) -> bool:
    """Whether it can be taken in whole numbers: with more states too, where no transition is forbidden."""
    few = nothing_known(engine, observations) and engine.n_states <= MOST_FIXED
    return bool(few and (model.transitions > 0.0).all())


def fixed_parameters(engine: ChainEngine, model: ChainModel) -> tuple[Any, ...]:
    """`parameters_of` in whole numbers."""
    weights, operands, chain = parameters_of(engine, model, True)
    return weights, operands, fixed_chain(chain, model.transitions)


def segments(lengths: Ints, begins: Ints, n_jobs: int) -> list[tuple[int, int]]:
    """Runs of sequences that one call takes, the first of each and the last + 1."""
    each = int(begins[-1] + lengths[-1]) // (CALLS * n_jobs)
    return batches(begins, min(max(SEGMENT, each), LONGEST_SEGMENT))


def batches(begins: Ints, n_rows: int) -> list[tuple[int, int]]:
    """Runs of sequences that begin within the same so many rows."""
    segment = begins // n_rows
    new = (segment[1:] != segment[:-1]).nonzero()[0] + 1
    return list(pairwise([0, *new.tolist(), len(begins)]))


def fills_lanes(lengths: Ints, begins: Ints) -> bool:
    """Whether few of eight lanes stand empty, in calls of the least rows: whatever the number of threads."""
    steps = 0
    for first, last in batches(begins, SEGMENT):
        own = np.sort(lengths[first:last])
        steps += int(own[LANES - 1 :: LANES].sum()) + (int(own[-1]) if len(own) % LANES else 0)
    return steps * LANES <= MOST_EMPTY * int(begins[-1] + lengths[-1])


def side_by_side(
    engine: ChainEngine, model: ChainModel, observations: Observations, n_jobs: int
) -> Plan | None:
    """What goes together where there are few states and many short sequences, of whose rows nothing is known.

    Sequences of a segment are in the order of their lengths, in full groups: of the last one some once more.
    """
    lengths = observations.lengths
    if not (few_states(engine, observations) or in_whole_numbers(engine, model, observations)):
        return None
    begins = np.cumsum(lengths) - lengths
    if len(lengths) < 2 * LANES or lengths.max() > LONGEST or not fills_lanes(lengths, begins):
        return None
    plan = {}
    for first, last in segments(lengths, begins, n_jobs):
        order = np.argsort(lengths[first:last], kind="stable")
        plan[first, last] = np.append(order, np.repeat(order[-1], -len(order) % LANES))
    return plan


def short_paths(
    plan: Plan,
    engine: ChainEngine,
    model: ChainModel,
    observations: Observations,
    workers: Workers,
) -> tuple[Array, Ints]:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,)."""
    lengths, n_rows = observations.lengths, observations.n_rows
    begins = np.cumsum(lengths) - lengths
    evidence, states = np.empty(len(lengths)), result(n_rows, np.int64)
    fixed = engine.width > 4 and in_whole_numbers(engine, model, observations)  # of four no gain
    if fixed:
        parameters, packed = fixed_parameters(engine, model), origins_in(engine.width)
    else:
        parameters, packed = parameters_of(engine, model, True), packed_in(engine.width)
    kernel = sequences_kernel(engine.emission, engine.width, fixed)[engine.dtype]

    def work(segment: tuple[int, int], order: Ints | None = None) -> None:
        first, last = segment
        order = plan[segment] if order is None else order
        own, at = lengths[first:last], begins[first:last] - begins[first]
        begin, end = int(begins[first]), int(begins[first] + own.sum())
        X = observations.part(begin, end)  # held: it may be a copy
        address, row_stride, column_stride, _ = location(X)
        size = int(own.max()) * LANES
        with engine.space("lanes", True) as space, scratch(size, packed) as origins:
            chosen, lanes = aligned(len(space.tile.w), np.int32), aligned(3 * LANES, np.int64)
            kernel(
                address, row_stride, column_stride, engine.d, order, at, own, *parameters, space,
                chosen, *lanes.reshape(3, LANES), origins, evidence[first:last],
                states[begin:end],
            )  # fmt: skip

    if not kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
        work((0, 1), np.empty(0, dtype=np.int64))
    workers.run(iter(plan), work)
    # an impossible row's largest density is taken off itself
    evidence[np.isnan(evidence)] = -np.inf
    if fixed:
        of_rows(engine, model, observations, evidence, states)
    return evidence, states
