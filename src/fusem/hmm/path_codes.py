"""The most probable paths (Viterbi) of up to sixteen states through rows that are small codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.em.spaces import result, scratch
from fusem.em.workers import ALONE, Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations
from fusem.hmm.path_density import of_codes
from fusem.hmm.path_sequences import in_whole_numbers
from fusem.hmm.sequence_filter import RowDensities
from fusem.kernels.chain import code_kernels
from fusem.kernels.code_runs import CodeRuns, runs_of
from fusem.kernels.code_steps import kept_in, tables_of
from fusem.kernels.states import LANES
from fusem.kernels.tile import aligned
from fusem.kernels.viterbi_codes import CodeSpace

Array = NDArray[np.float64]
Codes = NDArray[np.uint8]
WARM = 128  # rows before a run that begins no sequence: paths take some tens to meet
# Rows of a sequence: none of fewer is cut, all of more are, between them those with more than a share of all.
SHORT, LONG, SHARE = 8192, 65_536, 16
# Rows of eight runs of a sequence, by the width of its states: about 0.2 ms.
GROUP = {4: 96_000, 8: 64_000, 16: 48_000}
# Seconds of a row in one thread, about, by the width of the states; of less than so many for all rows a
# second thread takes more than it gives.
SECONDS, WORTH_HELP = {4: 1.5e-9, 8: 3e-9, 16: 8e-9}, 6e-4
MOST_SECONDS = 0.5  # of a sequence in one thread, where it cannot be cut: short against Ctrl-C
SEGMENT = 1 << 15  # rows of sequences that one call takes
# Rows of a step, at most, and numbers of its tables, which are to stay in the cache; of few rows to be worth
# making. (Four rows of four states were no faster; three of sixteen leave no bits for their states.)
MOST_ROWS, MOST_TABLE = {4: 3, 8: 3, 16: 2}, {4: 1 << 13, 8: 1 << 13, 16: 1 << 15}
FEW_ROWS, FEW_TABLE = 1 << 12, 1 << 12
# Bytes that steps leave of a row, as many as the path has, and of all where a row leaves more.
MOST_LEFT, LEAST_KEPT = 8.0, 64 << 20


def rows_of_step(n_codes: int, width: int, n_rows: int) -> int:
    """Rows that a step takes."""
    most = MOST_TABLE[width] if n_rows >= FEW_ROWS else min(MOST_TABLE[width], FEW_TABLE)
    rows = MOST_ROWS[width]
    while rows > 1 and n_codes ** (rows - 1) * width**2 > most:
        rows -= 1
    return rows


def codes_to_decode(
    engine: ChainEngine, model: ChainModel, observations: Observations
) -> tuple[Codes, int] | None:
    """The rows as codes, and the largest, where they are and a step can be taken in whole numbers."""
    if not in_whole_numbers(engine, model, observations):
        return None
    codes, width, n_rows = observations.codes(), engine.width, observations.n_rows
    if codes is None:
        return None
    rows = rows_of_step(codes[1] + 1, width, n_rows)
    left = width * np.dtype(kept_in(width, rows)).itemsize / rows
    return codes if left <= MOST_LEFT or n_rows * left <= LEAST_KEPT else None


def tasks_of(runs: CodeRuns, n_runs: Ints) -> list[Ints]:
    """Runs that a call takes: eight of one sequence, or sequences in the order of their lengths."""
    if (n_runs > 1).all():
        return list(np.arange(n_runs.sum()).reshape(-1, LANES))
    many = np.repeat(n_runs > 1, n_runs)
    eights = list(np.flatnonzero(many).reshape(-1, LANES))
    short = np.flatnonzero(~many)
    rows = (runs.last - runs.enter)[short]
    cuts = np.flatnonzero(np.diff(np.cumsum(rows) // SEGMENT)) + 1
    for part, taken in zip(np.split(short, cuts), np.split(rows, cuts), strict=True):
        if part.size:
            eights.append(part[np.argsort(taken, kind="stable")])
    return eights


def space_of(width: int) -> CodeSpace:
    """Memory of a thread."""
    memory = aligned((width + 4) * LANES, np.int64)
    states, each = memory[: width * LANES], memory[width * LANES :].reshape(4, LANES)
    return CodeSpace(states, each[0], each[1], each[2], each[3].view(np.float64))


class CodePaths:
    """Best paths through rows that are codes, the largest of which is known.

    Parameters
    ----------
    codes : array of uint8
    largest : int
        The largest code.
    engine, model, observations, workers
        As for all best paths.

    Attributes
    ----------
    evidence : array of shape (n_sequences,) or None
        Log-densities of the paths with their rows; None where what was before some run is felt to its end,
        and some sequence is too long to be gone through in one.
    states : array of shape (n_rows,)
        The paths.
    """

    def __init__(
        self,
        codes: Codes,
        largest: int,
        engine: ChainEngine,
        model: ChainModel,
        observations: Observations,
        workers: Workers,
    ) -> None:
        n_codes, width, n_rows = largest + 1, engine.width, observations.n_rows
        rows = rows_of_step(n_codes, width, n_rows)
        values = np.arange(n_codes, dtype=engine.dtype)[:, None]
        densities = RowDensities(engine, model)(values)
        self._codes, self._width, self._rows = codes, width, rows
        self._tables = tables_of(densities, model.start, model.transitions, width, rows)
        self._warm = -(-WARM // rows)
        self._kernel, self._mend = (one[np.float64] for one in code_kernels(width, rows))
        self._workers = ALONE if n_rows * SECONDS[width] < WORTH_HELP else workers
        self.states = result(n_rows, np.int64)
        lengths = observations.lengths
        self.evidence = self._through(lengths, min(LONG, max(SHORT, n_rows // SHARE)))
        if self.evidence is None and lengths.max() * SECONDS[width] < MOST_SECONDS:
            self.evidence = self._through(lengths, n_rows)  # none is cut
        if self.evidence is not None:
            of_codes(codes, densities, model, observations, self.evidence, self.states)

    def _through(self, lengths: Ints, longest: int) -> Array | None:
        """Go through sequences, and back, those of more rows in several runs; None if that is wrong."""
        width, rows, warm = self._width, self._rows, self._warm
        runs, n_runs, size = runs_of(lengths, longest, GROUP[width], warm * rows, rows, width)
        cut, n = runs.kept >= 0, len(runs.first)
        begun, ended = np.zeros((2, np.count_nonzero(cut), width), dtype=np.int64)
        gains, (guesses, entry) = np.zeros(n), np.zeros((2, n), dtype=np.int64)
        failed: list[Ints] = []

        with scratch(size, kept_in(width, rows)) as origins:

            def work(chosen: Ints, again: bool) -> None:
                if failed:
                    return
                done = self._kernel(
                    self._codes, chosen, again, runs, self._tables, warm, space_of(width),
                    begun.reshape(-1), ended.reshape(-1), gains, guesses, entry, origins, self.states,
                )  # fmt: skip
                if not done:
                    failed.append(chosen)

            if not self._kernel.overloads:  # compiles in this thread, where Ctrl-C can interrupt it
                work(np.empty(0, dtype=np.int64), False)
            self._workers.run(iter(tasks_of(runs, n_runs)), lambda chosen: work(chosen, False))
            differs = (begun[1:] != ended[:-1]).any(axis=1) & ~runs.opens[cut][1:]
            cold = np.flatnonzero(cut)[1:][differs]
            if cold.size:
                each = (cold[at : at + 1] for at in range(len(cold)))
                self._workers.run(each, lambda run: work(run, True))
            if failed:
                return None
            self._mend(runs, warm, guesses, entry, origins, self.states)
        # what an impossible row takes off is taken back where a run is entered again: NaN
        evidence = np.add.reduceat(gains, np.flatnonzero(runs.opens))
        return np.where(np.isnan(evidence), -np.inf, evidence)
