"""The most probable path of states (Viterbi) of every sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel, kernel_name
from fusem.hmm.layout import Layout
from fusem.hmm.observations import Observations
from fusem.hmm.traversal import CALL_BLOCKS, NO_FLAGS, NOTHING, Traversal
from fusem.kernels.chain import PathKernels, path_kernels
from fusem.kernels.policy import Kernel
from fusem.kernels.states import ChainSpace
from fusem.kernels.viterbi import connect_best

Array = NDArray[np.float64]


def kernels_of(engine: ChainEngine) -> PathKernels:
    """Kernels of a family."""
    tile, name = engine.family.kernels.tile, kernel_name(engine.family)
    density = tile.log_density_missing if engine.missing else tile.log_density
    return path_kernels(f"{name}_missing" if engine.missing else name, density, engine.arithmetic)


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
        layout = engine.layout(observations.lengths)
        super().__init__(engine, model, observations, layout, workers, logarithms=True)
        self._kernels = kernels_of(engine)
        n_blocks = layout.n_blocks
        self._before = np.zeros(n_blocks * engine.width)
        self._after = np.full(n_blocks, -1.0)
        self._evidence = np.zeros(len(layout.opens))
        self.states = np.empty(observations.n_rows, dtype=np.int64)
        if self._kernels.matrices is None:
            self._trace(whole_sequences(layout, self.unit))
        else:
            if layout.long:
                self._between(self._kernels.matrices)
            blocks = range(0, n_blocks, self.unit)
            self._trace([(block, min(block + self.unit, n_blocks)) for block in blocks])
        self.evidence: Array = self._evidence[layout.closes]

    def _between(self, kernel: Kernel) -> None:
        """The best states between the blocks of long sequences."""
        matrices = self.block_matrices(kernel)
        for first, last in self.layout.long:
            given = matrices, first, last, self.engine.width, self._before, self._after
            connect_best[np.float64](*given)

    def _trace(self, runs: list[tuple[int, int]]) -> None:
        """The states of runs of blocks that can be done apart."""
        W, layout = self.engine.width, self.layout
        tail = *self.parameters, ChainSpace, NOTHING
        trace = self.compiled(
            self._kernels.trace, NO_FLAGS, NO_FLAGS, NOTHING, NOTHING, *tail, self.states[:0]
        )
        forward = None
        if self._kernels.forward is not None:
            forward = self.compiled(self._kernels.forward, NO_FLAGS, *tail)
        long = dict(layout.long)

        def work(task: tuple[int, int]) -> None:
            first, last = task
            with self.engine.space(True) as space:
                if forward is not None and long.get(first) == last:
                    space.alpha[:W] = 0.0
                    for block in range(first, last - 1, CALL_BLOCKS):
                        stop = min(block + CALL_BLOCKS, last - 1)
                        _held, known, given = self.given(block, stop)
                        space = space._replace(known=known)
                        ends = self._before[(block + 1) * W : (stop + 1) * W]
                        forward(*given, layout.opens, *self.parameters, space, ends)
                for stop in range(last, first, -CALL_BLOCKS):
                    block = max(stop - CALL_BLOCKS, first)
                    _held, known, given = self.given(block, stop)
                    space = space._replace(known=known)
                    begin, end = layout.rows(block, stop)
                    trace(
                        *given, layout.opens, layout.closes,
                        self._before[block * W : stop * W], self._after[block:stop],
                        *self.parameters, space, self._evidence, self.states[begin:end],
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
