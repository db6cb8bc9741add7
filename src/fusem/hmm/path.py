"""The most probable path of states (Viterbi) of every sequence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.observations import Observations
from fusem.hmm.traversal import NO_FLAGS, NOTHING, Traversal
from fusem.kernels.chain import path_kernel
from fusem.kernels.states import ChainSpace
from fusem.kernels.viterbi import trace

Array = NDArray[np.float64]
STRETCHES = 8  # that a long source is at least cut into
# Paths take some tens of rows to meet, each from all states: few of a stretch of so many rows per state.
LEAST_ROWS = 128
# Rows of a stretch times lanes of its states: about 0.2 ms, long against the 50 µs of Python a stretch takes.
LEAST_WORK = 1 << 16
TASKS = 4  # that the way back is about cut into: it is short against waking a thread
MOST_ROWS, MOST_MOVES = 1 << 20, 1 << 30  # of one call: short against Ctrl-C
LEAST_KEPT = 64 << 20  # bytes of origins; more only where the path itself takes as much


def comes_back(transitions: Array) -> bool:
    """Whether every state can be reached from every other."""
    possible = transitions > 0.0
    return bool(possible.all()) or connected_components(possible, connection="strong")[0] == 1


class Stretch(NamedTuple):
    """Blocks that one call goes through."""

    number: int
    first: int
    last: int
    opens: bool  # whether a sequence begins with it
    runs_on: bool  # whether the last one goes on after it


class Paths(Traversal):
    """Best paths of all sequences.

    Attributes
    ----------
    evidence : array of shape (n_sequences,)
        Log-density of each path with its rows.
    states : array of shape (n_rows,)
        The paths.
    """

    def __init__(
        self, engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
    ) -> None:
        layout, W, n_rows = engine.layout(observations.lengths), engine.width, observations.n_rows
        super().__init__(engine, model, observations, layout, workers, logarithms=True)
        rows = max(LEAST_ROWS * W, LEAST_WORK // W, n_rows // STRETCHES)
        self._rows = min(rows, MOST_ROWS, MOST_MOVES // W**2)
        self._can_meet = self._rows >= LEAST_ROWS * W and comes_back(model.transitions)
        self._evidence = np.zeros(len(layout.opens))
        self._last_state = np.zeros(len(layout.opens), dtype=np.int64)
        self.states = np.empty(n_rows, dtype=np.int64)

        stretches = self._stretches()
        n = len(stretches)
        self._before = np.full((n, W), np.nan)  # best log-probabilities of the row before
        self._head = np.empty((n, W))  # from each state there to where all best paths have met
        self._ends = np.empty((n, W))  # those of the last row
        self._met = np.full(n, -1)  # rows before the meeting; −1: paths do not meet
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
        self._find(stretches)
        self.evidence: Array = self._evidence[layout.closes]

    def _stretches(self) -> list[Stretch]:
        """All blocks, cut by what does not depend on the number of threads."""
        layout, lengths = self.layout, self.observations.lengths
        first, sequence = layout.blocks[:-1], layout.sequence[layout.blocks[:-1]]
        # only a sequence that is longer than a stretch is cut
        starts = self.observations.ends[sequence] - lengths[sequence]
        place = np.where(lengths[sequence] > self._rows, layout.pieces[first], starts)
        part = place // self._rows
        cuts = [0, *(np.flatnonzero(part[1:] != part[:-1]) + 1).tolist(), layout.n_blocks]
        opens, runs_on = layout.opens[first].tolist(), (~layout.closes[layout.blocks[1:] - 1])
        return [
            Stretch(i, a, b, opens[a], bool(runs_on[b - 1]))
            for i, (a, b) in enumerate(pairwise(cuts))
        ]

    def _find(self, stretches: list[Stretch]) -> None:
        """Forth slab by slab; back as soon as no sequence runs on."""
        waiting: list[list[Stretch]] = []
        for slab in self._slabs(stretches):
            self._keep(slab)
            free = (s for s in slab if s.opens or self._can_meet)
            self.workers.run(free, lambda s: self._climb(s, NOTHING))
            self._connect(slab)
            if slab[-1].runs_on:
                waiting.append(slab)
                continue
            self._trace(slab)
            while waiting:
                earlier = waiting.pop()
                self._keep(earlier)
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

    def _keep(self, slab: list[Stretch]) -> None:
        """Make room for the origins of a slab."""
        self._origin, end = self.layout.rows(slab[0].first, slab[-1].last)
        n = (end - self._origin) * self.engine.width
        if len(self._origins) < n:
            self._origins = np.empty(n, dtype=self._kind)

    def _origins_of(self, begin: int, end: int) -> NDArray[Any]:
        W = self.engine.width
        return self._origins[(begin - self._origin) * W : (end - self._origin) * W]

    def _climb(self, stretch: Stretch, before: Array) -> None:
        """The best way to every state at every row; `before` is empty where it is not known."""
        number, layout = stretch.number, self.layout
        origins = self._origins_of(*layout.rows(stretch.first, stretch.last))
        _held, known, given = self.given(stretch.first, stretch.last)
        with self.engine.space(True, known) as space:
            self._met[number] = self._kernel(
                *given, layout.opens, layout.closes, *self.parameters, space, before,
                self._head[number], self._ends[number], self._evidence, self._last_state, origins,
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
            before = self._before[number]
            before[:] = self._ends[number - 1]
            if self._met[number] < 0:
                self._climb(stretch, before)
                continue
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
        self.workers.run(iter(tasks), self._back)

    def _back(self, task: list[Stretch]) -> None:
        layout, W = self.layout, self.engine.width
        for stretch in reversed(task):
            number = stretch.number
            if self._met[number] > 0:
                self._until_met(stretch)
            begin, end = layout.rows(stretch.first, stretch.last)
            first, last = layout.blocks[[stretch.first, stretch.last]]
            state = self._trace_kernel(
                first, last, layout.pieces, layout.opens, layout.closes, self._last_state,
                self._entry[number + 1], self._origins_of(begin, end), W,
                self.states[begin:end],
            )  # fmt: skip
            if self._entry[number] < 0:
                self._entry[number] = state

    def _until_met(self, stretch: Stretch) -> None:
        """Origins of the first rows, from the one state before them that is on the path."""
        number, engine = stretch.number, self.engine
        begin = self.layout.rows(stretch.first, stretch.last)[0]
        end = begin + int(self._met[number])
        before, head, ends = np.full((3, engine.width), -np.inf)
        before[self._entry[number]] = 0.0
        one, no = np.array([0, 1]), np.array([False])
        _held, known, given = self.rows_given(begin, end, one, np.array([0, end - begin]))
        with engine.space(True, known) as space:
            self._kernel(
                *given, no, no, *self.parameters, space, before, head, ends, self._evidence,
                self._last_state, self._origins_of(begin, end),
            )  # fmt: skip
