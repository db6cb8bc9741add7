"""The most probable path of states (Viterbi) of every sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import CALL_BLOCKS, ChainEngine, ChainModel, engine_threads, kernel_name
from fusem.hmm.layout import Ints, Layout
from fusem.hmm.observations import Observations
from fusem.kernels.chain import PathKernels, path_kernels
from fusem.kernels.states import ChainSpace
from fusem.kernels.viterbi import connect_best
from fusem.mixture.engine import location

Array = NDArray[np.float64]


def kernels_of(engine: ChainEngine) -> PathKernels:
    """Kernels of a family."""
    tile, name = engine.family.kernels.tile, kernel_name(engine.family)
    density = tile.log_density_missing if engine.missing else tile.log_density
    return path_kernels(f"{name}_missing" if engine.missing else name, density, engine.arithmetic)


class Paths:
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
        self.engine, self.observations, self.workers = engine, observations, workers
        self.layout = engine.layout(observations.lengths)
        self._kernels = kernels_of(engine)
        with engine_threads(engine):
            operands = engine.family.operands(model.components, engine.dtype)
        self._tail = np.zeros(engine.n_states), operands, engine.chain(model, True)
        W, n_blocks = engine.width, self.layout.n_blocks
        self._before, self._after = np.zeros(n_blocks * W), np.full(n_blocks, -1.0)
        self._evidence = np.zeros(len(self.layout.opens))
        self.states = np.empty(observations.n_rows, dtype=np.int64)
        unit = engine.blocks_per_segment(n_blocks)
        if self._kernels.matrices is not None:
            self._between(unit)
            runs = [(block, min(block + unit, n_blocks)) for block in range(0, n_blocks, unit)]
        else:
            runs = whole_sequences(self.layout, unit)
        self._trace(runs)
        ends = self._evidence[self.layout.closes]
        self.evidence: Array = np.asarray(ends)

    def _given(self, first: int, last: int) -> tuple[NDArray[Any], Ints, tuple[Any, ...]]:
        rows = self.layout.rows(first, last)
        X, known = self.observations.part(*rows), self.observations.known(*rows)
        address, row_stride, column_stride, _ = location(X)
        blocks = self.layout.blocks[first : last + 1]
        given = address, row_stride, column_stride, self.engine.d, blocks, self.layout.pieces
        return X, known, given

    def _compiled(self, kernel: Any, *arguments: Any) -> Any:
        """The kernel of the dtype, compiled in this thread, where Ctrl-C can interrupt it."""
        compiled = kernel[self.engine.dtype]
        if not compiled.overloads:
            none = np.zeros(1, dtype=np.int64)
            with self.engine.space(True) as space:
                rest = [space if argument is ChainSpace else argument for argument in arguments]
                compiled(0, 0, 0, self.engine.d, none, none, *rest)
        return compiled

    def _between(self, unit: int) -> None:
        """The best states between the blocks of long sequences."""
        square = self.engine.width**2
        matrices = np.empty(self.layout.n_blocks * square if self.layout.long else 0)
        flags, nothing = np.zeros(1, dtype=bool), np.empty(0)
        if not self.layout.long:
            return
        kernel = self._compiled(self._kernels.matrices, flags, *self._tail, ChainSpace, nothing)

        def work(task: tuple[int, int]) -> None:
            first, last = task
            _held, known, given = self._given(first, last)
            with self.engine.space(True, known) as space:
                out = matrices[first * square : last * square]
                kernel(*given, self.layout.opens, *self._tail, space, out)

        tasks = (
            (block, min(block + unit, last))
            for first, last in self.layout.long
            for block in range(first, last, unit)
        )
        self.workers.run(tasks, work)
        for first, last in self.layout.long:
            given = matrices, first, last, self.engine.width, self._before, self._after
            connect_best[np.float64](*given)

    def _trace(self, runs: list[tuple[int, int]]) -> None:
        """The states of runs of blocks that can be done apart."""
        W, layout = self.engine.width, self.layout
        flags, nothing = np.zeros(1, dtype=bool), np.empty(0)
        trace = self._compiled(
            self._kernels.trace, flags, flags, nothing, nothing, *self._tail, ChainSpace, nothing,
            self.states[:0],
        )  # fmt: skip
        forward = None
        if self._kernels.forward is not None:
            tail = flags, *self._tail, ChainSpace, nothing
            forward = self._compiled(self._kernels.forward, *tail)
        long = dict(layout.long)

        def work(task: tuple[int, int]) -> None:
            first, last = task
            with self.engine.space(True) as space:
                if forward is not None and long.get(first) == last:
                    space.alpha[:W] = 0.0
                    for block in range(first, last - 1, CALL_BLOCKS):
                        stop = min(block + CALL_BLOCKS, last - 1)
                        _held, known, given = self._given(block, stop)
                        space = space._replace(known=known)
                        ends = self._before[(block + 1) * W : (stop + 1) * W]
                        forward(*given, layout.opens, *self._tail, space, ends)
                for stop in range(last, first, -CALL_BLOCKS):
                    block = max(stop - CALL_BLOCKS, first)
                    _held, known, given = self._given(block, stop)
                    space = space._replace(known=known)
                    begin, end = layout.rows(block, stop)
                    trace(
                        *given, layout.opens, layout.closes,
                        self._before[block * W : stop * W], self._after[block:stop], *self._tail,
                        space, self._evidence, self.states[begin:end],
                    )  # fmt: skip

        self.workers.run(iter(runs), work)


def whole_sequences(layout: Layout, most: int) -> list[tuple[int, int]]:
    """Runs of blocks of whole sequences: each long one, and up to so many blocks of short ones."""
    runs, block = [], 0
    for first, last in [*layout.long, (layout.n_blocks, layout.n_blocks)]:
        runs += [(start, min(start + most, first)) for start in range(block, first, most)]
        if last > first:
            runs.append((first, last))
        block = last
    return runs
