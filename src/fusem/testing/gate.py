"""``python -m fusem.testing.gate BASE HEAD``: fails where HEAD is slower than BASE beyond doubt.

What is timed stands in the ``pyproject.toml`` of HEAD::

    [tool.fusem.gate]
    benchmarks = ["benchmarks.fits"]  # modules that can be imported from the project's folder
    seconds = 240  # optional: to measure for
    total = (
        570  # optional: for everything, about; what building and compiling took is measured less
    )
    limit = 0.10  # optional: slowdown that fails
    environment = { PROFILE = "quick" }  # optional: variables that benchmarks read

Exit code 0: nothing is slower, and no number of a `track_` benchmark is worse; 1: something is; 2: the
comparison was not possible, or a benchmark that BASE runs does not run in HEAD.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusem.testing import table
from fusem.testing.builds import Build, Failed, build, pyproject_of
from fusem.testing.changelog import performance_entries, with_entries
from fusem.testing.rounds import answers, generation, names_of
from fusem.testing.signals import tracked
from fusem.testing.verdict import LIMIT, Array, Verdict, judged

GENERATIONS = 4  # that the time is shared by
FEWEST = 2  # however late it is
AGAIN = 12  # generations more of what is not clear by then
KINDS = "timed", "tracked"


class Settings(NamedTuple):
    """What ``pyproject.toml`` says."""

    benchmarks: list[str]
    seconds: float = 240.0
    total: float = 570.0
    limit: float = LIMIT
    environment: Mapping[str, str] = {}


def settings_of(source: Path) -> Settings:
    """The table ``[tool.fusem.gate]`` of a project.

    Raises
    ------
    Failed
        No such table, or words in it that mean nothing.
    """
    given: Any = pyproject_of(source)
    for part in "tool", "fusem", "gate":
        given = given.get(part) if isinstance(given, dict) else None
    given = given if isinstance(given, dict) else {}
    modules = given.get("benchmarks")
    if not modules or not isinstance(modules, list) or not all(isinstance(m, str) for m in modules):
        raise Failed(
            "pyproject.toml has no table [tool.fusem.gate] with the list `benchmarks` of modules to time, "
            'e.g. benchmarks = ["asv_benchmarks.fits"].'
        )
    if unknown := set(given) - set(Settings._fields):
        raise Failed(
            f"[tool.fusem.gate] has {', '.join(sorted(unknown))}; known are {', '.join(Settings._fields)}."
        )
    environment = given.get("environment", {})
    if not is_environment(environment):
        raise Failed(
            f"[tool.fusem.gate]: environment is {environment!r}, not a table of variables and strings."
        )
    for name in set(given) - {"benchmarks", "environment"}:
        if isinstance(given[name], bool) or not isinstance(given[name], (int, float)):
            raise Failed(f"[tool.fusem.gate]: {name} is {given[name]!r}, which is no number.")
        if not 0.0 < given[name] < math.inf:
            raise Failed(
                f"[tool.fusem.gate]: {name} is {given[name]}; it must be finite and above 0."
            )
    return Settings(**given)


class LeftOut(NamedTuple):
    """Why benchmarks do not run, by name."""

    new: dict[str, str]  # in BASE
    broken: dict[str, str]  # in HEAD, though they do in BASE


def is_environment(given: Any) -> bool:
    """Whether it is a table of names and values that variables of a process may have."""
    if not isinstance(given, dict):
        return False
    legal = (isinstance(value, str) and "\0" not in name + value for name, value in given.items())
    return all(legal) and not any(not name or "=" in name for name in given)


def compared(
    builds: tuple[Build, Build], settings: Settings, only: str, end: float
) -> tuple[dict[str, list[Array]], LeftOut]:
    """Seconds of all benchmarks, and why some are left out; `end` is about when to be done (monotonic)."""
    modules = settings.benchmarks
    names = [name for name in names_of(builds[1], modules) if only in name]
    with ThreadPoolExecutor(len(builds)) as both:  # most of this is compiling
        (before, new), (after, broken) = both.map(
            lambda build: answers(build, modules, names, "prepare"), builds
        )
    for name in names:  # None is what raises NotImplementedError
        if after.get(name, 0.0) is None and before.get(name) is not None:
            broken[name] = "it is left out (NotImplementedError)"
        elif before.get(name, 0.0) is None and after.get(name) is not None:
            new[name] = "it is left out (NotImplementedError)"
    left_out = LeftOut({name: why for name, why in new.items() if name not in broken}, broken)
    names = [name for name in before if before[name] is not None and after.get(name) is not None]
    recording: dict[str, list[Array]] = {name: [] for name in names}
    around = 0.0  # seconds of a generation beside those that it measures for
    for number in range(GENERATIONS + AGAIN):
        if number >= FEWEST and time.monotonic() > end:
            break
        if number >= GENERATIONS:
            again = unclear(judged(recording, settings.limit), settings.limit)
            names = [name for name in names if name in again]
        if not names:
            break

        def say(what: str, number: int = number, count: int = len(names)) -> None:
            if sys.stderr.isatty():
                line = f"\rgeneration {number + 1}, {count} benchmarks, {what} "
                print(line, end="", file=sys.stderr, flush=True)

        began = time.monotonic()
        left = max(0.0, (end - began) / max(1, GENERATIONS - number) - around)
        share = min(settings.seconds / GENERATIONS, left) * len(names) / len(recording)
        for name, taken in generation(builds, modules, names, share, say).items():
            recording[name].append(taken)
        around = time.monotonic() - began - share
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return recording, left_out


def both_built(repository: Path, commits: tuple[str, str], into: Path) -> tuple[Build, Build]:
    """BASE and HEAD, at the same time."""
    with ThreadPoolExecutor(len(commits)) as both:
        base, head = (
            both.submit(build, repository, commit, into / side, commits[1])
            for commit, side in zip(commits, ("base", "head"), strict=True)
        )
        return base.result(), head.result()


def no_longer_there(builds: tuple[Build, Build], modules: list[str], only: str) -> list[str]:
    """Benchmarks in the files of BASE of which HEAD's have none of the same name."""
    base, head = builds
    own = base._replace(benchmarks=base.source)
    try:
        before = [names_of(own, settings_of(base.source).benchmarks, kind) for kind in KINDS]
    except Failed:  # it had none, or none that run any more
        return []
    now = {name for kind in KINDS for name in names_of(head, modules, kind)}
    return [name for names in before for name in names if only in name and name not in now]


def unclear(verdicts: list[Verdict], limit: float) -> set[str]:
    """What is timed again: what looks slower, and what may be after all."""
    clear = "faster", "no change"
    return {v.name for v in verdicts if v.outcome not in clear or v.high > 1.0 + 1.5 * limit}


def command(module: str, given: argparse.Namespace, builds: tuple[Build, Build]) -> str:
    """What to type for the same comparison, whatever branches lead to by then."""
    words = ["python -m", module, *(one.number for one in builds)]
    if given.only:
        words.append(f"--only {shlex.quote(given.only)}")
    if given.seconds is not None:
        words.append(f"--seconds {given.seconds:g}")
    return " ".join(words)


def main(arguments: list[str] | None = None, module: str = "fusem.testing.gate") -> int:
    """Compare, print the table, return the exit code; `module` is what was called."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description="Fails (exit code 1) where HEAD is slower than BASE beyond doubt.",
    )
    parser.add_argument("base", metavar="BASE", help="commit, branch or tag")
    parser.add_argument("head", metavar="HEAD", nargs="?", default="HEAD", help="[default: HEAD]")
    parser.add_argument("--repository", type=Path, default=Path(), help="[default: this folder]")
    parser.add_argument("--seconds", type=float, help="to measure for, instead of the project's")
    parser.add_argument("--only", default="", help="benchmarks whose name contains this")
    parser.add_argument("--output", type=Path, help="write the table here too, as Markdown")
    parser.add_argument(
        "--changelog",
        type=Path,
        help="put what changed into the group Performance of this changelog",
    )
    parser.add_argument("--record", type=Path, help="write all timings here, as .npz")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        if given.changelog:
            with_entries(given.changelog, "")  # says what is wrong with it before all is timed
        with tempfile.TemporaryDirectory(prefix="fusem-gate-") as folder:
            builds = both_built(given.repository, (given.base, given.head), Path(folder))
            settings = settings_of(builds[1].source)
            base, head = (one._replace(environment=settings.environment) for one in builds)
            builds = base, head
            if given.seconds is not None:
                more = max(0.0, given.seconds - settings.seconds)
                settings = settings._replace(seconds=given.seconds, total=settings.total + more)
            exact = tracked(builds, settings.benchmarks, given.only, settings.limit)
            gone = no_longer_there(builds, settings.benchmarks, given.only)
            end = began + settings.total
            recording, left_out = compared(builds, settings, given.only, end)
    except Failed as problem:
        print(problem, file=sys.stderr)
        return 2
    except Exception:  # noqa: BLE001 - whatever it is, nothing was found to be slower
        traceback.print_exc()
        return 2
    verdicts = judged(recording, settings.limit)
    left_out = LeftOut(exact.new | left_out.new, exact.broken | left_out.broken)
    text = table.table(
        given.base, given.head, verdicts, exact.signals, *left_out, settings.limit, gone
    )
    if given.output:
        written(given.output, text)
    if not recording and not exact.signals:
        print(f"No benchmark runs in both.\n{text}", file=sys.stderr)
        return 2
    print(text)
    if given.changelog:
        entries = performance_entries(verdicts, exact.signals, command(module, given, builds))
        written(given.changelog, with_entries(given.changelog, entries))
    if given.record:
        parts = {f"{name}#{g}": t for name, taken in recording.items() for g, t in enumerate(taken)}
        np.savez_compressed(given.record, allow_pickle=False, **parts)
    outcomes = {v.outcome for v in verdicts} | {s.outcome for s in exact.signals}
    if outcomes & {"slower", "worse"}:
        return 1
    return 2 if left_out.broken else 0


def written(path: Path, text: str) -> None:
    """Write at once or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
