"""What noise cannot touch, of what `exact` leaves out: float32, missing values, counts, chains."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import fusem
from asv_benchmarks import counts, hmm, stored
from asv_benchmarks.cases import Array, Case, blobs, profile_name, start
from asv_benchmarks.exact import TOLERANCE
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.missing import with_holes
from asv_benchmarks.quiet import fit_quietly

ROWS = {"quick": 1_000, "full": 20_000, "large": 200_000}[profile_name()]
COLUMNS, COMPONENTS = 8, 4
SWEEPS, MOST = 10, 1000
GAUSSIAN = Case("full", ROWS, COLUMNS, COMPONENTS)
CHAIN = hmm.Case("GaussianHMM", COMPONENTS, COLUMNS, covariance="diag")
COUNTS = {name: f"{name}-{ROWS}x{COLUMNS}-k{COMPONENTS}" for name in counts.BY_ESTIMATOR}
KINDS = ("float32", "missing", *COUNTS, CHAIN.estimator)


def drawn(kind: str) -> Array:
    """Rows of a kind of fit."""
    if kind in COUNTS:
        return counts.drawn(COUNTS[kind], "float64")
    if kind == CHAIN.estimator:
        return hmm.rows(CHAIN, ROWS)[0]
    X = blobs(GAUSSIAN, "float32" if kind == "float32" else "float64")
    return with_holes(X, "random") if kind == "missing" else X


def unfitted(kind: str, most: int, tol: float) -> Any:
    """A model at a start that takes no random numbers."""
    if kind == CHAIN.estimator:
        return hmm.model(fusem, CHAIN, hmm.rows(CHAIN, ROWS)[2], most, tol=tol)
    if kind in COUNTS:
        subject: Fusem = counts.CountFusem(COUNTS[kind], most)
    else:
        subject = Fusem(GAUSSIAN, start(GAUSSIAN, blobs(GAUSSIAN)), most)
    return subject.model.set_params(tol=tol)


class Convergence:
    """Iterations and log-likelihoods: the same in every run on one machine."""

    param_names: ClassVar[list[str]] = ["kind"]
    params: ClassVar[tuple[str, ...]] = KINDS
    timeout: ClassVar[int] = 900

    def setup_cache(self) -> Path:
        return stored.keep((kind, partial(drawn, kind)) for kind in KINDS)

    def setup(self, folder: Path, kind: str) -> None:
        self.X = stored.kept(folder, kind)

    def track_sweeps_to_tolerance(self, folder: Path, kind: str) -> int:
        """EM iterations until the log-likelihood changes little: of a row, in chains of all."""
        if kind == CHAIN.estimator:
            return int(fit_quietly(unfitted(kind, MOST, 1e-2), self.X).monitor_.iter)
        return int(fit_quietly(unfitted(kind, MOST, 1e-5), self.X).n_iter_)

    def track_minus_log_likelihood(self, folder: Path, kind: str) -> float:
        """Minus the log-likelihood after a fixed number of iterations, per row."""
        score = float(fit_quietly(unfitted(kind, SWEEPS, 0.0), self.X).score(self.X))
        return -score / len(self.X) if kind == CHAIN.estimator else -score

    track_minus_log_likelihood.tolerance = TOLERANCE  # type: ignore[attr-defined]
