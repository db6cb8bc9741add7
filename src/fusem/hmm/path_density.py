"""How probable a path is, where whole numbers do not say it well: sums of hardly anything.

A logarithm is rounded to 2⁻⁴⁰ there, the same one the same way in every row. To a path's log-density of some
units per row that is nothing; where states and rows are all but certain it may be as small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.sequence_filter import RowDensities, flat_chain
from fusem.kernels.path_density import path_densities

Array = NDArray[np.float64]
CALL, FEW_ROWS = (
    1 << 24,
    1 << 16,
)  # rows of a call: short against Ctrl-C; whose densities are kept at a time


def emptied(evidence: Array, observations: Observations) -> NDArray[np.bool_]:
    """Sequences whose path has less than a unit per row, of which 2⁻⁴⁰ is 10⁻¹² and more: now 0."""
    few: NDArray[np.bool_] = np.abs(evidence) < observations.lengths
    evidence[few] = 0.0
    return few


def of_codes(
    codes: NDArray[np.uint8],
    log_densities: Array,
    model: ChainModel,
    observations: Observations,
    evidence: Array,
    states: Ints,
) -> None:
    """Put right what whole numbers say of paths through rows that have one of so many log-densities."""
    wanted = emptied(evidence, observations)
    if not wanted.any():
        return
    chain, ends, kernel = flat_chain(model), observations.ends, path_densities[np.float64]
    for first in range(0, len(codes), CALL):
        last = min(first + CALL, len(codes))
        kernel(
            codes, states, first, last, int(np.searchsorted(ends, first, side="right")), ends, wanted,
            chain.log_start, chain.log_moves, log_densities.reshape(-1), evidence,
        )  # fmt: skip


def of_rows(
    engine: ChainEngine,
    model: ChainModel,
    observations: Observations,
    evidence: Array,
    states: Ints,
) -> None:
    """The same for any rows."""
    chosen = np.flatnonzero(emptied(evidence, observations))
    if not chosen.size:
        return
    chain, densities, ends = flat_chain(model), RowDensities(engine, model), observations.ends
    log_moves = chain.log_moves.reshape(engine.n_states, -1)
    for sequence in chosen:
        end = int(ends[sequence])
        begin = end - int(observations.lengths[sequence])
        evidence[sequence] = chain.log_start[states[begin]]
        for first in range(begin, end, FEW_ROWS):
            last = min(first + FEW_ROWS, end)
            evidence[sequence] += _total(
                densities(observations.part(first, last)), states[first:last]
            )
            moves = states[max(begin, first - 1) : last]
            evidence[sequence] += _total(log_moves[moves[:-1]], moves[1:])


def _total(logarithms: NDArray[Any], states: Ints) -> float:
    """The sum of those of one state in each row."""
    return float(logarithms[np.arange(len(states)), states].sum())
