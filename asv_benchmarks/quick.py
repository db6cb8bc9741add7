"""The quick profile: one benchmark for every kind of kernel, on one thread, some milliseconds each.

What ``python -m asv_benchmarks.gate BASE HEAD`` compares; with asv alone: ``asv run --bench '^quick'``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import fusem
from asv_benchmarks import hmm
from asv_benchmarks.cases import APART, COVARIANCES, DTYPES, Case, blobs, start
from asv_benchmarks.missing import with_holes
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.quiet import fit_quietly

ROWS = 40_000
CASES = {
    **{covariance: Case(covariance, ROWS, 8, 8) for covariance in COVARIANCES},
    "small": Case("full", 4 * ROWS, 2, 5),
    "large": Case("full", ROWS // 8, 64, 8),
    "apart": Case("full", ROWS // 2, 16, 32, APART),
}


def mixture(case: Case, X: Any, iterations: int = 2) -> Any:
    """A model after some iterations, its kernels compiled."""
    model = fusem.GaussianMixture(
        case.components,
        covariance_type=case.covariance,
        tol=0.0,
        max_iter=iterations,
        n_jobs=1,
        **start(case, X),
    )
    return fit_quietly(model, X)


class Sweep:
    """The E-step with the sums of the M-step."""

    param_names: ClassVar[list[str]] = ["case", "dtype"]
    params: ClassVar[tuple[list[str], tuple[str, ...]]] = (list(CASES), DTYPES)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, label: str, dtype: str) -> None:
        case = CASES[label]
        self.X = blobs(case, dtype)
        self.model = mixture(case, self.X)

    def time_statistics(self, label: str, dtype: str) -> None:
        self.model.statistics(self.X)


class Use:
    """What a fitted model is asked, and a short fit."""

    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self) -> None:
        case = CASES["full"]
        self.X = blobs(case)
        self.start = start(case, self.X)
        self.model = mixture(case, self.X)

    def time_fit(self) -> None:
        mixture(CASES["full"], self.X, iterations=5)

    def time_predict(self) -> None:
        self.model.predict(self.X)

    def time_predict_proba(self) -> None:
        self.model.predict_proba(self.X)

    def time_score_samples(self) -> None:
        self.model.score_samples(self.X)

    def time_sample(self) -> None:
        self.model.sample(ROWS)

    def time_start(self) -> None:
        case = CASES["full"]
        fit_quietly(
            fusem.GaussianMixture(case.components, max_iter=1, n_jobs=1, random_state=0), self.X
        )

    def time_chunks(self) -> None:
        self.model.statistics(np.array_split(self.X, 10))


class Missing:
    """Rows with missing values."""

    param_names: ClassVar[list[str]] = ["covariance"]
    params: ClassVar[list[str]] = ["full", "tied", "diag"]
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, covariance: str) -> None:
        case = CASES[covariance]
        complete = blobs(case)
        self.model, self.X = mixture(case, complete), with_holes(complete, "random")

    def time_statistics(self, covariance: str) -> None:
        self.model.statistics(self.X)

    def time_impute(self, covariance: str) -> None:
        self.model.impute(self.X)


class Counts:
    """Mixtures of counts and of categories."""

    param_names: ClassVar[list[str]] = ["family"]
    params: ClassVar[list[str]] = ["PoissonMixture", "CategoricalMixture", "MultinomialMixture"]
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, family: str) -> None:
        rng = np.random.default_rng(0)
        codes = rng.integers(5, size=(ROWS, 4)).astype(np.float64)
        counts = rng.poisson(3.0, (ROWS, 4)).astype(np.float64)
        self.X = codes if family == "CategoricalMixture" else counts
        self.model = getattr(fusem, family)(4, max_iter=2, tol=0.0, n_jobs=1, random_state=0)
        fit_quietly(self.model, self.X)

    def time_step(self, family: str) -> None:
        self.model.update(self.model.statistics(self.X))

    def time_score_samples(self, family: str) -> None:
        self.model.score_samples(self.X)


class Chain:
    """Baum–Welch and the best path."""

    param_names: ClassVar[list[str]] = ["case"]
    params: ClassVar[list[str]] = [
        c.label for c in hmm.CASES if (c.estimator, c.n_states) != ("PoissonHMM", 16)
    ]
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, label: str) -> None:
        case = hmm.LABELS[label]
        self.X, self.lengths, begin = hmm.rows(case, ROWS)
        self.fitted = hmm.model(fusem, case, begin, 3, tol=0.0, n_jobs=1)
        self.model = hmm.model(fusem, case, begin, 1, n_jobs=1)

    def time_fit(self, label: str) -> None:
        hmm.seconds(lambda: self.fitted.fit(self.X, lengths=self.lengths))

    def time_predict(self, label: str) -> None:
        self.model.predict(self.X, self.lengths)

    def time_score(self, label: str) -> None:
        self.model.score(self.X, lengths=self.lengths)


class OtherChain:
    """State probabilities, missing values, and states that are mixtures."""

    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self) -> None:
        case = hmm.CASES[2]
        self.X, _, begin = hmm.rows(case, ROWS)
        self.model = hmm.model(fusem, case, begin, 2, tol=0.0, n_jobs=1)
        self.holes = with_holes(self.X[: ROWS // 8], "random")

    def time_predict_proba(self) -> None:
        self.model.predict_proba(self.X)

    def time_score_missing(self) -> None:
        self.model.score(self.holes)

    def time_fit_mixtures(self) -> None:
        made = fusem.GMMHMM(4, 2, n_iter=2, tol=0.0, n_jobs=1, random_state=0)
        hmm.seconds(lambda: made.fit(self.X[: ROWS // 4]))
