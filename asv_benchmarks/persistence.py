"""Models in files, and statistics that are sent from one process to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

import fusem
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.quiet import fit_quietly

ROWS, COLUMNS = 500, 4
MODELS: dict[str, Callable[[], Any]] = {
    "GaussianMixture": lambda: fusem.GaussianMixture(3, max_iter=2, random_state=0),
    "PoissonMixture": lambda: fusem.PoissonMixture(3, max_iter=2, random_state=0),
    "HMM": lambda: fusem.HMM(4, "poisson", n_iter=2, random_state=0),
    "GaussianHMM": lambda: fusem.GaussianHMM(4, n_iter=2, random_state=0),
}


def fitted(name: str) -> tuple[Any, Any]:
    """A model, and its rows: counts, which suit all of them."""
    X = np.random.default_rng(0).poisson(5.0, (ROWS, COLUMNS)).astype(np.float64)
    return fit_quietly(MODELS[name](), X), X


class Files:
    """`save` and `load`."""

    estimators: ClassVar[tuple[str, ...]] = tuple(MODELS)
    param_names: ClassVar[list[str]] = ["model"]
    params: ClassVar[list[str]] = list(MODELS)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, name: str) -> None:
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.fusem"
        self.model, _ = fitted(name)
        self.model.save(self.path)

    def teardown(self, name: str) -> None:
        self.folder.cleanup()

    def time_save(self, name: str) -> None:
        self.model.save(self.path)

    def time_load(self, name: str) -> None:
        fusem.load(self.path)


class Statistic:
    """`MixtureStatistic` as bytes, there and back, and added up."""

    estimators: ClassVar[tuple[str, ...]] = ("MixtureStatistic",)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self) -> None:
        model, X = fitted("GaussianMixture")
        self.statistic = model.statistics(X)
        self.sent = self.statistic.to_bytes()

    def time_to_bytes(self) -> None:
        self.statistic.to_bytes()

    def time_from_bytes(self) -> None:
        fusem.MixtureStatistic.from_bytes(self.sent)

    def time_sum(self) -> None:
        sum([self.statistic] * 100)
