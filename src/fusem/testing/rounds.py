"""Timings taken alternately: in every round each benchmark runs in all processes, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.testing.builds import Build, Ended, Failed, Side

Array = NDArray[np.float64]
SECONDS = 0.02  # of one timing: long against the clock and a thread's wake-up
LEAST = 5  # rounds of a generation
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 2, 1), (1, 0, 2))


def names_of(build: Build, modules: list[str], kind: str = "timed") -> list[str]:
    """Benchmarks there are that are timed, or "tracked"."""
    with Side(build, modules) as side:
        found: list[str] = side.ask("names", kind)
    return found


def answers(
    build: Build, modules: list[str], names: list[str], method: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a method of the worker gives for every benchmark, and why some give nothing, by name."""
    found, reasons = {}, {}
    left = list(names)
    while left:
        with Side(build, modules) as side:
            while left:
                name = left.pop(0)
                try:
                    found[name] = side.ask(method, name)
                except Ended as problem:
                    reasons[name] = str(problem)
                    break  # the others are asked in a new process
                except Failed as problem:
                    reasons[name] = str(problem)
    return found, reasons


def generation(
    builds: tuple[Build, Build],
    modules: list[str],
    names: list[str],
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Array]:
    """Seconds (rounds, 3) of BASE, HEAD and BASE again, in new processes, for some time.

    Parameters
    ----------
    builds : tuple of Build
        BASE and HEAD.
    seconds : float
        To measure for; setting up comes on top.
    """
    base, head = builds
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(b, modules)) for b in (base, head, base)]
        number = {}
        for name in names:
            once = [side.ask("prepare", name) for side in sides]
            number[name] = max(1, ceil(SECONDS / max(once)))
        taken: dict[str, list[list[float]]] = {name: [] for name in names}
        end = time.monotonic() + seconds
        for done, order in rounds():
            if done >= LEAST and time.monotonic() > end:
                break
            say(f"round {done + 1}")
            for name in names:
                row = [0.0, 0.0, 0.0]
                for place in order:
                    row[place] = sides[place].ask("time", name, number[name])
                taken[name].append(row)
    return {name: np.array(rows) for name, rows in taken.items()}


def rounds() -> Iterator[tuple[int, tuple[int, ...]]]:
    """Numbers of rounds, and the order of the processes in each: every place equally often."""
    return enumerate(cycle(ORDERS))
