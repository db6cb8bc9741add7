"""A process that times benchmarks of one build when it is told to: one line of JSON in, one out.

Benchmarks are written as for airspeed velocity (asv): functions and methods called ``time_…``, or
``track_…`` for numbers that are the same in every run, with its attributes ``params``, ``setup`` and
``setup_cache``. This file imports nothing of fusem, which may be the build that is timed.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TIMED, TRACKED = "time_", "track_"
PREFIXES = TIMED, TRACKED


class Benchmark(NamedTuple):
    """One function or method with one choice of parameters."""

    name: str
    owner: Any  # module, or class to make an instance of
    attribute: str
    parameters: tuple[Any, ...]

    def prepared(self, caches: dict[int, Any]) -> Callable[[], Any]:
        """Set up, and bound to its parameters.

        Parameters
        ----------
        caches : dict of int to object
            What each owner's ``setup_cache`` has made in this process; it comes before the parameters.
        """
        owner = self.owner() if inspect.isclass(self.owner) else self.owner
        given = self.parameters
        if hasattr(owner, "setup_cache"):
            if id(self.owner) not in caches:
                try:
                    caches[id(self.owner)] = owner.setup_cache()
                except Exception as problem:  # noqa: BLE001 - it may take long, and is not tried again
                    caches[id(self.owner)] = problem
            made = caches[id(self.owner)]
            if isinstance(made, Exception):
                raise made
            given = given if made is None else (made, *given)
        function = getattr(owner, self.attribute)
        module = sys.modules[self.owner.__module__] if inspect.isclass(self.owner) else self.owner
        places = [module, owner, function] if owner is not module else [module, function]
        for place in places:
            if setup := getattr(place, "setup", None):
                setup(*given)
        return lambda: function(*given)


def benchmarks_in(modules: list[str]) -> dict[str, Benchmark]:
    """All benchmarks of some modules, by name.

    Parameters
    ----------
    modules : list of str
        Names that can be imported.

    Returns
    -------
    benchmarks : dict of str to Benchmark
        In the order of the modules, of their definitions and of the parameters.

    Raises
    ------
    ValueError
        A module without any benchmark: a misspelt name would pass every gate.
    """
    found: dict[str, Benchmark] = {}
    for name in modules:
        module = importlib.import_module(name)
        own = {one.name: one for one in in_module(module)}
        if not own:
            raise ValueError(f"{name} has no benchmark: no function or method called {TIMED}….")
        found.update(own)
    return found


def in_module(module: Any) -> Iterator[Benchmark]:
    """Benchmarks that a module defines."""
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__ or inspect.isabstract(value):
            continue
        if inspect.isfunction(value) and name.startswith(PREFIXES):
            yield from with_parameters(f"{module.__name__}.{name}", module, name, value)
        elif inspect.isclass(value):
            for attribute in dir(value):
                if attribute.startswith(PREFIXES):
                    label = f"{module.__name__}.{name}.{attribute}"
                    yield from with_parameters(label, value, attribute, value)


def with_parameters(label: str, owner: Any, attribute: str, holder: Any) -> Iterator[Benchmark]:
    """A benchmark for every choice of its parameters."""
    params = list(getattr(holder, "params", []))
    if not params:
        yield Benchmark(label, owner, attribute, ())
        return
    if not isinstance(params[0], (list, tuple)):
        params = [params]
    for chosen in itertools.product(*params):
        text = ", ".join(map(str, chosen))
        yield Benchmark(f"{label}({text})", owner, attribute, chosen)


class Timer:
    """Benchmarks of some modules, set up when first asked for."""

    def __init__(self, modules: list[str]) -> None:
        self.benchmarks: dict[str, Benchmark] = {}
        self.problems: dict[str, Exception] = {}  # of modules that cannot be imported
        for module in modules:
            try:
                self.benchmarks.update(benchmarks_in([module]))
            except Exception as problem:  # noqa: BLE001 - told when its benchmarks are asked for
                self.problems[module] = problem
        self.timed = [n for n, one in self.benchmarks.items() if one.attribute.startswith(TIMED)]
        self.tracked = [n for n in self.benchmarks if n not in self.timed]
        self.ready: dict[str, Callable[[], Any]] = {}
        self.caches: dict[int, Any] = {}

    def names(self, kind: str = "timed") -> list[str]:
        """All there are that are timed, or "tracked"."""
        for problem in self.problems.values():
            raise problem
        return self.timed if kind == "timed" else self.tracked

    def track(self, name: str) -> dict[str, Any] | None:
        """A number that is the same in every run, and what is said of it; None where it is left out."""
        benchmark = self.benchmarks[name]
        try:
            value = benchmark.prepared(self.caches)()
        except NotImplementedError:  # as asv has it
            return None
        function = getattr(benchmark.owner, benchmark.attribute)
        return {
            "value": float(value),
            "tolerance": getattr(function, "tolerance", None),
            "larger_is_better": getattr(function, "larger_is_better", False),
        }

    def prepare(self, name: str) -> float | None:
        """Set up and call twice: the first call may compile; seconds of the second, None if left out."""
        for module, problem in self.problems.items():
            if name.startswith(f"{module}."):
                raise problem
        if name not in self.ready:
            try:
                self.ready[name] = self.benchmarks[name].prepared(self.caches)
            except NotImplementedError:  # as asv has it
                return None
            self.ready[name]()
            gc.collect()
            gc.freeze()  # what is there to stay need not be looked through again
        return self.time(name, 1)

    def time(self, name: str, number: int) -> float:
        """Seconds per call of so many in a row."""
        call, repeat = self.ready[name], range(number)
        gc.disable()
        try:
            begin = time.perf_counter()
            for _ in repeat:
                call()
            return (time.perf_counter() - begin) / number
        finally:
            gc.enable()


def foreign_modules(folder: str) -> list[str]:
    """Packages of the build that were imported from somewhere else."""
    entries = [path.name for path in Path(folder).iterdir()]
    own = {entry.split(".")[0] for entry in entries if not entry.endswith("-info")}
    wrong = []
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.split(".")[0] not in own or path is None:  # a package without a file has no code
            continue
        place = Path(folder, *name.split("."))
        if not place.exists() and not list(place.parent.glob(f"{place.name}.*")):
            continue  # another distribution's, in a package that both have parts of
        if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
            wrong.append(f"{name} from {path}")
    return wrong


def main() -> None:
    """Serve until the input ends; what benchmarks print goes to stderr."""
    folder, *modules = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    timer = None
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            if timer is None:
                made = Timer(modules)
                if wrong := foreign_modules(folder):
                    raise ImportError(f"the build does not hide what is installed: {wrong[:3]}")
                timer = made
            answer = {"value": getattr(timer, method)(*arguments)}
        except Exception:  # noqa: BLE001 - whatever a benchmark raises is reported
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
