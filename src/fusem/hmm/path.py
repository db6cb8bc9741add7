"""The most probable path of states (Viterbi): forth with maxima, back along what they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import CALL_BLOCKS, ChainEngine, ChainModel, engine_threads, kernel_name
from fusem.hmm.observations import Observations
from fusem.kernels.chain import PathKernels, path_kernels
from fusem.mixture.engine import location

Array = NDArray[np.float64]


def kernels_of(family: Any, missing: bool, width: int) -> PathKernels:
    """Kernels of a family."""
    tile = family.kernels.tile
    density = tile.log_density_missing if missing else tile.log_density
    return path_kernels(kernel_name(family) + ("_missing" if missing else ""), density, width)


def best_paths(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, NDArray[np.int64]]:
    """Log-density of the best path of every sequence with its rows, and the states (n_rows,)."""
    layout, W = engine.layout(observations.lengths), engine.width
    kernels = kernels_of(engine.family, engine.missing, min(W, 8))
    with engine_threads(engine):
        operands = engine.family.operands(model.components, engine.dtype)
    chain, zeros = engine.chain(model, True), np.zeros(engine.n_states)
    forward, trace = kernels.forward[engine.dtype], kernels.trace[engine.dtype]
    evidence, before = np.zeros(len(layout.opens)), np.zeros(layout.n_blocks * W)
    path = np.empty(observations.n_rows, dtype=np.int64)

    def given(first: int, last: int) -> tuple[Any, ...]:
        begin, end = layout.rows(first, last)
        X = observations.part(begin, end)
        address, row_stride, column_stride, _ = location(X)
        blocks = layout.blocks[first : last + 1]
        known = observations.known(begin, end)
        rows = address, row_stride, column_stride, engine.d, blocks, layout.pieces
        return X, known, rows, begin, end

    def work(unit: tuple[int, int]) -> None:
        first, last = unit
        with engine.space(True) as space:
            space.alpha[:W] = 0.0
            for block in range(first, last, CALL_BLOCKS):
                stop = min(block + CALL_BLOCKS, last)
                _held, known, rows, _, _ = given(block, stop)
                space = space._replace(known=known)
                ends = np.empty((stop - block) * W)
                forward(*rows, layout.opens, zeros, operands, chain, space, evidence, ends)
                room = before[(block + 1) * W : (stop + 1) * W]
                room[:] = ends[: room.size]
            for stop in range(last, first, -CALL_BLOCKS):
                block = max(stop - CALL_BLOCKS, first)
                _held, known, rows, begin, end = given(block, stop)
                space = space._replace(known=known)
                trace(
                    *rows, layout.opens, layout.closes, before[block * W : stop * W], zeros,
                    operands, chain, space, path[begin:end],
                )  # fmt: skip

    for kernel, out in ((forward, evidence), (trace, path)):
        if not kernel.overloads:  # compile in this thread, where Ctrl-C can interrupt it
            none, flags, nothing = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool), np.empty(0)
            with engine.space(True) as space:
                tail = zeros, operands, chain, space
                if kernel is forward:
                    kernel(0, 0, 0, engine.d, none, none, flags, *tail, out[:0], nothing)
                else:
                    kernel(0, 0, 0, engine.d, none, none, flags, flags, nothing, *tail, out[:0])
    workers.run(iter(units(layout, engine.blocks_per_segment(layout.n_blocks))), work)
    return np.bincount(layout.sequence, weights=evidence).astype(np.float64), path


def units(layout: Any, most: int) -> list[tuple[int, int]]:
    """Runs of blocks that can be done apart: each long sequence, and up to so many blocks of short ones."""
    runs, block = [], 0
    for first, last in [*layout.long, (layout.n_blocks, layout.n_blocks)]:
        runs += [(start, min(start + most, first)) for start in range(block, first, most)]
        if last > first:
            runs.append((first, last))
        block = last
    return runs
