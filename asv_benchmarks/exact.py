"""What noise cannot touch: iterations, likelihoods, compiled kernels, bytes allocated."""

from __future__ import annotations

import tracemalloc
from typing import Any, ClassVar

from numba.core.event import install_recorder

import fusem
from asv_benchmarks.cases import COVARIANCES, Case, blobs, start
from asv_benchmarks.quiet import fit_quietly

CASE_ROWS = 20_000
TOLERANCE = 1e-6  # of a log-likelihood; less is rounding, and the last steps of a fit


def fitted(covariance: str, **more: Any) -> tuple[Any, Any]:
    """A model fitted to overlapping blobs, and the rows."""
    case = Case(covariance, CASE_ROWS, 8, 8)
    X = blobs(case)
    given = {"tol": 1e-5, "max_iter": 1000, **start(case, X), **more}
    model = fusem.GaussianMixture(case.components, covariance_type=covariance, **given)
    return fit_quietly(model, X), X


class Exact:
    """Numbers that are the same in every run on one machine."""

    param_names: ClassVar[list[str]] = ["covariance"]
    params: ClassVar[list[str]] = list(COVARIANCES)
    timeout: ClassVar[int] = 900

    def track_sweeps_to_tolerance(self, covariance: str) -> int:
        """EM iterations until the log-likelihood changes by less than 1e-5."""
        return int(fitted(covariance)[0].n_iter_)

    def track_minus_log_likelihood(self, covariance: str) -> float:
        """Minus the mean log-likelihood that a fit ends with: to asv more is worse."""
        return -float(fitted(covariance)[0].lower_bound_)

    track_minus_log_likelihood.tolerance = TOLERANCE  # type: ignore[attr-defined]

    def track_compilations_of_a_second_fit(self, covariance: str) -> int:
        """Kernels that a second fit of the same kind compiles: none."""
        fitted(covariance, max_iter=2)
        with install_recorder("numba:compile") as recorder:
            fitted(covariance, max_iter=2)
        return len(recorder.buffer)

    def track_bytes_allocated(self, covariance: str) -> int:
        """Peak of what a fit of rows in memory allocates beside them."""
        model, X = fitted(covariance, max_iter=2, n_jobs=1)
        tracemalloc.start()
        try:
            fit_quietly(model, X)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
