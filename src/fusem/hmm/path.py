"""The most probable path of states (Viterbi) of every sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from fusem.em.spaces import result, scratch
from fusem.em.workers import ALONE, Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_codes import CodePaths, codes_to_decode
from fusem.hmm.path_parts import in_parts, paths_in_parts
from fusem.hmm.path_sequences import short_paths, side_by_side
from fusem.hmm.path_whole import LANES_WORTH_HELP, each_whole, whole_paths
from fusem.hmm.sequence_filter import RowDensities
from fusem.hmm.stretches import Stretch, stretches_of
from fusem.hmm.traversal import NO_FLAGS, NOTHING, Traversal
from fusem.kernels.chain import path_kernel
from fusem.kernels.far_rows import FAR
from fusem.kernels.states import ChainSpace
from fusem.kernels.viterbi import trace
from fusem.kernels.viterbi_whole import ALIKE

Array = NDArray[np.float64]
STRETCHES = 8  # that a long source is at least cut into
# Paths take some tens of rows to meet, each from all states: few of a stretch of so many rows per state.
LEAST_ROWS = 128
# Rows of a stretch times lanes of its states: about 0.2 ms, long against the 50 µs of Python a stretch takes.
LEAST_WORK = 1 << 16
# Seconds of a single thread, about: of less a second one takes more than it gives, as every stretch has rows
# that are gone through twice.
WORTH_HELP = 5e-3
SECONDS_BACK = 4e-9  # per row, of the way back
TASKS = 4  # that the way back is about cut into: it is short against waking a thread
MOST_ROWS, MOST_MOVES = 1 << 20, 1 << 30  # of one call: short against Ctrl-C
# Bytes of origins; more only where the path itself takes as much.
LEAST_KEPT = 64 << 20
FAR_ROWS = 1 << 16  # whose densities are looked at in one call


def best_paths(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, Ints]:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,)."""
    codes = codes_to_decode(engine, model, observations)
    if codes is not None:
        coded = CodePaths(*codes, engine, model, observations, workers)
        if coded.evidence is not None:
            return coded.evidence, coded.states
    found, plan = None, side_by_side(engine, model, observations, workers.n_jobs)
    if plan is not None:
        workers = workers_for(engine, observations, workers, LANES_WORTH_HELP)
        found = short_paths(plan, engine, model, observations, workers)
    elif in_parts(engine, model, observations):
        found = paths_in_parts(engine, model, observations, workers)
    short = observations.lengths.max() <= ALIKE
    if (
        found is None
        and each_whole(engine, observations)
        and (short or comes_back(model.transitions))
    ):
        workers = workers_for(engine, observations, workers, LANES_WORTH_HELP)
        found = whole_paths(engine, model, observations, workers)
    if found is None:
        climbed = Paths(engine, model, observations, workers)
        found = climbed.evidence, climbed.states
    if engine.alarmed:
        found = found[0] + tops_of_far_rows(engine, model, observations), found[1]
    return found


def tops_of_far_rows(engine: ChainEngine, model: ChainModel, observations: Observations) -> Array:
    """What `bring_near` took off the rows of each sequence."""
    densities, ends = RowDensities(engine, model), observations.ends
    total = np.zeros(len(ends))
    for first in range(0, observations.n_rows, FAR_ROWS):
        last = min(first + FAR_ROWS, observations.n_rows)
        top = densities(observations.part(first, last), observations.known(first, last)).max(axis=1)
        far = np.flatnonzero((top < -FAR) & (top > -np.inf))
        sequence = np.searchsorted(ends, first + far, side="right")
        total += np.bincount(sequence, weights=top[far], minlength=len(ends))
    return total


def workers_for(
    engine: ChainEngine, observations: Observations, workers: Workers, least: float
) -> Workers:
    """The caller's thread alone where all takes it less than so many seconds."""
    alone = observations.n_rows * engine.seconds_per_step < least
    return ALONE if alone else workers


def comes_back(transitions: Array) -> bool:
    """Whether every state can be reached from every other."""
    possible = transitions > 0.0
    return bool(possible.all()) or connected_components(possible, connection="strong")[0] == 1


class Paths(Traversal):
    """Best paths of all sequences.

    Attributes
    ----------
    evidence : array of shape (n_sequences,)
        Log-density of each path with its rows.
    states : array of shape (n_rows,)
        The paths.
    """

    purpose = "paths"

    def __init__(
        self, engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
    ) -> None:
        layout, W, n_rows = engine.layout(observations.lengths), engine.width, observations.n_rows
        workers = workers_for(engine, observations, workers, WORTH_HELP)
        alone = workers is ALONE
        super().__init__(engine, model, observations, layout, workers, logarithms=True)
        least, most = LEAST_ROWS * W, min(MOST_ROWS, MOST_MOVES // W**2)
        self._can_meet = most >= least and comes_back(model.transitions)
        rows = n_rows if alone else max(LEAST_WORK // W, n_rows // STRETCHES)
        rows = min(max(least, rows), most)
        self._evidence = np.zeros(len(layout.opens))
        self._last_state = np.zeros(len(layout.opens), dtype=np.int64)
        self.states = result(n_rows, np.int64)

        stretches = stretches_of(layout, observations.lengths, rows)
        n = len(stretches)
        self._before = np.full((n, W), np.nan)  # best log-probabilities of the row before
        self._head = np.empty((n, W))  # from each state there to where all best paths have met
        self._ends = np.empty((n, W))  # those of the last row
        self._met = np.full(n, -1)  # rows of a part before the meeting; −1: paths do not meet
        self._entry = np.full(n + 1, -1)  # state of the row before; −1 while unknown

        self._kind = np.uint8 if engine.n_states <= 256 else np.uint16
        self._origins = np.empty(0, dtype=self._kind)  # of a slab of stretches
        self._origin = 0  # its first row
        self._kernel = self.compiled(
            path_kernel(engine.emission, engine.arithmetic), NO_FLAGS, NO_FLAGS,
            *self.parameters, ChainSpace, NOTHING, np.zeros(W), np.zeros(W), self._evidence,
            self._last_state, self._origins,
        )  # fmt: skip
        self._trace_kernel = trace[np.float64]
        self._trace_kernel(
            0, 0, layout.pieces, NO_FLAGS, NO_FLAGS, self._last_state, 0, self._origins, W, self.states,
        )  # fmt: skip
        slabs = list(self._slabs(stretches))
        most = max(end - begin for begin, end in map(self._rows, slabs))
        with scratch(most * W, self._kind) as self._origins:
            self._find(slabs)
        self._origins = self._origins[:0]
        self.evidence: Array = self._evidence[layout.closes]

    def _find(self, slabs: list[list[Stretch]]) -> None:
        """Forth slab by slab; back as soon as no sequence runs on."""
        waiting: list[list[Stretch]] = []
        for slab in slabs:
            self._origin = self._rows(slab)[0]
            free = (s for s in slab if s.opens or self._can_meet)
            self.workers.run(free, lambda s: self._climb(s, NOTHING))
            self._connect(slab)
            if slab[-1].runs_on:
                waiting.append(slab)
                continue
            self._trace(slab)
            while waiting:
                earlier = waiting.pop()
                self._origin = self._rows(earlier)[0]
                self.workers.run(iter(earlier), lambda s: self._climb(s, self._entrance(s.number)))
                self._trace(earlier)

    def _slabs(self, stretches: list[Stretch]) -> Iterator[list[Stretch]]:
        """Runs of stretches whose origins are kept at the same time."""
        per_row = self.engine.width * np.dtype(self._kind).itemsize
        most = max(LEAST_KEPT, self.states.nbytes) // per_row
        slab: list[Stretch] = []
        for stretch in stretches:
            if slab:
                begin, end = self.layout.rows(slab[0].first, stretch.last)
                if end - begin > most:
                    yield slab
                    slab = []
            slab.append(stretch)
        yield slab

    def _rows(self, slab: list[Stretch]) -> tuple[int, int]:
        """Rows of a slab."""
        return self.layout.rows(slab[0].first, slab[-1].last)

    def _origins_of(self, begin: int, end: int) -> NDArray[Any]:
        W = self.engine.width
        return self._origins[(begin - self._origin) * W : (end - self._origin) * W]

    def _climb(self, stretch: Stretch, before: Array) -> None:
        """The best way to every state at every row; `before` is empty where it is not known."""
        number, layout = stretch.number, self.layout
        origins = self._origins_of(*layout.rows(stretch.first, stretch.last))
        _held, known, given = self.given(stretch.first, stretch.last)
        with self.engine.space(self.purpose, True, known) as space:
            self._met[number] = self._kernel(
                *given, layout.opens, layout.closes, *self.parameters, space, before,
                self._head[number], self._ends[number], self._evidence, self._last_state,
                origins,
            )  # fmt: skip

    def _entrance(self, number: int) -> Array:
        """Best log-probabilities of the row before, of the one state alone where that is known.

        Another one may be as good, but the stretch before ends in this one.
        """
        before: Array = self._before[number]
        entry = self._entry[number]
        if entry < 0:
            return before
        alone = np.full(len(before), -np.inf)
        alone[entry] = before[entry]
        return alone

    def _connect(self, slab: list[Stretch]) -> None:
        """What came before each stretch: where paths have met that adds one number to all that follows."""
        for stretch in slab:
            if stretch.opens:
                continue
            number, blocks = stretch.number, self.layout.blocks
            if self._met[number] < 0:
                self._before[number] = self._ends[number - 1]
                self._climb(stretch, self._before[number])
                continue
            before = self._before[number]
            before[:] = self._ends[number - 1]
            ways = before + self._head[number]
            self._entry[number] = ways.argmax()
            first, last = blocks[stretch.first], blocks[stretch.last]
            closing = np.flatnonzero(self.layout.closes[first:last])
            if closing.size:
                self._evidence[first + closing[0]] += ways.max()
            else:
                self._ends[number] += ways.max()

    def _trace(self, slab: list[Stretch]) -> None:
        """The states of all rows; stretches whose last states depend on each other from the last on."""
        tasks: list[list[Stretch]] = []
        each = -(-len(slab) // TASKS)
        for stretch in slab:
            free = stretch.opens or self._entry[stretch.number] >= 0
            if not tasks or (free and len(tasks[-1]) >= each):
                tasks.append([])
            tasks[-1].append(stretch)
        begin, end = self._rows(slab)
        again = np.maximum(self._met[slab[0].number : slab[-1].number + 1], 0).sum()
        seconds = (end - begin) * SECONDS_BACK + again * self.engine.seconds_per_step
        (ALONE if seconds < WORTH_HELP else self.workers).run(iter(tasks), self._back)

    def _back(self, task: list[Stretch]) -> None:
        layout, W = self.layout, self.engine.width
        for stretch in reversed(task):
            number = stretch.number
            if self._met[number] > 0:
                self._until_met(stretch)
            begin, end = layout.rows(stretch.first, stretch.last)
            states = self.states[begin:end]
            first, last = layout.blocks[[stretch.first, stretch.last]]
            state = self._trace_kernel(
                first, last, layout.pieces, layout.opens, layout.closes, self._last_state,
                self._entry[number + 1], self._origins_of(begin, end), W, states,
            )  # fmt: skip
            if self._entry[number] < 0:
                self._entry[number] = state

    def _until_met(self, stretch: Stretch) -> None:
        """Origins of the first rows, from the one state before them that is on the path."""
        number, engine, met = stretch.number, self.engine, int(self._met[stretch.number])
        begin, end = self.layout.rows(stretch.first, stretch.last)
        end = begin + met
        before, head, ends = np.full((3, engine.width), -np.inf)
        before[self._entry[number]] = 0.0
        one, no = np.array([0, 1]), np.array([False])
        _held, known, given = self.rows_given(begin, end, one, np.array([0, end - begin]))
        with engine.space(self.purpose, True, known) as space:
            self._kernel(
                *given, no, no, *self.parameters, space, before, head, ends, self._evidence,
                self._last_state, self._origins_of(begin, end),
            )  # fmt: skip
