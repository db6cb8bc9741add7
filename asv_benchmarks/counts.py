"""Suites for mixtures of counts and of codes, one case for each of `tests.cases.COUNT_CASES`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import fusem
from asv_benchmarks import mixins, stored
from asv_benchmarks.cases import DTYPES, Array, few, profile_name
from asv_benchmarks.libraries import THREADS, Fusem
from tests.cases import COUNT_CASES, CountCase

SHAPES = {  # rows, columns, components
    "quick": [(2_000, 4, 3)],
    "full": [(100_000, 8, 4), (40_000, 32, 8)],
    "large": [(2_000_000, 8, 4), (500_000, 32, 16)],
}
HOLES = 0.1  # share of missing values
BY_ESTIMATOR = {case.estimator: case for case in COUNT_CASES}


def labels(cases: list[CountCase]) -> list[str]:
    """One label for each family and shape of the profile."""
    return [
        f"{case.estimator}-{n}x{d}-k{K}" for n, d, K in SHAPES[profile_name()] for case in cases
    ]


def by_label(label: str) -> tuple[CountCase, int, int, int]:
    """The family, rows, columns and components of a label."""
    estimator, shape, components = label.split("-")
    rows, columns = map(int, shape.split("x"))
    return BY_ESTIMATOR[estimator], rows, columns, int(components.removeprefix("k"))


def drawn(label: str, dtype: str, missing: float = 0.0) -> Array:
    """Rows of a case."""
    case, n, d, K = by_label(label)
    return case.data(n, K, d, dtype, missing=missing)


def mixture(label: str, **options: Any) -> Any:
    """An estimator of a case's family, which does not start anywhere yet."""
    case, _, _, K = by_label(label)
    if case.family == "categorical":
        options["n_categories"] = case.start(1, 1).values.shape[2]
    return getattr(fusem, case.estimator)(K, n_jobs=THREADS, **options)


class CountFusem(Fusem):
    """A mixture of counts or codes, at the start parameters of its case."""

    def __init__(self, label: str, iterations: int) -> None:
        case, _, d, K = by_label(label)
        begin = case.start(K, d)
        given = {"weights_init": begin.weights, f"{case.parameter}_init": begin.values}
        self.model = mixture(label, tol=0.0, max_iter=iterations, **given)


class Counts(mixins.Cases):
    """Fill in the estimators."""

    estimators = tuple(BY_ESTIMATOR)
    params = (labels(COUNT_CASES), list(DTYPES))
    missing = 0.0

    def make(self, label: str, X: Array) -> Fusem:
        return CountFusem(label, self.iterations)

    def stored_as(self, label: str, dtype: str) -> str:
        return f"{label}-{dtype}-{self.missing}"

    def setup_cache(self) -> Path:
        return stored.keep(
            (f"{label}-{dtype}-{missing}", partial(drawn, label, dtype, missing))
            for missing in (0.0, HOLES)
            for label in labels([c for c in COUNT_CASES if c.missing or not missing])
            for dtype in DTYPES
        )


class FitCounts(Counts, mixins.Fit):
    """`fit`."""


class FitOtherwiseCounts(Counts, mixins.FitOtherwise):
    """`fit` with sample weights, and with labels."""

    params = (labels(COUNT_CASES), [DTYPES[0]])


class StartsCounts(Counts, mixins.Starts):
    """`fit` without start parameters."""

    params = (labels(COUNT_CASES), few(mixins.Starts.ways))

    def unstarted(self, label: str, **options: Any) -> Any:
        return mixture(label, **options)


class SweepCounts(Counts, mixins.Sweep):
    """`statistics` and `update`."""

    params = (labels(COUNT_CASES), few(DTYPES))


class PredictCounts(Counts, mixins.PredictMore):
    """`predict` and its kin."""

    params = (labels(COUNT_CASES), few(DTYPES))


class MissingCounts(Counts, mixins.Fit, mixins.Sweep, mixins.Predict):
    """The same of rows with missing values, in the families where values may be missing."""

    params = (labels([case for case in COUNT_CASES if case.missing]), few(DTYPES))
    missing = HOLES
