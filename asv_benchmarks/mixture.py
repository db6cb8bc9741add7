"""Suites for `fusem.GaussianMixture`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import fusem
from asv_benchmarks import mixins, stored
from asv_benchmarks.cases import DTYPES, Array, blobs, by_label, few, profile, start
from asv_benchmarks.libraries import THREADS, Fusem

LABELS = [case.label for case in profile()]


class Gaussian(mixins.Cases):
    """Fill in the estimator; without a mix-in there is nothing here to time."""

    estimators = ("GaussianMixture",)
    library = Fusem.name
    params = (LABELS, list(DTYPES))

    def make(self, label: str, X: Array) -> Fusem:
        case = by_label(label)
        return Fusem(case, start(case, X), self.iterations)


class GaussianRows(Gaussian):
    """Rows of all cases: one array for all covariance types of a shape."""

    def setup_cache(self) -> Path:
        return stored.keep(
            (self.stored_as(case.label, dtype), partial(blobs, case, dtype))
            for case in profile()
            for dtype in DTYPES
        )

    def stored_as(self, label: str, dtype: str) -> str:
        return f"{label.partition('-')[2]}-{dtype}"


class FitGaussianMixture(GaussianRows, mixins.Fit):
    """`GaussianMixture.fit`."""


class FitOtherwiseGaussianMixture(GaussianRows, mixins.FitOtherwise):
    """`GaussianMixture.fit` with sample weights, and with labels."""

    params = (LABELS, [DTYPES[0]])


class StartsGaussianMixture(GaussianRows, mixins.Starts):
    """`GaussianMixture.fit` without start parameters."""

    params = (few(LABELS), list(mixins.Starts.ways))

    def unstarted(self, label: str, **options: Any) -> Any:
        case = by_label(label)
        return fusem.GaussianMixture(
            case.components, covariance_type=case.covariance, n_jobs=THREADS, **options
        )


class SweepGaussianMixture(GaussianRows, mixins.Sweep):
    """`GaussianMixture.statistics` and `update`."""


class CeilingsGaussianMixture(GaussianRows, mixins.Ceilings):
    """`GaussianMixture.statistics` against the machine."""


class PredictGaussianMixture(GaussianRows, mixins.PredictMore, mixins.Profile):
    """`GaussianMixture.predict` and its kin."""


class MemoryGaussianMixture(Gaussian, mixins.Memory):
    """Peak memory of `GaussianMixture.fit`."""
