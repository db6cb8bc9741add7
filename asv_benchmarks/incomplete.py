"""Suites for Gaussian mixtures of rows with missing values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asv_benchmarks import mixins, stored
from asv_benchmarks.cases import COVARIANCES, DTYPES, Array, Case, blobs, few, profile_name, start
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.missing import PATTERNS, SHAPES, with_holes


def labels(patterns: Sequence[str]) -> list[str]:
    return [f"{covariance}-{pattern}" for covariance in COVARIANCES for pattern in patterns]


def case(covariance: str) -> Case:
    return Case(covariance, *SHAPES[profile_name()])


def drawn(pattern: str, dtype: str) -> Array:
    """Rows of the one shape, which are the same for all covariance types."""
    return with_holes(blobs(case("full"), dtype), pattern)


class Gaussian(mixins.Cases):
    """Fill in the estimator, at a start that does not depend on what is missing."""

    estimators = ("GaussianMixture",)
    params = (labels(PATTERNS), list(DTYPES))
    iterations = 2

    def make(self, label: str, X: Array) -> Fusem:
        one = case(label.partition("-")[0])
        return Fusem(one, start(one, blobs(one)), self.iterations)

    def stored_as(self, label: str, dtype: str) -> str:
        return f"{label.partition('-')[2]}-{dtype}"

    def setup_cache(self) -> Path:
        return stored.keep(
            (f"{pattern}-{dtype}", partial(drawn, pattern, dtype))
            for pattern in PATTERNS
            for dtype in DTYPES
        )


class SweepMissing(Gaussian, mixins.Sweep):
    """`statistics` and `update`."""


class ImputeMissing(Gaussian, mixins.Impute):
    """`impute`."""


class UseMissing(Gaussian, mixins.Fit, mixins.Predict):
    """`fit`, `predict` and its kin."""

    params = (labels(few(PATTERNS)), few(DTYPES))
