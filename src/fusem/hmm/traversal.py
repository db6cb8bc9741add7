"""Blocks of sequences handed to compiled code: what forward–backward passes and best paths have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints, Layout
from fusem.hmm.observations import Observations
from fusem.kernels.policy import Kernel
from fusem.kernels.states import ChainSpace
from fusem.mixture.engine import location

Array = NDArray[np.float64]
NOTHING: Array = np.empty(0)
NO_FLAGS: NDArray[np.bool_] = np.zeros(1, dtype=bool)


def parameters_of(engine: ChainEngine, model: ChainModel, logarithms: bool) -> tuple[Any, ...]:
    """What every kernel reads of a model: zeros in place of the weights of a mixture, operands, the chain."""
    chain = engine.chain(model, logarithms)
    return np.zeros(engine.n_states), engine.operands(model.components), chain


class Traversal:
    """Some sequences, the parameters of a model as kernels read them, and threads.

    Attributes
    ----------
    unit : int
        Blocks of one call.
    parameters : tuple
        Those of `parameters_of`.
    purpose : str
        What threads take memory for.
    """

    purpose: ClassVar[str]

    def __init__(
        self,
        engine: ChainEngine,
        model: ChainModel,
        observations: Observations,
        layout: Layout,
        workers: Workers,
        logarithms: bool,
    ) -> None:
        self.engine, self.observations, self.layout = engine, observations, layout
        self.workers, self.logarithms = workers, logarithms
        self.unit = engine.blocks_per_segment(layout.n_blocks)
        self.parameters = parameters_of(engine, model, logarithms)

    def compiled(self, kernel: Kernel, *arguments: Any) -> Any:
        """The kernel of the dtype, compiled in this thread, where Ctrl-C can interrupt it.

        `arguments` are what it takes after the blocks, `ChainSpace` where it takes memory.
        """
        chosen = kernel[self.engine.dtype]
        if not chosen.overloads:
            none = np.zeros(1, dtype=np.int64)
            with self.engine.space(self.purpose, self.logarithms) as space:
                rest = [space if argument is ChainSpace else argument for argument in arguments]
                chosen(0, 0, 0, self.engine.d, none, none, *rest)
        return chosen

    def given(self, first: int, last: int) -> tuple[NDArray[Any], Ints, tuple[Any, ...]]:
        """Rows of some blocks, their known states, and rows and blocks as every kernel takes them."""
        blocks = self.layout.blocks[first : last + 1]
        return self.rows_given(*self.layout.rows(first, last), blocks, self.layout.pieces)

    def rows_given(
        self, begin: int, end: int, blocks: Ints, pieces: Ints
    ) -> tuple[NDArray[Any], Ints, tuple[Any, ...]]:
        """The same of rows whose blocks and pieces are given."""
        X, known = self.observations.part(begin, end), self.observations.known(begin, end)
        address, row_stride, column_stride, _ = location(X)
        return X, known, (
            address, row_stride, column_stride, self.engine.d, blocks, pieces,
        )  # fmt: skip

    def block_matrices(self, kernel: Kernel) -> Array:
        """The matrices of the blocks of long sequences (n_blocks · width · width); of others anything."""
        square = self.engine.width**2
        chosen = self.compiled(kernel, NO_FLAGS, *self.parameters, ChainSpace, NOTHING)
        matrices = np.empty(self.layout.n_blocks * square)

        def work(task: tuple[int, int]) -> None:
            first, last = task
            _held, known, given = self.given(first, last)
            with self.engine.space(self.purpose, self.logarithms, known) as space:
                out = matrices[first * square : last * square]
                chosen(*given, self.layout.opens, *self.parameters, space, out)

        self.workers.run(self._long_runs(), work)
        return matrices

    def _long_runs(self) -> Iterator[tuple[int, int]]:
        for first, last in self.layout.long:
            for block in range(first, last, self.unit):
                yield block, min(block + self.unit, last)
