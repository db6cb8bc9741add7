"""What the machine can do at best, timed in the process whose kernels are compared with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from asv_benchmarks.cases import Case
from asv_benchmarks.libraries import THREADS

ORDER = 1500  # of the matrices that are multiplied
COPIED = 1 << 27  # bytes: more than any cache holds
CALLS = 5


def seconds(call: Callable[[], Any], calls: int = CALLS) -> float:
    """Return the median time of some calls, after one that does not count."""
    call()
    taken = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return median(taken)


@cache
def matrix_product_rate(dtype: str) -> float:
    """Return multiply–adds per second of the BLAS's matrix product, on as many threads as fusem has."""
    a = np.random.default_rng(0).normal(size=(ORDER, ORDER)).astype(dtype)
    out = np.empty_like(a)
    with threadpool_limits(THREADS):
        return float(ORDER**3 / seconds(lambda: np.matmul(a, a, out=out)))


@cache
def copy_rate() -> float:
    """Return bytes per second that one thread reads when it copies an array."""
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    return COPIED / seconds(lambda: np.copyto(target, source))


def multiply_adds(case: Case) -> int:
    """Return the multiply–adds that one EM iteration needs, those of the exponential not counted."""
    d, K = case.columns, case.components
    each = {
        "full": d * (d + 1) * K,
        "tied": d * d + 2 * d * K,
        "diag": 4 * d * K,
        "spherical": 2 * d * K,
    }
    return case.rows * each[case.covariance]
