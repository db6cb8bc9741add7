"""What a new process costs: the import, the first fit with and without compiled kernels on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import ClassVar

from asv_benchmarks.cases import COVARIANCES, DTYPES, profile_name

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

    def timeraw_import(self) -> str:
        return "import fusem"

    def timeraw_import_estimator(self) -> str:
        return "from fusem import GaussianMixture"


class FirstFit:
    """Seconds from starting Python to the end of a small fit."""

    param_names: ClassVar[list[str]] = ["covariance", "dtype"]
    params: ClassVar[tuple[list[str], list[str]]] = (list(COVARIANCES), list(DTYPES))
    timeout: ClassVar[int] = 900

    def setup(self, covariance: str, dtype: str) -> None:
        if profile_name() == "quick" and (covariance, dtype) != ("spherical", "float64"):
            raise NotImplementedError("each compiles from nothing")  # asv leaves it out

    def track_cold_start(self, covariance: str, dtype: str) -> float:
        """Nothing compiled yet."""
        with tempfile.TemporaryDirectory() as cache:
            return seconds(FIRST_FIT.format(covariance=covariance, dtype=dtype), cache)

    def track_warm_start(self, covariance: str, dtype: str) -> float:
        """Compiled before, by another process."""
        code = FIRST_FIT.format(covariance=covariance, dtype=dtype)
        with tempfile.TemporaryDirectory() as cache:
            seconds(code, cache)
            return seconds(code, cache)

    track_cold_start.unit = "seconds"  # type: ignore[attr-defined]
    track_warm_start.unit = "seconds"  # type: ignore[attr-defined]
