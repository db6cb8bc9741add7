"""Every public method, and every family, has a benchmark; what has none is seen."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import asv_benchmarks
import fusem
from fusem.families.registry import FAMILIES
from fusem.hmm.filtering import OnlineFilter
from tests.cases import CASES, COUNT_CASES
from tests.lint_benchmarks import UNMEASURED, families_unmeasured, methods, suites_in, unmeasured

ROOT = Path(__file__).parents[1]
MODULES = [
    importlib.import_module(f"asv_benchmarks.{found.name}")
    for found in pkgutil.iter_modules(asv_benchmarks.__path__)
]
SUITES = suites_in(MODULES)


def public() -> dict[str, object]:
    """Classes and functions that users name, and what a method gives them; not warnings, errors and plots."""
    named = {name: getattr(fusem, name) for name in fusem.__all__}
    kept = {
        name: value
        for name, value in named.items()
        if inspect.isfunction(value)
        or (isinstance(value, type) and not issubclass(value, BaseException))
    }
    return {**kept, "OnlineFilter": OnlineFilter}


def test_every_public_method_has_a_benchmark():
    names = public()
    assert {"GMMHMM", "EMImputer", "MixtureStatistic", "load", "pool"} <= set(names)
    assert "predict_proba" in methods(names["PoissonHMM"])
    assert unmeasured(names, SUITES) == []


def test_what_needs_no_benchmark_is_there():
    names = public()
    there = {f"{name}.{method}" for name in names for method in methods(names[name])}
    assert sorted(set(UNMEASURED) - there) == []


class Model:
    def fit(self, X): ...

    def predict(self, X): ...


class Child(Model):
    def score(self, X): ...


def function(): ...


class Suite:
    estimators = ("Model",)
    params = ("full-1", "HMM-a")

    def time_fit(self):
        self.model.fit(self.X)

    def time_predict(self):
        self.model.predict(self.X)


def test_a_method_without_a_benchmark_is_seen():
    assert unmeasured({"Model": Model}, {Suite}) == []
    assert unmeasured({"Model": Model}, set()) == ["Model.fit", "Model.predict"]
    both = {"Model": Model, "Child": Child, "function": function}
    assert unmeasured(both, {Suite}) == ["Child.fit", "Child.score", "function"]


def test_every_family_has_a_benchmark():
    assert families_unmeasured(FAMILIES, [*CASES, *COUNT_CASES], SUITES) == []


def test_a_family_without_a_benchmark_is_seen():
    class Case:
        family, covariance_type = "a", "full"

    class Other:
        family, estimator = "b", "OtherMixture"

    assert families_unmeasured("ab", [Case], {Suite}) == ["b: no row in tests/cases.py"]
    assert len(families_unmeasured("ab", [Case, Other], {Suite})) == 2


def test_benchmarks_need_nothing_that_only_tests_need():
    code = """
import importlib, pkgutil, sys
import asv_benchmarks
for name in ("hypothesis", "mpmath", "pandas", "polars", "pyarrow", "pytest"):
    sys.modules[name] = None
for found in pkgutil.iter_modules(asv_benchmarks.__path__):
    importlib.import_module(f"asv_benchmarks.{found.name}")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
