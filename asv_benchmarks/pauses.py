"""Short calls that come one by one, as a user's do: the other cores have gone to sleep before each.

A loop of calls, which is how a benchmark times, keeps them awake.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any, ClassVar

import fusem
from asv_benchmarks import hmm
from asv_benchmarks.cases import Case, blobs, profile_name, start
from asv_benchmarks.quiet import fit_quietly

PAUSE, CALLS = 0.03, 40  # seconds before each call
CHAIN = hmm.LABELS["GaussianHMM full K=16 d=8, 1 sequence(s)"]


def predicting(estimator: str, n_jobs: int) -> tuple[Any, Any]:
    """A model, and rows that it takes some milliseconds to predict."""
    if estimator == CHAIN.estimator:
        X, _, begin = hmm.rows(CHAIN, hmm.STEPS[profile_name()])
        return hmm.model(fusem, CHAIN, begin, 1, n_jobs=n_jobs), X
    case = Case("full", hmm.STEPS[profile_name()], 16, 16)
    X = blobs(case)
    begun = start(case, X)
    return fit_quietly(fusem.GaussianMixture(16, max_iter=1, n_jobs=n_jobs, **begun), X), X


class AfterPause:
    """`predict` with one thread and with two."""

    param_names: ClassVar[list[str]] = ["estimator", "n_jobs"]
    params: ClassVar[tuple[list[str], list[int]]] = (["GaussianMixture", "GaussianHMM"], [1, 2])
    timeout: ClassVar[int] = 600

    def track_predict(self, estimator: str, n_jobs: int) -> float:
        """Median of the calls."""
        model, X = predicting(estimator, n_jobs)
        model.predict(X)
        taken = []
        for _ in range(CALLS):
            time.sleep(PAUSE)
            begin = time.perf_counter()
            model.predict(X)
            taken.append(time.perf_counter() - begin)
        return median(taken)

    track_predict.unit = "seconds"  # type: ignore[attr-defined]
