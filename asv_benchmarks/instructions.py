"""Instructions of the processor per row: as good as the same in every run, however busy the machine is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path
from typing import ClassVar

from asv_benchmarks.cases import COVARIANCES, profile_name

ROWS = 20_000
REPEATS = 3
MORE = 20  # times as many by hardware counters, which count the imports too
PATIENCE = 200  # seconds
VARIABLE = "FUSEM_INSTRUCTIONS"  # in the environment: the quick profile is to count them too
PREPARED = f"""
import numpy as np, warnings, fusem
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=({ROWS}, 8))
holes = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
fixed = dict(n_jobs=1, random_state=0)
mixtures = {{
    covariance: fusem.GaussianMixture(
        8, covariance_type=covariance, max_iter=0, init_params="random_from_data", **fixed
    ).fit(X[:1000])
    for covariance in {list(COVARIANCES)}
}}
chain = fusem.GaussianHMM(4, n_iter=1, **fixed).fit(X[:1000])
"""
CALLS = {
    **{covariance: f"mixtures[{covariance!r}].statistics(X)" for covariance in COVARIANCES},
    "missing values": "mixtures['full'].statistics(holes)",
    "states": "chain.score(X)",
    "best path": "chain.predict(X)",
}
# callgrind hears of the process itself what to count: not the imports.
SWITCHED = """
import os, subprocess
def tell(*words):
    command = ["callgrind_control", *words, str(os.getpid())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
"""
COUNTED = """
tell("--instr=on")
tell("--zero")
{code}
tell("--dump")
tell("--instr=off")
"""


class Instructions:
    """Of a sweep, with missing values too, and of a pass of a hidden Markov model (K = 8 and 4, d = 8)."""

    param_names: ClassVar[list[str]] = ["call"]
    params: ClassVar[list[str]] = list(CALLS)
    timeout: ClassVar[int] = 900

    def setup_cache(self) -> dict[str, float]:
        """Count once for all calls, unless the profile leaves them out: imports take most of the time."""
        if profile_name() == "quick" and not os.environ.get(VARIABLE):
            return {}
        codes = [REPEATS * f"{call}\n" for call in CALLS.values()]
        warm = "".join(f"{call}\n" for call in CALLS.values())
        return dict(zip(CALLS, instructions(PREPARED + warm, codes), strict=True))

    setup_cache.timeout = 900  # type: ignore[attr-defined]

    def setup(self, counted: dict[str, float], call: str) -> None:
        if call not in counted:
            raise NotImplementedError("callgrind takes a minute")  # asv leaves it out

    def track_instructions_per_row(self, counted: dict[str, float], call: str) -> float:
        """NaN without perf counters and valgrind."""
        return counted[call] / REPEATS / ROWS


def instructions(prepared: str, codes: Sequence[str]) -> list[float]:
    """Instructions of each piece of code after other code, by hardware counters or else by callgrind."""
    found = [nan] * len(codes)
    if shutil.which("perf") and not isnan(before := by_counters(prepared)):
        before = by_counters(prepared)  # the first one may have compiled
        return [(by_counters(prepared + MORE * code) - before) / MORE for code in codes]
    return by_callgrind(prepared, codes) if shutil.which("callgrind_control") else found


def run(command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What a command says; exit code 1 if it takes too long."""
    try:
        return subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "")


def by_counters(code: str) -> float:
    """Instructions of a Python process; NaN where the processor's counters are not to be had."""
    done = run(["perf", "stat", "-x,", "-e", "instructions:u", sys.executable, "-c", code])
    found = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
    return float(found[1]) if done.returncode == 0 and found else nan


def by_callgrind(prepared: str, codes: Sequence[str]) -> list[float]:
    """Instructions of each piece of code after other code, one by one."""
    # valgrind does not know AVX-512
    environment = {**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
    run([sys.executable, "-c", prepared], environment)  # compiles, which callgrind would slow down
    # what the switching itself takes is counted first, when it has been done before
    every = [COUNTED.format(code=code) for code in ("pass", "pass", "pass", *codes)]
    counted = SWITCHED + prepared + "".join(every)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "counts"
        options = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}"]
        done = run(["valgrind", *options, sys.executable, "-c", counted], environment)
        dumps = [output.with_suffix(f".{number}") for number in range(1, len(every) + 1)]
        if done.returncode != 0 or not all(dump.exists() for dump in dumps):
            return [nan] * len(codes)
        _, _, switching, *found = (total_of(dump.read_text("utf-8")) for dump in dumps)
        return [total - switching for total in found]


def total_of(dump: str) -> float:
    """Instructions that a file of callgrind's tells of."""
    found = re.search(r"^(?:totals|summary): (\d+)", dump, re.MULTILINE)
    return float(found[1]) if found else nan
