"""Suites for `fusem.GaussianMixture`."""

from __future__ import annotations

from asv_benchmarks import mixins
from asv_benchmarks.cases import Case, Start
from asv_benchmarks.libraries import Fusem


class Gaussian(mixins.Estimator):
    """Fill in the estimator; without a mix-in there is nothing here to time."""

    library = Fusem.name

    def make(self, case: Case, start: Start) -> Fusem:
        return Fusem(case, start, self.iterations)


class FitGaussianMixture(Gaussian, mixins.Fit):
    """`GaussianMixture.fit`."""


class SweepGaussianMixture(Gaussian, mixins.Sweep):
    """`GaussianMixture.statistics` and `update`."""


class CeilingsGaussianMixture(Gaussian, mixins.Ceilings):
    """`GaussianMixture.statistics` against the machine."""


class PredictGaussianMixture(Gaussian, mixins.Predict):
    """`GaussianMixture.predict` and its kin."""


class MemoryGaussianMixture(Gaussian, mixins.Memory):
    """Peak memory of `GaussianMixture.fit`."""
