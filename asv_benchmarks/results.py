"""What a comparison measured, and the numbers that are read out of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
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


def middle(values: Sequence[float]) -> float:
    """Return the median, NaN where any value is: what did not always work is not measured."""
    return nan if any(map(isnan, values)) else median(values)


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
        """Return the median, per row and component; NaN where a round failed."""
        seconds = self.seconds[library, dtype]
        return middle(seconds) / self.case.rows / self.case.components * 1e9

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


class ChainTimes(NamedTuple):
    """One iteration of Baum–Welch, or one best path, of fusem and of hmmlearn.

    Attributes
    ----------
    label, what : str
        The case, and which of the two.
    fusem, log, scaling : list of float
        Nanoseconds per time step of each round; hmmlearn's default implementation and its other one.
    """

    label: str
    what: str
    fusem: list[float]
    log: list[float]
    scaling: list[float]

    def ratios(self, peer: list[float]) -> list[float]:
        """Return hmmlearn's time over fusem's, round by round."""
        return [theirs / ours for ours, theirs in zip(self.fusem, peer, strict=True)]


class Holes(NamedTuple):
    """Rows with missing values against complete ones, by pattern of the missing values.

    Attributes
    ----------
    covariance, dtype : str
        Of the mixture and the rows.
    complete : float
        Nanoseconds per complete row of one EM iteration.
    sweeps, imputations : dict of str to list of float
        Seconds over those of complete rows in each round: of one EM iteration, and of `impute` over
        `predict_proba`.
    """

    covariance: str
    dtype: str
    complete: float
    sweeps: dict[str, list[float]]
    imputations: dict[str, list[float]]


class Imputers(NamedTuple):
    """A whole `fit_transform` of fusem's imputer and of scikit-learn's, and what they make of the holes.

    Attributes
    ----------
    shape : tuple
        Rows and columns.
    rate : float
        Share of missing values.
    fusem, scikit_learn : list of float
        Seconds of each round.
    errors, densities : tuple of float
        Mean squared error, and mean log-density of the true values: fusem's, scikit-learn's.
    """

    shape: tuple[int, int]
    rate: float
    fusem: list[float]
    scikit_learn: list[float]
    errors: tuple[float, float]
    densities: tuple[float, float]

    def ratios(self) -> list[float]:
        """Return scikit-learn's time over fusem's, round by round."""
        return [theirs / ours for ours, theirs in zip(self.fusem, self.scikit_learn, strict=True)]
