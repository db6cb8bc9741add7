"""Numbers that noise cannot touch, of two builds: what `track_` benchmarks give is compared as it stands."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from fusem.testing.builds import Build
from fusem.testing.rounds import answers, names_of


class Signal(NamedTuple):
    """One number of BASE and of HEAD.

    Attributes
    ----------
    tolerance : float
        Share of BASE's by which it may be worse.
    larger_is_better : bool
        Of most numbers (bytes, iterations) less is better.
    """

    name: str
    base: float
    head: float
    tolerance: float
    larger_is_better: bool

    @property
    def outcome(self) -> str:
        """What they say: "worse", "better" or "no change"."""
        change = self.head - self.base
        if self.base != 0.0:
            change /= abs(self.base)
        elif change != 0.0:
            change = math.copysign(math.inf, change)
        if self.larger_is_better:
            change = -change
        if change > self.tolerance:
            return "worse"
        return "better" if change < -self.tolerance else "no change"


class Tracked(NamedTuple):
    """What was found, and why some numbers are not there, by name."""

    signals: list[Signal]
    new: dict[str, str]  # in BASE
    broken: dict[str, str]  # in HEAD, though they are in BASE


def tracked(builds: tuple[Build, Build], modules: list[str], only: str, limit: float) -> Tracked:
    """The numbers of both builds; `limit` is the tolerance of those that have none of their own."""
    names = [name for name in names_of(builds[1], modules, "tracked") if only in name]
    with ThreadPoolExecutor(len(builds)) as both:  # they take no notice of each other
        (base, new), (head, broken) = both.map(
            lambda build: answers(build, modules, names, "track"), builds
        )
    new = {name: why for name, why in new.items() if name not in broken}
    signals = []
    for name in names:
        before, after = base.get(name), head.get(name)
        if before is None or math.isnan(before["value"]) or name in broken:
            continue  # left out, or not to be had on this machine
        if after is None or math.isnan(after["value"]):
            broken[name] = "it gives no number any more"
            continue
        tolerance = limit if after["tolerance"] is None else after["tolerance"]
        values = before["value"], after["value"]
        signals.append(Signal(name, *values, tolerance, after["larger_is_better"]))
    return Tracked(signals, new, broken)
