"""What noise cannot touch: iterations, likelihoods, compiled kernels, bytes, instructions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from functools import partial
from math import isnan, nan
from pathlib import Path
from typing import Any, ClassVar

from numba.core.event import install_recorder

import fusem
from asv_benchmarks.cases import COVARIANCES, Case, blobs, profile_name, start
from asv_benchmarks.quiet import fit_quietly

CASE_ROWS = 20_000
TOLERANCE = 1e-6  # of a log-likelihood; less is rounding, and the last steps of a fit
SWEEPS = 3
MORE = 20  # times as many by hardware counters, which count the imports too
PATIENCE = 600  # seconds
PREPARED = """
import numpy as np, warnings, fusem
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=({rows}, 8))
model = fusem.GaussianMixture(
    8, covariance_type={covariance!r}, max_iter=0, n_jobs=1, random_state=0, init_params="random_from_data"
).fit(X[:1000])
model.statistics(X)
"""
COUNTED = """
for _ in range({sweeps}):
    model.statistics(X)
"""
# callgrind hears of the process itself what to count: not the imports.
SWITCHED = """
import os, subprocess
def switch(state):
    command = ["callgrind_control", "--instr=" + state, str(os.getpid())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
{prepared}
switch("on")
{counted}
switch("off")
"""


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


class Instructions:
    """Instructions of the processor; as good as the same in every run."""

    param_names: ClassVar[list[str]] = ["covariance"]
    params: ClassVar[list[str]] = list(COVARIANCES)
    timeout: ClassVar[int] = 900

    def setup(self, covariance: str) -> None:
        if profile_name() == "quick":
            raise NotImplementedError("callgrind takes most of a minute each")  # asv leaves it out

    def track_instructions_per_row(self, covariance: str) -> float:
        """Instructions of one sweep per row (K = d = 8); NaN without perf counters and valgrind."""
        prepared = PREPARED.format(rows=CASE_ROWS, covariance=covariance)
        return instructions(prepared, COUNTED.format(sweeps=SWEEPS)) / SWEEPS / CASE_ROWS


def instructions(prepared: str, counted: str) -> float:
    """Instructions of some code after other code, by hardware counters or else counted by callgrind."""
    found = nan
    if shutil.which("perf"):
        by_counters(prepared)  # compiles
        found = by_counters(prepared + MORE * counted) - by_counters(prepared)
        found /= MORE
    if isnan(found) and shutil.which("callgrind_control"):
        found = by_callgrind(prepared, counted)
    return found


def by_counters(code: str) -> float:
    """Instructions of a Python process; NaN where the processor's counters are not to be had."""
    command = ["perf", "stat", "-x,", "-e", "instructions:u", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
    return float(found[1]) if done.returncode == 0 and found else nan


def by_callgrind(prepared: str, counted: str) -> float:
    """Instructions of some code after other code, one by one."""
    # valgrind does not know AVX-512
    environment = {**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
    run = partial(
        subprocess.run,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    run([sys.executable, "-c", prepared])  # compiles, which callgrind would slow down
    with tempfile.TemporaryDirectory() as folder:
        output = f"--callgrind-out-file={Path(folder) / 'callgrind.out'}"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", output, sys.executable]
        done = run([*command, "-c", SWITCHED.format(prepared=prepared, counted=counted)])
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    return float(found[1]) if done.returncode == 0 and found else nan
