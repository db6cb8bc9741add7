"""What a comparison measured, and the numbers that are read out of it."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from asv_benchmarks.cases import Case


class Iteration(NamedTuple):
    """One EM iteration at one shape, in both libraries.

    Attributes
    ----------
    case : Case
        The shape.
    fusem, scikit_learn : list of float
        Seconds of each repetition, in the order they were taken; equal places make a pair.
    in_fit : float
        Seconds of one iteration inside fusem's `fit`.
    difference : float
        Largest difference of any parameter after the iteration, relative.
    memory : dict of str to int
        Bytes that a fit needs beyond its data, by library.
    """

    case: Case
    fusem: list[float]
    scikit_learn: list[float]
    in_fit: float
    difference: float
    memory: dict[str, int]

    def nanoseconds(self, seconds: float) -> float:
        """Return nanoseconds per row and component."""
        return seconds / self.case.rows / self.case.components * 1e9

    def ratios(self) -> list[float]:
        """Return scikit-learn's time over fusem's, pair by pair."""
        return [theirs / ours for ours, theirs in zip(self.fusem, self.scikit_learn, strict=True)]


class Rivals(NamedTuple):
    """One EM iteration inside a fit, fusem's and oneDAL's, in both dtypes.

    Attributes
    ----------
    case : Case
        The shape.
    seconds : dict of (str, str) to list of float
        Seconds of each repetition, by library and dtype; equal places were taken in one round. NaN
        where a library cannot fit the case.
    """

    case: Case
    seconds: dict[tuple[str, str], list[float]]

    def nanoseconds(self, library: str, dtype: str) -> float:
        """Return the median, per row and component."""
        return median(self.seconds[library, dtype]) / self.case.rows / self.case.components * 1e9

    def ratios(self, slower: tuple[str, str], faster: tuple[str, str]) -> list[float]:
        """Return one time over another, round by round."""
        return [a / b for a, b in zip(self.seconds[slower], self.seconds[faster], strict=True)]


class Throughput(NamedTuple):
    """One statistic of the same rows from several sources.

    Attributes
    ----------
    case : Case
        The shape.
    seconds : dict of str to list of float
        Seconds of each repetition, by source; the first source is the array in memory.
    """

    case: Case
    seconds: dict[str, list[float]]

    def rows_per_second(self, source: str) -> float:
        """Return the median rows per second of a source."""
        return self.case.rows / median(self.seconds[source])

    def share(self, source: str) -> float:
        """Return the median of a source's speed relative to memory, pair by pair."""
        memory = next(iter(self.seconds.values()))
        return median(a / b for a, b in zip(memory, self.seconds[source], strict=True))
