"""The most probable paths (Viterbi) of up to sixteen states through long sequences, in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.em.spaces import result, scratch
from fusem.em.workers import Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_density import of_rows
from fusem.hmm.path_sequences import fixed_parameters, in_whole_numbers
from fusem.kernels.chain import mended_kernel, parts_kernel
from fusem.kernels.fixed_point import origins_in
from fusem.kernels.states import LANES
from fusem.kernels.tile import aligned
from fusem.mixture.engine import location

Array = NDArray[np.float64]
# Rows of eight parts where there are several eights, at least, and seconds of one thread, about: long against
# the 30 µs of Python they take. What the maxima came from stays in the cache.
GROUP, GROUP_SECONDS = 48_000, 1e-3
WARM = 128  # rows before a part: paths take some tens to meet. A multiple of the steps of a tile
SHORT = 8192  # rows of a sequence: fewer are not worth those that are gone through twice
# Seconds of a single thread, about, of the longest sequence: shorter ones are gone through sooner in one
# piece. With four states one thread always is, in 0.85 to 0.9 of the time, but two take 0.7 to 0.8 of it.
WORTH_HELP = {4: 2.5e-3, 8: 1e-3, 16: 0.0}


def in_parts(engine: ChainEngine, model: ChainModel, observations: Observations) -> bool:
    """Whether steps can be taken in whole numbers, and all sequences are long."""
    if not in_whole_numbers(engine, model, observations):
        return False
    lengths = observations.lengths
    seconds = lengths.max() * engine.seconds_per_step
    return bool(lengths.min() >= SHORT and seconds >= WORTH_HELP[engine.width])


class Parts:
    """A sequence in parts of equal length, eight of which are a group.

    Parameters
    ----------
    begin : int
        Its first row among all.
    n_rows : int
    warm : int
        Rows that are gone through before a part.
    width : int
        Numbers that all states take.
    group : int
        Rows of a group, at least, where there are several.
    """

    def __init__(self, begin: int, n_rows: int, warm: int, width: int, group: int) -> None:
        self.begin, self.end, self.warm = begin, begin + n_rows, warm
        groups = n_rows // group
        n_parts = LANES * max(1, groups - groups % 2)  # as many for each of two threads
        # of the rows after the first one: those of a part, and what all parts leave over
        self.length, self.left = divmod(n_rows - 1 - warm, n_parts)
        self.steps = warm + self.length
        self.groups = range(0, n_parts, LANES)  # the first part of each
        self.first = begin + 1 + self.left  # row that the first part's way begins with
        self.width = width
        self.begun, self.ended = np.zeros((2, n_parts * width), dtype=np.int64)
        self.gains = np.zeros(n_parts)
        self.guesses, self.entry = aligned(2 * n_parts, np.int64).reshape(2, n_parts)
        self.size = self.steps * n_parts + self.left * LANES  # elements of `origins`
        self.origins: NDArray[Any] = np.empty(0, dtype=origins_in(width))

    def rows(self, first: int) -> tuple[int, int]:
        """Rows that a group goes through."""
        begin = self.first + first * self.length
        return begin if first else self.begin, begin + LANES * self.length + self.warm

    def origins_of(self, first: int) -> NDArray[Any]:
        """Where the best paths of a group came from."""
        return self.origins[first * self.steps : (first + LANES) * self.steps]

    @property
    def first_origins(self) -> NDArray[Any]:
        """The same of the rows that are left over."""
        return self.origins[len(self.gains) * self.steps :]

    def cold(self) -> set[int]:
        """Groups with a part that is felt to have begun with nothing known."""
        differs = self.begun[self.width :] != self.ended[: -self.width]
        parts = 1 + np.flatnonzero(differs.reshape(-1, self.width).any(axis=1))
        return {int(part) - int(part) % LANES for part in parts}


def paths_in_parts(
    engine: ChainEngine, model: ChainModel, observations: Observations, workers: Workers
) -> tuple[Array, Ints] | None:
    """Log-densities of the best paths with their rows (n_sequences,), and the paths (n_rows,).

    None where what was before a part is felt to its end.
    """
    lengths = observations.lengths
    begins = (np.cumsum(lengths) - lengths).tolist()
    group = max(GROUP, int(GROUP_SECONDS / engine.seconds_per_step))
    sequences = [
        Parts(begin, n_rows, WARM, engine.width, group)
        for begin, n_rows in zip(begins, lengths.tolist(), strict=True)
    ]
    states = result(observations.n_rows, np.int64)
    parameters = fixed_parameters(engine, model)
    kernel = parts_kernel(engine.emission, engine.width)[engine.dtype]
    mended = mended_kernel(engine.width)[np.float64]
    failed: list[Parts] = []

    def through(parts: Parts, first: int, again: bool) -> None:
        """Take a group of parts there and back."""
        X = observations.part(*parts.rows(first))  # held: it may be a copy
        address, row_stride, column_stride, _ = location(X)
        with engine.space("lanes", True) as space:
            done = kernel(
                address, row_stride, column_stride, engine.d, parts.left if first == 0 else -1,
                parts.length, parts.warm, again, first, *parameters, space, parts.begun, parts.ended,
                parts.gains, parts.guesses, parts.entry, parts.first_origins, parts.origins_of(first),
                states[parts.first + parts.warm : parts.end],
            )  # fmt: skip
        if not done:
            failed.append(parts)

    def mend(parts: Parts) -> None:
        """Make one path of those of all parts."""
        mended(
            parts.left, parts.length, parts.warm, parts.guesses, parts.entry, parts.first_origins,
            parts.origins, states[parts.begin : parts.end],
        )  # fmt: skip

    if not kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
        nothing = Parts(0, 1, 0, engine.width, 1)
        with engine.space("lanes", True) as space:
            kernel(
                0, 0, 0, engine.d, -1, 0, 0, False, 0, *parameters, space, nothing.begun, nothing.ended,
                nothing.gains, nothing.guesses, nothing.entry, nothing.origins, nothing.origins, states[:0],
            )  # fmt: skip
    with scratch(sum(parts.size for parts in sequences), origins_in(engine.width)) as origins:
        at = 0
        for parts in sequences:
            parts.origins = origins[at : at + parts.size]
            at += parts.size
        groups = [(parts, first) for parts in sequences for first in parts.groups]
        workers.run(iter(groups), lambda group: through(*group, again=False))
        cold = [(parts, first) for parts in sequences for first in sorted(parts.cold())]
        workers.run(iter(cold), lambda group: through(*group, again=True))
        if failed:
            return None
        for parts in sequences:
            mend(parts)
    evidence = np.array([parts.gains.sum() for parts in sequences])
    # an impossible row is taken off before a part and within the part before it
    evidence[np.isnan(evidence)] = -np.inf
    of_rows(engine, model, observations, evidence, states)
    return evidence, states
