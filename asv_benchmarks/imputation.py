"""`EMImputer`, and estimates from several completed tables pooled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import fusem
from asv_benchmarks import stored
from asv_benchmarks.cases import Case, blobs, profile_name
from asv_benchmarks.libraries import THREADS
from asv_benchmarks.missing import with_holes
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.quiet import fit_quietly

SHAPES = {"quick": (1_000, 4, 3), "full": (20_000, 8, 4), "large": (500_000, 16, 8)}
WAYS: dict[str, dict[str, Any]] = {
    "mean": {},
    "drawn": {"sample_posterior": True, "add_indicator": True},
    "three": {"sample_posterior": True, "n_imputations": 3},
}


class Imputer:
    """`EMImputer`: conditional means, a draw, several draws of several fits."""

    estimators: ClassVar[tuple[str, ...]] = ("EMImputer",)
    param_names: ClassVar[list[str]] = ["way"]
    params: ClassVar[list[str]] = list(WAYS)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup_cache(self) -> Path:
        case = Case("full", *SHAPES[profile_name()])
        return stored.keep([("table", lambda: with_holes(blobs(case), "random"))])

    def setup(self, folder: Path, way: str) -> None:
        self.X = stored.kept(folder, "table")
        self.imputer = fusem.EMImputer(
            2, max_iter=5, tol=0.0, random_state=0, n_jobs=THREADS, **WAYS[way]
        )
        fit_quietly(self.imputer, self.X)

    def time_fit(self, folder: Path, way: str) -> None:
        fit_quietly(self.imputer, self.X)

    def time_transform(self, folder: Path, way: str) -> None:
        self.imputer.transform(self.X)


class Pool:
    """Rubin's rules."""

    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self) -> None:
        self.estimates = np.random.default_rng(0).normal(size=(20, 1000))
        self.variances = np.ones_like(self.estimates)

    def time_pool(self) -> None:
        fusem.pool(self.estimates, self.variances)
