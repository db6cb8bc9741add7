"""Short calls that come one by one, as a user's do: the other cores have gone to sleep before each.

A loop of calls, which is how a benchmark times, keeps them awake.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import fusem
from asv_benchmarks import hmm
from asv_benchmarks.cases import Case, blobs, profile_name, start
from asv_benchmarks.quiet import fit_quietly

PAUSE = 0.03  # seconds before each call
ROWS = {"quick": 50_000, "full": 50_000, "large": 200_000}[profile_name()]
CHAIN = hmm.LABELS["GaussianHMM full K=16 d=8, 1 sequence(s)"]


def predicting(estimator: str, n_jobs: int) -> tuple[Any, Any]:
    """A model, and rows that it takes some milliseconds to predict."""
    if estimator == CHAIN.estimator:
        X, _, begin = hmm.rows(CHAIN, ROWS)
        return hmm.model(fusem, CHAIN, begin, 1, n_jobs=n_jobs), X
    case = Case("full", ROWS, 16, 16)
    X = blobs(case)
    begun = start(case, X)
    return fit_quietly(fusem.GaussianMixture(16, max_iter=1, n_jobs=n_jobs, **begun), X), X


class AfterPause:
    """`predict` with one thread and with two."""

    param_names: ClassVar[list[str]] = ["estimator", "n_jobs"]
    params: ClassVar[tuple[list[str], list[int]]] = (["GaussianMixture", "GaussianHMM"], [1, 2])
    number: ClassVar[int] = 1
    repeat: ClassVar[tuple[int, int, float]] = (20, 60, 10.0)

    def setup(self, estimator: str, n_jobs: int) -> None:
        """Before every call."""
        if not hasattr(self, "model"):
            self.model, self.X = predicting(estimator, n_jobs)
            self.model.predict(self.X)
        time.sleep(PAUSE)

    def time_predict(self, estimator: str, n_jobs: int) -> None:
        self.model.predict(self.X)
