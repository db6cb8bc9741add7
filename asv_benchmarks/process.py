"""What a new process costs: the import, the first fit with and without compiled kernels on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar, NamedTuple

from asv_benchmarks.cases import COVARIANCES, DTYPES, profile_name
from asv_benchmarks.mixins import REPEAT

PREPARED = """
import os, tempfile, warnings
import numpy as np
import fusem

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(1000, 3))
"""
GAUSSIAN = (
    "fusem.GaussianMixture(2, covariance_type={!r}, max_iter=3, random_state=0).fit(X.astype({!r}))"
)
COMMAND = """
from fusem.cli import main

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "X.npy")
    np.save(path, X)
    main(["fit", path, "-k", "2", "--max-iter", "3", "-o", os.path.join(folder, "model.npz")])
"""
FIRST: dict[str, str] = {  # what a process begins with
    **{f"{c}-{dtype}": GAUSSIAN.format(c, dtype) for c in COVARIANCES for dtype in DTYPES},
    "PoissonMixture": "fusem.PoissonMixture(2, max_iter=3, random_state=0).fit(np.floor(X**2))",
    "EMImputer": "X[::7, 0] = np.nan; fusem.EMImputer(2, max_iter=3, random_state=0).fit_transform(X)",
    "GaussianHMM": "fusem.GaussianHMM(2, n_iter=3, random_state=0).fit(X).predict(X)",
    "fusem fit": COMMAND,
}
QUICK = "spherical-float64"


def seconds(code: str, cache: str | None = None) -> float:
    """How long a new interpreter takes for `code`; kernels kept in the folder `cache`, or where they are."""
    environment = {**os.environ, **({"FUSEM_CACHE_DIR": cache} if cache else {})}
    begin = time.perf_counter()
    command = [sys.executable, "-c", code]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


class Import:
    """Seconds of ``import fusem`` in a new process."""

    repeat: ClassVar[tuple[int, int, float]] = REPEAT
    number: ClassVar[int] = 1  # a second import in the same process takes nothing

    def timeraw_import(self) -> str:
        return "import fusem"

    def timeraw_import_estimator(self) -> str:
        return "from fusem import GaussianMixture"


class First(NamedTuple):
    """A small fit in a new process: one that finds no compiled kernels, and one that finds them."""

    cold: float  # seconds
    warm: float
    signatures: int  # kernels that were compiled, each for its types


def first(fit: str) -> First:
    """Fit in two new processes, one after the other."""
    code = PREPARED + FIRST[fit]
    with tempfile.TemporaryDirectory() as cache:
        cold = seconds(code, cache)
        signatures = len(list(Path(cache).rglob("*.nbc")))  # what numba writes for each
        return First(cold, seconds(code, cache), signatures)


class FirstFit:
    """From starting Python to the end of a small fit."""

    param_names: ClassVar[list[str]] = ["fit"]
    params: ClassVar[list[str]] = list(FIRST)
    timeout: ClassVar[int] = 900

    def setup_cache(self) -> dict[str, First | None]:
        """Compile once for all that is told of it; each compiles from nothing. None of what fails."""
        taken: dict[str, First | None] = {}
        for fit in [QUICK] if profile_name() == "quick" else FIRST:
            try:
                taken[fit] = first(fit)
            except subprocess.CalledProcessError:
                taken[fit] = None
        return taken

    setup_cache.timeout = 3600  # type: ignore[attr-defined]

    def setup(self, taken: dict[str, First | None], fit: str) -> None:
        if fit not in taken:
            raise NotImplementedError("not in this profile")  # asv leaves it out
        if taken[fit] is None:
            raise RuntimeError(f"{fit} fails in a new process; what it says stands above.")

    def track_cold_start(self, taken: dict[str, First], fit: str) -> float:
        """Nothing compiled yet."""
        return taken[fit].cold

    def track_warm_start(self, taken: dict[str, First], fit: str) -> float:
        """Compiled before, by another process."""
        return taken[fit].warm

    def track_compiled_signatures(self, taken: dict[str, First], fit: str) -> int:
        """Kernels that were compiled, each for its types."""
        return taken[fit].signatures

    track_cold_start.unit = "seconds"  # type: ignore[attr-defined]
    track_warm_start.unit = "seconds"  # type: ignore[attr-defined]
