"""Forward and backward over all sequences: the statistic of a fit, or the probabilities of the states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.tree import Tree
from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Layout
from fusem.hmm.observations import Observations
from fusem.hmm.traversal import NO_FLAGS, NOTHING, Traversal
from fusem.kernels.chain import chain_kernels
from fusem.kernels.chain_blocks import connect
from fusem.kernels.policy import Kernel
from fusem.kernels.states import ChainSpace

Array = NDArray[np.float64]
CALL_BLOCKS = 64  # of a pass along one sequence: short against Ctrl-C
Consumer = Callable[[int, NDArray[Any]], None]


class Pass(Traversal):
    """Forward and backward over all sequences at the parameters of one model, in one arithmetic.

    Attributes
    ----------
    evidence : array
        Log-likelihood of every piece given what came before.
    alarm : bool
        Whether the messages between blocks lost what they should hold.
    """

    purpose = "sums"

    def __init__(
        self,
        engine: ChainEngine,
        model: ChainModel,
        observations: Observations,
        layout: Layout,
        weights: Array,
        workers: Workers,
        logarithms: bool = False,
    ) -> None:
        super().__init__(engine, model, observations, layout, workers, logarithms)
        self.weights = weights[layout.sequence]
        arithmetic = "log" if logarithms else engine.arithmetic
        self.kernels = chain_kernels(engine.emission, arithmetic)
        self.evidence, self.alarm = np.zeros(len(layout.opens)), False
        self._before = self._after = NOTHING

    def messages(self) -> None:
        """What the rows before and after each block of a long sequence say of its states."""
        size = self.layout.n_blocks * self.engine.width if self.layout.long else 0
        self._before, self._after = np.zeros(size), np.zeros(size)
        if self.layout.long and self.kernels.matrices is not None:
            self._by_blocks(self.kernels.matrices)
        elif self.layout.long:
            self._along()

    def _by_blocks(self, kernel: Kernel) -> None:
        """Messages from the blocks' matrices."""
        matrices = self.block_matrices(kernel)
        for first, last in self.layout.long:
            given = matrices, first, last, self.engine.width, self._before, self._after
            self.alarm |= bool(connect[np.float64](*given))

    def _along(self) -> None:
        """Messages by going along each sequence, forth and back at the same time."""
        W, tail = self.engine.width, (*self.parameters, ChainSpace, NOTHING)
        forward = self.compiled(self.kernels.forward, NO_FLAGS, *tail, NOTHING)
        backward = self.compiled(self.kernels.backward, *tail)

        def forth(first: int, last: int) -> None:
            with self.engine.space(self.purpose, self.logarithms) as space:
                space.alpha[:W] = 0.0
                for block in range(first, last - 1, CALL_BLOCKS):
                    end = min(block + CALL_BLOCKS, last - 1)
                    _held, known, given = self.given(block, end)
                    space = space._replace(known=known)
                    ends = self._before[(block + 1) * W : (end + 1) * W]
                    rest = *self.parameters, space, self.evidence, ends
                    forward(*given, self.layout.opens, *rest)

        def back(first: int, last: int) -> None:
            with self.engine.space(self.purpose, self.logarithms) as space:
                space.beta[:W] = 0.0 if self.logarithms else 1.0
                for end in range(last, first + 1, -CALL_BLOCKS):
                    block = max(end - CALL_BLOCKS, first + 1)
                    _held, known, given = self.given(block, end)
                    space = space._replace(known=known)
                    begins = self._after[(block - 1) * W : (end - 1) * W]
                    backward(*given, *self.parameters, space, begins)

        tasks = ((way, first, last) for first, last in self.layout.long for way in (forth, back))
        self.workers.run(tasks, lambda task: task[0](*task[1:]))

    def segments(
        self, tree: Tree | None, consume: Consumer | None, firsts: Iterable[int]
    ) -> list[int]:
        """Add segments, by their first blocks, to a tree, or give them to `consume`, or neither.

        Returns those that gave an alarm; they are not added.
        """
        engine, layout, W = self.engine, self.layout, self.engine.width
        no_proba = np.empty(0, dtype=engine.dtype)
        kernel = self.compiled(
            self.kernels.sweep, NO_FLAGS, NO_FLAGS, NOTHING, NOTHING, NOTHING, *self.parameters,
            ChainSpace, NOTHING, no_proba, np.empty(engine.size),
        )  # fmt: skip
        doubtful: list[int] = []

        def work(first: int) -> None:
            last = min(first + self.unit, layout.n_blocks)
            X, known, given = self.given(first, last)
            proba, out = no_proba, NOTHING
            if tree is not None:
                out = tree.blank()
            elif consume is not None:
                proba = np.empty((len(X), engine.n_states), dtype=engine.dtype)
            with engine.space(self.purpose, self.logarithms, known) as space:
                kernel(
                    *given, layout.opens, layout.closes, self.weights,
                    self._before[first * W : last * W], self._after[first * W : last * W],
                    *self.parameters, space, self.evidence, proba.reshape(-1), out,
                )  # fmt: skip
                alarm = bool(space.alarm[0])
            if alarm:
                doubtful.append(first)
            elif tree is not None:
                tree.add(first // self.unit, out)
            elif consume is not None:
                consume(layout.rows(first, last)[0], proba)

        self.workers.run(iter(firsts), work)
        return doubtful


def swept(
    engine: ChainEngine,
    model: ChainModel,
    observations: Observations,
    layout: Layout,
    weights: Array,
    workers: Workers,
    consume: Consumer | None = None,
    sums: bool = True,
) -> tuple[Array | None, Array]:
    """The statistic of all sequences and the log-likelihood of every piece.

    What linear space cannot hold is done again in logarithms: segments of whole sequences by themselves, all
    where it happens in a sequence of several blocks.

    Parameters
    ----------
    weights : array of shape (n_sequences,)
        Of the sequences.
    consume : function, optional
        ``consume(first_row, proba)`` is given the probabilities of the states of every segment, in any order
        and from any thread; then there is no statistic.
    sums : bool
        Whether there is to be a statistic.
    """
    given = engine, model, observations, layout, weights, workers
    sums &= consume is None
    tree, work = Tree(engine.size) if sums else None, Pass(*given)
    firsts = range(0, layout.n_blocks, work.unit)
    work.messages()
    doubtful = list(firsts) if work.alarm else work.segments(tree, consume, firsts)
    if doubtful:
        again = Pass(*given, logarithms=True)
        long = {block // work.unit for first, last in layout.long for block in range(first, last)}
        if any(first // work.unit in long for first in doubtful):
            tree, doubtful = Tree(engine.size) if sums else None, list(firsts)
            again.messages()
        again.segments(tree, consume, doubtful)
        for first in doubtful:
            begin, end = layout.blocks[[first, min(first + work.unit, layout.n_blocks)]]
            work.evidence[begin:end] = again.evidence[begin:end]
    return None if tree is None else tree.total(), work.evidence
