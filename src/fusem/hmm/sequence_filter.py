"""The kernels of `chain_rows`, called sequence by sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.impossible import impossible
from fusem.hmm.layout import Ints
from fusem.hmm.observations import NOTHING_KNOWN, Observations
from fusem.kernels.chain import row_kernels
from fusem.kernels.chain_rows import filter_rows
from fusem.mixture.engine import location

Array = NDArray[np.float64]
CALL_ROWS = 65536  # of one call: short against Ctrl-C


class FlatChain(NamedTuple):
    """Start and transitions as the kernels read them: flat, and in logarithms."""

    log_start: Array  # (K)
    moves: Array  # (K · K)
    log_moves: Array  # (K · K)


def flat_chain(model: ChainModel) -> FlatChain:
    """Start and transitions of a model."""
    moves = np.ascontiguousarray(model.transitions, dtype=np.float64).ravel()
    with np.errstate(divide="ignore"):
        return FlatChain(np.log(model.start), moves, np.log(moves))


class RowDensities:
    """Log-densities of rows in every state of a model.

    Parameters
    ----------
    engine : ChainEngine
        Of the family and dtype.
    model : ChainModel
        The parameters.
    """

    def __init__(self, engine: ChainEngine, model: ChainModel) -> None:
        self._engine, self._kernel = engine, row_kernels(engine.emission)[engine.dtype]
        self._operands = engine.operands(model.components)
        self._zeros = np.zeros(engine.n_states)
        if not self._kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
            self(np.empty((0, engine.d), dtype=engine.dtype))

    def __call__(self, X: NDArray[Any], known: Ints = NOTHING_KNOWN) -> Array:
        """Log-densities (n, K); −inf in other states where one is known."""
        engine, out = self._engine, np.empty((len(X), self._engine.n_states))
        address, row_stride, column_stride, rows = location(X)
        with engine.space("rows", True, known) as space:
            self._kernel(
                address, row_stride, column_stride, rows, engine.d, self._zeros, self._operands,
                space, engine.width, out.reshape(-1),
            )  # fmt: skip
        return out


class Filter:
    """Probabilities of the states given the rows up to each, for the rows of one sequence in turn."""

    def __init__(self, chain: FlatChain) -> None:
        self.chain, self.opens = chain, True
        self.log_likelihood = 0.0
        self.last = np.zeros(
            len(chain.log_start)
        )  # log-probabilities of the states at the last row
        self._shares = np.empty_like(self.last)
        self._kernel = filter_rows[np.float64]

    def __call__(self, log_densities: Array) -> Array:
        """Logarithms of the filtered probabilities (n, K) of the next rows."""
        out = np.empty_like(log_densities)
        if len(out):
            self.log_likelihood += self._kernel(
                log_densities.reshape(-1), *self.chain, self.opens, self.last, self._shares,
                out.reshape(-1),
            )  # fmt: skip
            self.opens, self.last = False, out[-1].copy()
        return out


def each_sequence(
    observations: Observations,
    n_jobs: int | None,
    work: Callable[[int, int, int], None],
) -> None:
    """Call ``work(number, first row, last row + 1)`` for every sequence, in threads."""
    ends = observations.ends.tolist()
    sequences = zip(range(len(ends)), [0, *ends[:-1]], ends, strict=True)
    workers = Workers(n_jobs)
    workers.run(iter(sequences), lambda sequence: work(*sequence))


def filtered(
    engine: ChainEngine,
    model: ChainModel,
    observations: Observations,
    n_jobs: int | None,
    take: Callable[[int, int, Array], None],
) -> Array:
    """Log-likelihood of every sequence; ``take(number, first row, logarithms)`` gets parts of them in order.

    A part is a run of rows of one sequence; those of one sequence come one after the other.
    """
    densities, chain = RowDensities(engine, model), flat_chain(model)
    evidence = np.empty(len(observations.lengths))
    Filter(chain)(np.empty((0, engine.n_states)))

    def work(number: int, begin: int, end: int) -> None:
        state = Filter(chain)
        for first in range(begin, end, CALL_ROWS):
            last = min(first + CALL_ROWS, end)
            logp = densities(observations.part(first, last), observations.known(first, last))
            take(number, first, state(logp))
        evidence[number] = state.log_likelihood

    each_sequence(observations, n_jobs, work)
    return evidence


def refuse_impossible(evidence: Array, observations: Observations) -> None:
    """Raise where a sequence is impossible, of which then nothing can be said."""
    wrong = impossible(evidence)
    if wrong.size:
        number = int(wrong[0])
        end = int(observations.ends[number])
        raise ValueError(
            f"Sequence {number} (rows {end - int(observations.lengths[number])} to {end - 1}) is impossible "
            "under the model: a start, transition or value of probability 0. Allow what happens there "
            "(startprob_, transmat_, emissions, known states), or drop the sequence."
        )
