"""What timings taken alternately say of two builds: slower, faster, no change, or too noisy to tell.

Every round times BASE, HEAD and BASE again (the *twin*, a process of its own), one after the other; a
*generation* is some rounds with processes started for it. Two sources of error are told apart:

- *within a generation* rounds scatter. Each gives log HEAD − ½ (log BASE + log twin); their median is taken,
  and its error from their median absolute deviation.
- *between generations* the same code runs faster or slower for as long as a process lives (where its memory
  lies). With variance τ² of one process the twin differs from BASE by 2 τ², the estimate from the truth by
  3/2 τ²: so the twin's differences, of all benchmarks and of this one, say how far to trust a generation.
  Medians again: whatever else the machine did may have spoilt one.

A slowdown counts where the estimate is beyond the limit and its interval, at a risk shared by all benchmarks,
is clear of 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
Recording = Mapping[str, list[Array]]  # of each benchmark, per generation (rounds, 3) seconds
LIMIT = 0.10
RISK = 0.01  # of any false alarm in a whole run
MISS = 0.05  # of a slowdown by half as much again as the limit that is called no change
TO_NORMAL = 1.4826  # median absolute deviation to standard deviation
OF_MEDIAN = math.sqrt(math.pi / 2.0)  # its standard error over that of a mean
SHARE = 0.75  # of the variance of twin against BASE: HEAD against the mean of both


class Verdict(NamedTuple):
    """Of one benchmark.

    Attributes
    ----------
    base, head : float
        Median seconds.
    ratio, low, high : float
        HEAD over BASE, and its 95 % interval.
    twin : float
        Largest ratio of BASE to itself in any generation, upwards.
    outcome : {"slower", "faster", "no change", "too noisy to tell"}
    """

    name: str
    base: float
    head: float
    ratio: float
    low: float
    high: float
    twin: float
    outcome: str


class Estimate(NamedTuple):
    """Of the logarithm of one ratio."""

    value: float
    error: float  # standard
    twin: float  # largest |logarithm| of twin over BASE in a generation


def generation(rounds: Array) -> tuple[float, float, float]:
    """Logarithm of HEAD over BASE in one generation, its variance, and that of the twin over BASE."""
    base, head, twin = np.log(rounds).T
    differences = head - 0.5 * (base + twin)
    middle = median(differences.tolist())  # of a list: of so few numbers NumPy's takes longer
    deviation = TO_NORMAL * median(np.abs(differences - middle).tolist())
    return middle, (OF_MEDIAN * deviation) ** 2 / len(rounds), median((twin - base).tolist())


def estimates(recording: Recording) -> dict[str, Estimate]:
    """Of every benchmark; how far generations differ is learnt from all together."""
    parts = {name: list(map(generation, taken)) for name, taken in recording.items()}
    every = [abs(twin) for part in parts.values() for _, _, twin in part]
    common = (TO_NORMAL * median(every)) ** 2
    found = {}
    for name, part in parts.items():
        middles, variances, twins = zip(*part, strict=True)
        between = max(common, (TO_NORMAL * median(map(abs, twins))) ** 2)
        error = OF_MEDIAN * math.sqrt((SHARE * between + median(variances)) / len(part))
        found[name] = Estimate(median(middles), error, max(map(abs, twins)))
    return found


def judged(recording: Recording, limit: float = LIMIT, risk: float = RISK) -> list[Verdict]:
    """The verdict on every benchmark.

    Parameters
    ----------
    recording : mapping of str to list of arrays of shape (n_rounds, 3)
        Seconds of BASE, HEAD and BASE again, a list entry per generation.
    limit : float, default=0.10
        Slowdown that matters.
    risk : float, default=0.01
        Probability of one or more false alarms in a whole run.

    Returns
    -------
    verdicts : list of Verdict
        In the order of the recording.
    """
    if not recording:
        return []
    quantile = Quantile(sum(map(len, recording.values())))
    sure = quantile(1.0 - risk / len(recording))
    return [
        verdict(name, recording[name], estimate, math.log1p(limit), sure, quantile)
        for name, estimate in estimates(recording).items()
    ]


class Quantile:
    """Of Student's t: errors are learnt from so many differences of a twin."""

    def __init__(self, twins: int) -> None:
        self.twins = twins

    def __call__(self, probability: float) -> float:
        """How many standard errors a value stays below with this probability."""
        return float(stdtrit(self.twins, probability))


def verdict(
    name: str, taken: list[Array], estimate: Estimate, limit: float, sure: float, quantile: Quantile
) -> Verdict:
    """Of one benchmark; `limit` is a logarithm, `sure` how many standard errors are beyond doubt."""
    value, error, twin = estimate
    interval = quantile(0.975) * error
    missed = value + quantile(1.0 - MISS) * error
    if value >= limit and value > sure * error:
        outcome = "slower"
    elif value <= -limit and -value > sure * error:
        outcome = "faster"
    elif abs(value) < limit and missed < 1.5 * limit:
        outcome = "no change"
    else:
        outcome = "too noisy to tell"
    base, head, _ = map(median, np.concatenate(taken).T.tolist())
    return Verdict(
        name,
        base=base,
        head=head,
        ratio=math.exp(value),
        low=math.exp(value - interval),
        high=math.exp(value + interval),
        twin=math.exp(twin),
        outcome=outcome,
    )
