"""Intel oneDAL's `em_gmm`, timed by a process in an environment of its own (it needs old packages).

    python -m venv onedal
    onedal/bin/pip install daal4py==2024.7.0 'scikit-learn<1.6' 'numpy<2.3' packaging

Run as a script by that environment's Python, this file reads a case and a dtype per line and answers each
with the seconds of one EM iteration, or ``nan`` where oneDAL fails.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from asv_benchmarks.cases import Array, Case, blobs, by_label

STORAGE = {"full": "full", "diag": "diagonal"}  # the covariances it knows
START_ROWS = 20_000
START_ITERATIONS = 2


class OneDal:
    """The other process; `seconds` asks it."""

    def __init__(self, python: str, early: int, late: int, threads: int) -> None:
        numbers = map(str, (early, late, threads))
        command = [python, str(Path(__file__).resolve()), *numbers]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, case: Case, dtype: str) -> float:
        """Seconds of one EM iteration: a longer run less a shorter one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{case.label} {dtype}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("The process that runs oneDAL ended: does its Python have daal4py?")
        return float(answer)

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._process.communicate()


@lru_cache(maxsize=2)  # one per dtype
def prepared(label: str, dtype: str) -> tuple[Array, Any]:
    """Return rows and oneDAL's own start."""
    daal4py = import_module("daal4py")
    case = by_label(label)
    X = blobs(case, dtype)
    init = daal4py.em_gmm_init(
        case.components,
        fptype=precision(dtype),
        covarianceStorage=STORAGE[case.covariance],
        nTrials=1,
        nIterations=START_ITERATIONS,
    )
    return X, init.compute(X[:START_ROWS])


def precision(dtype: str) -> str:
    return "double" if dtype == "float64" else "float"


def fit_seconds(label: str, dtype: str, iterations: int) -> float:
    daal4py = import_module("daal4py")
    case = by_label(label)
    X, start = prepared(label, dtype)
    em = daal4py.em_gmm(
        case.components,
        fptype=precision(dtype),
        maxIterations=iterations,
        accuracyThreshold=0.0,
        covarianceStorage=STORAGE[case.covariance],
    )
    begin = time.perf_counter()
    em.compute(X, start.weights, start.means, start.covariances)
    return time.perf_counter() - begin


def answer(line: str, early: int, late: int) -> float:
    label, dtype = line.split()
    if by_label(label).covariance not in STORAGE:
        return math.nan
    try:
        short = fit_seconds(label, dtype, early)
        return (fit_seconds(label, dtype, late) - short) / (late - early)
    except RuntimeError:  # "Error during covariance computation for component on M step"
        return math.nan


if __name__ == "__main__":
    early, late, threads = map(int, sys.argv[1:])
    import_module("daal4py").daalinit(threads)
    for line in sys.stdin:
        print(answer(line, early, late), flush=True)
