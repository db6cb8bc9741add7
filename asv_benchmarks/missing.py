"""Rows with missing values, and what they cost beside complete rows: one E-step, one imputation.

``python -m asv_benchmarks.missing`` prints rows of RESULTS.md: ratios at a million rows, and a whole
imputation beside scikit-learn's `IterativeImputer` (some minutes, the machine to itself).
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import fusem
from asv_benchmarks import report
from asv_benchmarks.cases import COVARIANCES, DTYPES, Array, Case, blobs, start
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.results import Holes, Imputers

RATE = 0.1  # of values that are missing
PATTERNS = ("random", "recurring")  # every value by chance; sixteen patterns of such values
RECURRING = 16
SHAPES = {"quick": (2_000, 4, 3), "full": (20_000, 8, 4), "large": (1_000_000, 8, 4)}
ROUNDS = 7


def with_holes(X: Array, pattern: str) -> Array:
    """A copy of rows in which a tenth of the values is missing."""
    rng = np.random.default_rng(7)
    holes = rng.random((RECURRING if pattern == "recurring" else len(X), X.shape[1])) < RATE
    if pattern == "recurring":
        holes = holes[rng.integers(RECURRING, size=len(X))]
    return np.where(holes, np.asarray(np.nan, dtype=X.dtype), X)


def alternately(calls: list[Callable[[], Any]]) -> Array:
    """Seconds of each call in each of some rounds, (rounds, calls), after one round to warm up."""
    taken = np.empty((ROUNDS, len(calls)))
    for call in calls:
        call()
    for row in taken:
        for number, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            row[number] = time.perf_counter() - begin
    return taken


def compared(quick: bool) -> Iterator[Holes]:
    """All covariance types in both dtypes."""
    for dtype in DTYPES:
        yield from sweeps(SHAPES["quick" if quick else "large"], dtype)


def sweeps(shape: tuple[int, int, int], dtype: str) -> Iterator[Holes]:
    """One EM iteration of a fit, and one imputation against the responsibilities of complete rows."""
    for covariance in COVARIANCES:
        case = Case(covariance, *shape)
        X = blobs(case, dtype)
        subject = Fusem(case, start(case, X), 2)
        subject.fit(X)
        model, tables = subject.model, [with_holes(X, pattern) for pattern in PATTERNS]
        fits = [sweep_of(model, rows) for rows in (X, *tables)]
        taken = np.array([[fit() for fit in fits] for _ in range(ROUNDS + 1)])[1:]
        passes = alternately(
            [partial(model.predict_proba, X), *(partial(model.impute, T) for T in tables)]
        )
        complete = statistics.median(taken[:, 0]) / shape[0] * 1e9
        ratios = [
            {
                pattern: (seconds[:, number] / seconds[:, 0]).tolist()
                for number, pattern in enumerate(PATTERNS, start=1)
            }
            for seconds in (taken, passes)
        ]
        yield Holes(covariance, dtype, complete, *ratios)


def sweep_of(model: Any, X: Array) -> Callable[[], float]:
    """Seconds of one EM iteration, the median over those of a fit that goes on from a model."""
    fitted = fusem.GaussianMixture(
        model.n_components,
        covariance_type=model.covariance_type,
        weights_init=model.weights_,
        means_init=model.means_,
        precisions_init=model.precisions_,
        max_iter=6,
        tol=0.0,
    )

    def seconds() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(X)
        return float(np.median(fitted.history_["seconds"][1:]))

    return seconds


def imputers(n_rows: int, n_columns: int = 10, rate: float = 0.2) -> Imputers:
    """A whole `fit_transform` of both, and how likely the true values are."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    rng = np.random.default_rng(0)
    A = rng.normal(size=(n_columns, n_columns))
    covariance = A @ A.T / n_columns + 0.3 * np.eye(n_columns)
    X = rng.multivariate_normal(rng.normal(size=n_columns), covariance, size=n_rows)
    holes = rng.random(X.shape) < rate
    table = np.where(holes, np.nan, X)
    ours, theirs = fusem.EMImputer(), IterativeImputer(random_state=0)
    ours.fit(table)
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        mine = ours.fit_transform(table)
        middle = time.perf_counter()
        other = theirs.fit_transform(table)
        taken.append((middle - begin, time.perf_counter() - middle))
    mean, within = ours.mixture_.predict_missing(table[:20_000])
    some = X[:20_000], holes[:20_000]
    densities = (
        log_densities(mean, within, *some),
        drawn_log_densities(theirs, table[:20_000], *some),
    )
    mine, other = (float(np.mean((filled - X)[holes] ** 2)) for filled in (mine, other))
    here, there = (list(column) for column in zip(*taken, strict=True))
    return Imputers((n_rows, n_columns), rate, here, there, (mine, other), densities)


def log_densities(mean: Array, covariances: Array, X: Array, holes: Array) -> float:
    """Mean normal log-density of the true value of every missing cell."""
    variances = np.einsum("nii->ni", covariances)[holes]
    z = (X - mean)[holes] ** 2 / variances
    return float(np.mean(-0.5 * (z + np.log(2.0 * np.pi * variances))))


def drawn_log_densities(fitted: Any, table: Array, X: Array, holes: Array) -> float:
    """The same from `IterativeImputer`: conditional mean, and one variance of each column's residuals."""
    filled = fitted.transform(table)
    variances = np.empty(X.shape[1])
    for step in fitted.imputation_sequence_[-X.shape[1] :]:
        known = ~holes[:, step.feat_idx]
        given = filled[known][:, step.neighbor_feat_idx]
        rest = X[known, step.feat_idx] - step.estimator.predict(given)
        variances[step.feat_idx] = np.mean(rest**2)
    z = ((X - filled) ** 2 / variances)[holes]
    return float(np.mean(-0.5 * (z + np.log(2.0 * np.pi * np.tile(variances, (len(X), 1))[holes]))))


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, to see that it works")
    quick = parser.parse_args().quick
    for holes in compared(quick):
        print(report.holes_row(holes), flush=True)
    print(report.imputers_text(imputers(1_000 if quick else 100_000)))


if __name__ == "__main__":
    main()
