"""What is timed, independent of the model: a suite is a class that names mix-ins and an estimator.

Mix-ins are abstract, so that asv collects only the suites that fill them in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import fusem
from asv_benchmarks import ceilings, memory, stored
from asv_benchmarks.cases import DTYPES, Array, by_label, profile_name
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.quiet import fit_quietly, quietly

REPEAT = (
    6,
    20,
    20.0,
)  # samples at least and at most, seconds: six are needed for asv to test a difference


class Cases(ABC):
    """Cases by their labels, and dtypes.

    Attributes
    ----------
    estimators : tuple of str
        Public classes of fusem whose methods are timed: a test looks for those that no suite has.
    """

    estimators: ClassVar[tuple[str, ...]]
    param_names: ClassVar[list[str]] = ["case", "dtype"]
    params: ClassVar[tuple[list[str], list[str]]]
    iterations: ClassVar[int] = 5
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    @abstractmethod
    def make(self, label: str, X: Array) -> Fusem:
        """Return an estimator that makes `iterations` EM iterations from a start that takes no time."""


class Estimator(Cases):
    """Data and a fitted model for every case and dtype; compiled before the clock starts."""

    X: Array
    subject: Fusem

    @abstractmethod
    def stored_as(self, label: str, dtype: str) -> str:
        """Return the name that the rows of a case have in the folder of `setup_cache`."""

    def setup(self, folder: Path, label: str, dtype: str) -> None:
        self.X = stored.kept(folder, self.stored_as(label, dtype))
        self.subject = self.make(label, self.X)
        self.subject.fit(self.X)

    @property
    def model(self) -> Any:
        """The fitted model."""
        return self.subject.model


class Fit(Estimator):
    """A whole fit of a fixed number of iterations."""

    def time_fit(self, folder: Path, label: str, dtype: str) -> None:
        fit_quietly(self.model, self.X)

    def peakmem_fit(self, folder: Path, label: str, dtype: str) -> None:
        fit_quietly(self.model, self.X)

    def track_minus_log_likelihood(self, folder: Path, label: str, dtype: str) -> float:
        """Minus the mean log-likelihood reached: a faster sweep must not reach less."""
        return -float(self.model.lower_bound_)


class FitOtherwise(Estimator):
    """Fits that do more than iterate from a given start."""

    def setup(self, folder: Path, label: str, dtype: str) -> None:
        super().setup(folder, label, dtype)
        self.weights = np.random.default_rng(3).uniform(0.5, 1.5, len(self.X))

    def time_fit_weighted(self, folder: Path, label: str, dtype: str) -> None:
        fit_quietly(self.model, self.X, sample_weight=self.weights)

    def time_fit_predict(self, folder: Path, label: str, dtype: str) -> None:
        with quietly():
            self.model.fit_predict(self.X)


class Starts(Estimator):
    """Fits that find their start themselves."""

    ways: ClassVar[tuple[str, ...]] = ("kmeans", "k-means++", "random", "random_from_data")
    param_names: ClassVar[list[str]] = ["case", "start"]

    @abstractmethod
    def unstarted(self, label: str, **options: Any) -> Any:
        """Return an estimator without start parameters."""

    def setup(self, folder: Path, label: str, way: str) -> None:
        self.X = stored.kept(folder, self.stored_as(label, DTYPES[0]))
        self.one, self.three = (
            self.unstarted(
                label, init_params=way, n_init=n_init, max_iter=2, tol=0.0, random_state=0
            )
            for n_init in (1, 3)
        )
        fit_quietly(self.one, self.X)

    def time_fit(self, folder: Path, label: str, way: str) -> None:
        fit_quietly(self.one, self.X)

    def time_fit_three_times(self, folder: Path, label: str, way: str) -> None:
        fit_quietly(self.three, self.X)


class Sweep(Estimator):
    """One EM iteration by hand: the statistic of all rows, then the M-step."""

    def time_statistics(self, folder: Path, label: str, dtype: str) -> None:
        self.model.statistics(self.X)

    def time_sweep(self, folder: Path, label: str, dtype: str) -> None:
        self.model.update(self.model.statistics(self.X))


class Ceilings(Estimator):
    """How near a sweep comes to what the machine can do at all."""

    def track_share_of_matrix_product(self, folder: Path, label: str, dtype: str) -> float:
        """Needed multiply–adds per second, over those of the BLAS's matrix product.

        All components count as needed: where they lie apart, most are left out and more than 1 is reached.
        """
        rate = ceilings.multiply_adds(by_label(label)) / self.sweep_seconds()
        return rate / ceilings.matrix_product_rate(dtype)

    def track_share_of_copy(self, folder: Path, label: str, dtype: str) -> float:
        """Bytes of rows read per second, over those of a copy."""
        return self.X.nbytes / self.sweep_seconds() / ceilings.copy_rate()

    def sweep_seconds(self) -> float:
        return ceilings.seconds(lambda: self.model.statistics(self.X))


class Predict(Estimator):
    """What a fitted model is asked of rows."""

    def time_predict(self, folder: Path, label: str, dtype: str) -> None:
        self.model.predict(self.X)

    def time_predict_proba(self, folder: Path, label: str, dtype: str) -> None:
        self.model.predict_proba(self.X)

    def time_score_samples(self, folder: Path, label: str, dtype: str) -> None:
        self.model.score_samples(self.X)

    def time_score(self, folder: Path, label: str, dtype: str) -> None:
        self.model.score(self.X)


class PredictMore(Predict):
    """What is only asked of complete rows, or takes what `Predict` takes and something more."""

    def time_icl(self, folder: Path, label: str, dtype: str) -> None:
        self.model.icl(self.X)

    def time_sample(self, folder: Path, label: str, dtype: str) -> None:
        self.model.sample(len(self.X))

    def peakmem_predict(self, folder: Path, label: str, dtype: str) -> None:
        self.model.predict(self.X)


class Impute(Estimator):
    """Missing values filled in: by what is expected of them, or by draws."""

    def time_impute(self, folder: Path, label: str, dtype: str) -> None:
        self.model.impute(self.X)

    def time_impute_drawn(self, folder: Path, label: str, dtype: str) -> None:
        self.model.impute(self.X, sample_posterior=True, random_state=0)


class Profile(Estimator):
    """The likelihood along one parameter."""

    def time_profile_loglik(self, folder: Path, label: str, dtype: str) -> None:
        grid = np.linspace(-1.0, 1.0, 20)
        fusem.profile_loglik(self.model, self.X, "means[0, 0]", grid)


class Memory(Cases):
    """Bytes that a fit needs beyond its data, measured in a process of its own, which makes the data."""

    library: ClassVar[str]

    def setup(self, label: str, dtype: str) -> None:
        first = [values[0] for values in self.params]
        if profile_name() == "quick" and [label, dtype] != first:
            raise NotImplementedError("each starts two processes")  # asv leaves it out

    def track_memory_beyond_data(self, label: str, dtype: str) -> int:
        return memory.beyond_data(self.library, by_label(label), dtype, self.iterations)

    track_memory_beyond_data.unit = "bytes"  # type: ignore[attr-defined]
