"""What is timed, independent of the model: a suite is a class that names mix-ins and an estimator.

Mix-ins are abstract, so that asv collects only the suites that fill them in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

import fusem
from asv_benchmarks import ceilings, memory
from asv_benchmarks.cases import (
    DTYPES,
    Array,
    Case,
    Start,
    blobs,
    by_label,
    profile,
    profile_name,
    start,
)
from asv_benchmarks.libraries import Fusem

REPEAT = (
    6,
    20,
    20.0,
)  # samples at least and at most, seconds: six are needed for asv to test a difference


class Estimator(ABC):
    """Data and a fitted model for every case and dtype; compiled before the clock starts."""

    param_names: ClassVar[list[str]] = ["case", "dtype"]
    params: ClassVar[tuple[list[str], list[str]]] = ([c.label for c in profile()], list(DTYPES))
    iterations: ClassVar[int] = 5
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    X: Array
    subject: Fusem

    @abstractmethod
    def make(self, case: Case, start: Start) -> Fusem:
        """Return an estimator that makes `iterations` EM iterations from `start`."""

    def setup(self, label: str, dtype: str) -> None:
        case = by_label(label)
        self.X = blobs(case, dtype)
        self.subject = self.make(case, start(case, self.X))
        self.subject.fit(self.X)


class Fit(Estimator):
    """A whole fit of a fixed number of iterations."""

    def time_fit(self, label: str, dtype: str) -> None:
        self.subject.fit(self.X)

    def peakmem_fit(self, label: str, dtype: str) -> None:
        self.subject.fit(self.X)

    def track_log_likelihood(self, label: str, dtype: str) -> float:
        """Mean log-likelihood reached: a faster sweep must not reach less."""
        return float(self.subject.model.lower_bound_)


class Sweep(Estimator):
    """One EM iteration by hand: the statistic of all rows, then the M-step."""

    def time_statistics(self, label: str, dtype: str) -> None:
        self.subject.model.statistics(self.X)

    def time_sweep(self, label: str, dtype: str) -> None:
        self.subject.iterate(self.X)


class Ceilings(Estimator):
    """How near a sweep comes to what the machine can do at all."""

    def track_share_of_matrix_product(self, label: str, dtype: str) -> float:
        """Needed multiply–adds per second, over those of the BLAS's matrix product.

        All components count as needed: where they lie apart, most are left out and more than 1 is reached.
        """
        rate = ceilings.multiply_adds(by_label(label)) / self.sweep_seconds()
        return rate / ceilings.matrix_product_rate(dtype)

    def track_share_of_copy(self, label: str, dtype: str) -> float:
        """Bytes of rows read per second, over those of a copy."""
        return self.X.nbytes / self.sweep_seconds() / ceilings.copy_rate()

    def sweep_seconds(self) -> float:
        return ceilings.seconds(lambda: self.subject.model.statistics(self.X))


class Predict(Estimator):
    """What a fitted model is asked."""

    def time_predict(self, label: str, dtype: str) -> None:
        self.subject.model.predict(self.X)

    def time_predict_proba(self, label: str, dtype: str) -> None:
        self.subject.model.predict_proba(self.X)

    def time_score_samples(self, label: str, dtype: str) -> None:
        self.subject.model.score_samples(self.X)

    def time_score(self, label: str, dtype: str) -> None:
        self.subject.model.score(self.X)

    def time_profile_loglik(self, label: str, dtype: str) -> None:
        grid = np.linspace(-1.0, 1.0, 20)
        fusem.profile_loglik(self.subject.model, self.X, "means[0, 0]", grid)

    def time_sample(self, label: str, dtype: str) -> None:
        self.subject.model.sample(len(self.X))

    def peakmem_predict(self, label: str, dtype: str) -> None:
        self.subject.model.predict(self.X)


class Memory(Estimator):
    """Bytes that a fit needs beyond its data, measured in a process of its own."""

    library: ClassVar[str]

    def setup(self, label: str, dtype: str) -> None:
        """Leave making the data to the other process."""
        if profile_name() == "quick" and dtype != "float64":
            raise NotImplementedError("each starts two processes")  # asv leaves it out

    def track_memory_beyond_data(self, label: str, dtype: str) -> int:
        return memory.beyond_data(self.library, by_label(label), dtype, self.iterations)

    track_memory_beyond_data.unit = "bytes"  # type: ignore[attr-defined]
