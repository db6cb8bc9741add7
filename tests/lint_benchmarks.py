"""What is public and no benchmark measures: methods, functions, families."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

KINDS = ("time_", "timeraw_", "peakmem_", "track_")
CALL = re.compile(r"\.(\w+)\(")

# Methods that no benchmark needs, of whatever class has them from the same place, and why.
UNMEASURED = {
    "EMImputer.get_feature_names_out": "a list of names",
    "GaussianHMM.aic": "`bic` with another factor",
    "GaussianMixture.aic": "`score` and some additions",
    "GaussianMixture.bic": "`score` and some additions",
    "OnlineFilter.reset": "sets a few attributes; `online` does it too",
    "Rows.whole": "what `to_array` begins with",
}


def suites_in(modules: Iterable[Any]) -> set[type]:
    """Classes whose methods asv would find."""
    classes = [value for module in modules for value in vars(module).values()]
    return {one for one in classes if isinstance(one, type) and not inspect.isabstract(one)}


def sources(suite: type) -> Iterator[str]:
    """Source of every benchmark of a suite."""
    for name in dir(suite):
        if name.startswith(KINDS):
            yield inspect.getsource(getattr(suite, name))


def methods(owner: type) -> dict[str, Any]:
    """Public methods of a class that fusem itself defines, by name: the functions that do the work."""
    found = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    functions = {name: inspect.unwrap(f) for name, f in found.items() if callable(f)}
    functions = {name: getattr(f, "__func__", f) for name, f in functions.items()}
    return {name: f for name, f in functions.items() if belongs(f)}


def belongs(function: Any) -> bool:
    return inspect.isfunction(function) and function.__module__.partition(".")[0] != "sklearn"


def measured(public: dict[str, Any], suites: Iterable[type]) -> tuple[set[Any], set[str]]:
    """Functions that some benchmark calls, and classes of which it calls ``fit``."""
    functions, fitted = set(), set()
    for suite in suites:
        called = {name for text in sources(suite) for name in CALL.findall(text)}
        called |= {"fit"} if any("fit_quietly(" in text for text in sources(suite)) else set()
        functions |= {f for name, f in public.items() if name in called and not isinstance(f, type)}
        for name in getattr(suite, "estimators", ()):
            own = methods(public[name])
            functions |= {f for method, f in own.items() if method in called}
            fitted |= {name} & ({name} if "fit" in called else set())
    return functions, fitted


def unmeasured(public: dict[str, Any], suites: Iterable[type]) -> list[str]:
    """Name each public function, method or estimator that no benchmark measures.

    A method that several classes share is measured once; ``fit`` is measured in every class.

    Parameters
    ----------
    public : dict of str to object
        Public classes and functions by name.
    suites : iterable of type
        Classes of benchmarks; `estimators` names the public classes they measure.
    """
    functions, fitted = measured(public, suites)
    functions |= {f for name in public for f in excused(name, public[name])}
    problems = []
    for name, value in public.items():
        own = methods(value) if isinstance(value, type) else {}
        problems += [f"{name}.{m}" for m, f in own.items() if f not in functions and m != "fit"]
        missing = "fit" in own and name not in fitted
        missing |= not isinstance(value, type) and value not in functions
        problems += [f"{name}.fit" if own else name] if missing else []
    return sorted(problems)


def excused(name: str, owner: Any) -> set[Any]:
    """Return the functions of a class that need no benchmark."""
    own = methods(owner) if isinstance(owner, type) else {}
    return {function for method, function in own.items() if f"{name}.{method}" in UNMEASURED}


def families_unmeasured(
    families: Iterable[str], cases: Iterable[Any], suites: Iterable[type]
) -> list[str]:
    """Name each family without a case, or whose mixture or chain no benchmark has among its parameters.

    Parameters
    ----------
    families : iterable of str
        Names in the registry.
    cases : iterable of Case or CountCase
        Rows of `tests.cases`.
    suites : iterable of type
        Classes of benchmarks.
    """
    named = {case.family: getattr(case, "covariance_type", "") or case.estimator for case in cases}
    labels = [label for suite in suites for label in all_parameters(suite)]
    problems = []
    for family in families:
        if family not in named:
            problems.append(f"{family}: no row in tests/cases.py")
        else:
            mixture = any(label.startswith(f"{named[family]}-") for label in labels)
            problems += [] if mixture else [f"{family}: no benchmark of its mixture"]
            problems += (
                [] if f"HMM-{family}" in labels else [f"{family}: no benchmark of its chain"]
            )
    return problems


def all_parameters(suite: type) -> list[str]:
    """Every single parameter of a suite that is text."""
    params = getattr(suite, "params", ())
    flat = [one for some in params for one in ([some] if isinstance(some, str) else some)]
    return [one for one in flat if isinstance(one, str)]
