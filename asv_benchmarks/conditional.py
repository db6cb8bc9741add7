"""Parts of a Gaussian mixture: some columns, columns given others, missing values given the observed ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from asv_benchmarks import stored
from asv_benchmarks.cases import COVARIANCES, Case, blobs, profile_name, start
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.missing import with_holes
from asv_benchmarks.mixins import REPEAT

SHAPES = {"quick": (500, 4, 3), "full": (20_000, 8, 4), "large": (200_000, 16, 8)}


def case(covariance: str) -> Case:
    return Case(covariance, *SHAPES[profile_name()])


class Conditional:
    """`GaussianMixture.marginal`, `condition` and `predict_missing`."""

    estimators: ClassVar[tuple[str, ...]] = ("GaussianMixture",)
    param_names: ClassVar[list[str]] = ["covariance"]
    params: ClassVar[tuple[str, ...]] = COVARIANCES
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup_cache(self) -> Path:
        return stored.keep([("complete", lambda: blobs(case("full")))])

    def setup(self, folder: Path, covariance: str) -> None:
        one, X = case(covariance), stored.kept(folder, "complete")
        subject = Fusem(one, start(one, X), 2)
        subject.fit(X)
        self.model, self.X = subject.model, with_holes(X, "random")

    def time_marginal(self, folder: Path, covariance: str) -> None:
        self.model.marginal([0, 2])

    def time_condition(self, folder: Path, covariance: str) -> None:
        self.model.condition({1: 0.5, 3: -0.5})

    def time_predict_missing(self, folder: Path, covariance: str) -> None:
        self.model.predict_missing(self.X)
