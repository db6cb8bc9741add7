"""Hidden Markov models: one iteration of Baum–Welch and the best path, beside hmmlearn's.

``python -m asv_benchmarks.hmm`` prints rows of RESULTS.md, timed alternately in one process (``pip install
'.[bench]'`` brings hmmlearn; some minutes, the machine to itself).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

import fusem
from asv_benchmarks import report
from asv_benchmarks.cases import Array, profile_name
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.results import ChainTimes

STEPS = {"quick": 2_000, "full": 50_000, "large": 200_000}
ROUNDS = 5
REST = 0.2  # seconds before each call
ITERATIONS = 5  # of ours in one measurement; hmmlearn does one


class Case(NamedTuple):
    """A model and how its rows are cut."""

    estimator: str
    n_states: int
    d: int
    sequences: int = 1
    covariance: str = ""

    @property
    def label(self) -> str:
        """What tables call it."""
        kind = f"{self.estimator} {self.covariance}".strip()
        return f"{kind} K={self.n_states} d={self.d}, {self.sequences} sequence(s)"


CASES = (
    Case("GaussianHMM", 4, 4, 1, "diag"),
    Case("GaussianHMM", 4, 4, 2000, "diag"),
    Case("GaussianHMM", 4, 4, 1, "full"),
    Case("GaussianHMM", 16, 8, 1, "full"),
    Case("CategoricalHMM", 4, 1),
    Case("CategoricalHMM", 16, 1),
    Case("PoissonHMM", 4, 1),
    Case("PoissonHMM", 16, 1),
)
LABELS = {case.label: case for case in CASES}


def rows(case: Case, steps: int) -> tuple[Array, Array, dict[str, Any]]:
    """Rows, lengths and parameters to start from."""
    rng = np.random.default_rng(0)
    K, d = case.n_states, case.d
    start = {"startprob_": rng.dirichlet(np.ones(K)), "transmat_": rng.dirichlet(np.ones(K), K)}
    lengths = np.full(case.sequences, steps // case.sequences)
    states = rng.integers(K, size=lengths.sum())
    if case.estimator == "GaussianHMM":
        means = 2.0 * rng.standard_normal((K, d))
        X = means[states] + rng.standard_normal((len(states), d))
        start["means_"] = means
        eye = np.broadcast_to(np.eye(d), (K, d, d)).copy()
        start["covars_"] = np.ones((K, d)) if case.covariance == "diag" else eye
    elif case.estimator == "PoissonHMM":
        start["lambdas_"] = rng.uniform(1.0, 20.0, (K, d))
        X = rng.poisson(start["lambdas_"][states])
    else:
        start["emissionprob_"] = rng.dirichlet(np.ones(10), K)
        X = rng.integers(10, size=(len(states), 1))
    return X, lengths, start


def model(module: Any, case: Case, start: dict[str, Any], n_iter: int, **more: Any) -> Any:
    """An estimator of either library at the start."""
    arguments = {"covariance_type": case.covariance} if case.covariance else {}
    made = getattr(module, case.estimator)(
        case.n_states, n_iter=n_iter, init_params="", **arguments, **more
    )
    for name, value in start.items():
        setattr(made, name, value.copy())
    if module is not fusem:
        made.n_features = 10 if case.estimator == "CategoricalHMM" else case.d
    return made


def seconds(call: Callable[[], Any]) -> float:
    """Of one call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin


class Chain:
    """Baum–Welch, state probabilities and the best path."""

    param_names: ClassVar[list[str]] = ["case"]
    params: ClassVar[tuple[tuple[str, ...], ...]] = (tuple(LABELS),)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT
    estimators: ClassVar[tuple[str, ...]] = tuple({case.estimator for case in CASES})

    def setup_cache(self) -> Path:
        """Draw the rows of all cases once."""
        for number, case in enumerate(CASES):
            X, lengths, start = rows(case, STEPS[profile_name()])
            np.savez(f"{number}.npz", X=X, lengths=lengths, **start)
        return Path.cwd()

    def setup(self, folder: Path, label: str) -> None:
        case = LABELS[label]
        with np.load(folder / f"{CASES.index(case)}.npz") as file:
            start = dict(file)
        self.X, self.lengths = start.pop("X"), start.pop("lengths")
        self.model = model(fusem, case, start, ITERATIONS, tol=0.0, n_jobs=2)
        self.model.predict(self.X, self.lengths)
        self.model.predict_proba(self.X, self.lengths)
        self.fitted = model(fusem, case, start, ITERATIONS, tol=0.0, n_jobs=2)
        self.time_fit(folder, label)

    def time_fit(self, folder: Path, label: str) -> None:
        seconds(lambda: self.fitted.fit(self.X, lengths=self.lengths))

    def time_score(self, folder: Path, label: str) -> None:
        self.model.score(self.X, lengths=self.lengths)

    def time_predict_proba(self, folder: Path, label: str) -> None:
        self.model.predict_proba(self.X, self.lengths)

    def time_predict(self, folder: Path, label: str) -> None:
        self.model.predict(self.X, self.lengths)


def compared(quick: bool, only: str = "") -> Iterator[ChainTimes]:
    """EM and best paths of all cases whose label contains a word."""
    os.environ.pop("OPENBLAS_CORETYPE", None)
    logging.disable(logging.WARNING)
    for case in CASES:
        if only in case.label:
            yield from compare(case, STEPS["quick" if quick else "large"], 2 if quick else ROUNDS)


def compare(case: Case, steps: int, rounds: int) -> Iterator[ChainTimes]:
    """EM, then the best path: once after the other library's, and the third of three in a row.

    Before each call time passes in which nothing runs: threads of a BLAS wait for more work for some 0.1 s
    after a matrix product, on a core that the next call would have.
    """
    peer = importlib.import_module("hmmlearn.hmm")
    X, lengths, start = rows(case, steps)
    n = len(X)

    def fit(module: Any, n_iter: int, **more: Any) -> float:
        made = model(module, case, start, n_iter, **more)
        arguments = {"lengths": lengths}
        time.sleep(REST)
        return seconds(lambda: made.fit(X, **arguments)) / n_iter / n * 1e9

    def decode(module: Any, rest: float = REST, **more: Any) -> float:
        made = model(module, case, start, 1, **more)
        time.sleep(rest)
        return seconds(lambda: made.predict(X, lengths)) / n * 1e9

    def decode_again(module: Any, **more: Any) -> float:
        return [decode(module, rest, **more) for rest in (REST, 0.0, 0.0)][-1]

    never: dict[str, Any] = {"tol": 0.0}
    for what, call, iterations in (
        ("EM", fit, (ITERATIONS,)),
        ("Viterbi", decode, ()),
        ("Viterbi again", decode_again, ()),
    ):
        call(fusem, *iterations, **never)
        taken: list[list[float]] = []  # ours, hmmlearn's default, its faster implementation
        for _ in range(rounds):
            peers = [
                call(peer, *([1] if iterations else []), implementation=how)
                for how in ("log", "scaling")
            ]
            taken.append([call(fusem, *iterations, **never), *peers])
        yield ChainTimes(case.label, what, *map(list, zip(*taken, strict=True)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, to see that it works")
    parser.add_argument("--only", default="", help="cases whose label contains this")
    given = parser.parse_args()
    for chain in compared(given.quick, given.only):
        print(report.chain_row(chain), flush=True)


if __name__ == "__main__":
    main()
