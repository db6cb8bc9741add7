"""What a new process costs: the import, the first fit with and without compiled kernels on disk."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar, NamedTuple

from asv_benchmarks.cases import COVARIANCES, DTYPES, profile_name
from asv_benchmarks.mixins import REPEAT

FIRST_FIT = """
import warnings
import numpy as np
import fusem

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(1000, 3)).astype({dtype!r})
fusem.GaussianMixture(2, covariance_type={covariance!r}, max_iter=3, random_state=0).fit(X)
"""


def seconds(code: str, cache: str) -> float:
    """Return how long a new interpreter takes for `code`, kernels kept in the folder `cache`."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "FUSEM_CACHE_DIR": cache}, check=True
    )
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
    """A small fit in a new process, by one that finds no compiled kernels and by one that finds them."""

    cold: float  # seconds
    warm: float
    signatures: int  # kernels that were compiled, each for its types


def first(covariance: str, dtype: str) -> First:
    """Fit in two new processes, one after the other."""
    code = FIRST_FIT.format(covariance=covariance, dtype=dtype)
    with tempfile.TemporaryDirectory() as cache:
        cold = seconds(code, cache)
        signatures = len(list(Path(cache).rglob("*.nbc")))  # what numba writes for each
        return First(cold, seconds(code, cache), signatures)


class FirstFit:
    """From starting Python to the end of a small fit."""

    param_names: ClassVar[list[str]] = ["covariance", "dtype"]
    params: ClassVar[tuple[list[str], list[str]]] = (list(COVARIANCES), list(DTYPES))
    timeout: ClassVar[int] = 900

    def setup_cache(self) -> dict[tuple[str, str], First]:
        """Compile once for all that is told of it; each compiles from nothing."""
        chosen = list(itertools.product(COVARIANCES, DTYPES))
        if profile_name() == "quick":
            chosen = [("spherical", "float64")]
        return {one: first(*one) for one in chosen}

    setup_cache.timeout = 3600  # type: ignore[attr-defined]

    def setup(self, taken: dict[tuple[str, str], First], covariance: str, dtype: str) -> None:
        if (covariance, dtype) not in taken:
            raise NotImplementedError("not in this profile")  # asv leaves it out

    def track_cold_start(
        self, taken: dict[tuple[str, str], First], covariance: str, dtype: str
    ) -> float:
        """Nothing compiled yet."""
        return taken[covariance, dtype].cold

    def track_warm_start(
        self, taken: dict[tuple[str, str], First], covariance: str, dtype: str
    ) -> float:
        """Compiled before, by another process."""
        return taken[covariance, dtype].warm

    def track_compiled_signatures(
        self, taken: dict[tuple[str, str], First], covariance: str, dtype: str
    ) -> int:
        """Kernels that were compiled, each for its types."""
        return taken[covariance, dtype].signatures

    track_cold_start.unit = "seconds"  # type: ignore[attr-defined]
    track_warm_start.unit = "seconds"  # type: ignore[attr-defined]
