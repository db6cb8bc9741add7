"""Mixtures of counts and of categories."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fusem
from asv_benchmarks.cases import Array, profile_name
from asv_benchmarks.mixins import REPEAT

ROWS = {"quick": 2_000, "full": 100_000, "large": 2_000_000}
FAMILIES = ("PoissonMixture", "CategoricalMixture", "MultinomialMixture")
COLUMNS, COMPONENTS = 8, 4


def rows(family: str, n: int) -> Array:
    """Rows of a family's kind."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(1.0, 9.0, (COMPONENTS, COLUMNS))[rng.integers(COMPONENTS, size=n)]
    if family == "CategoricalMixture":
        return (rng.random((n, COLUMNS)) * rates).astype(np.int64).astype(np.float64)
    return rng.poisson(rates).astype(np.float64)


class Counts:
    """A fit of five iterations, and what a fitted model is asked."""

    param_names: ClassVar[list[str]] = ["family"]
    params: ClassVar[tuple[str, ...]] = FAMILIES
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, family: str) -> None:
        self.X = rows(family, ROWS[profile_name()])
        self.model: Any = getattr(fusem, family)(
            COMPONENTS, max_iter=5, tol=0.0, random_state=0, init_params="random_from_data"
        )
        self.time_fit(family)

    def time_fit(self, family: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X)

    def time_statistics(self, family: str) -> None:
        self.model.statistics(self.X)

    def time_predict_proba(self, family: str) -> None:
        self.model.predict_proba(self.X)

    def time_sample(self, family: str) -> None:
        self.model.sample(len(self.X))
