"""The M-step of wide matrices leaves BLAS's own threads asleep, and BLAS as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fusem import GaussianMixture
from fusem.em import blas
from fusem.families import gaussian_full
from tests.cases import CASES
from tests.models import stepped


def threads() -> set[int]:
    """Return how many threads each BLAS may use."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads():
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("the BLAS of this NumPy cannot be given a number of threads")
        yield


@pytest.mark.parametrize(("elements", "expected"), [(blas.SINGLE, 2), (blas.SINGLE + 1, 1)])
def test_large_arrays_alone_hold_blas_to_one_thread(elements, expected):
    with blas.one_thread(elements):
        assert threads() == {expected}
    assert threads() == {2}


def test_an_error_leaves_blas_as_it_was():
    with pytest.raises(np.linalg.LinAlgError), blas.one_thread(blas.SINGLE + 1):
        np.linalg.cholesky(np.zeros((2, 2)))
    assert threads() == {2}


def test_the_m_step_is_made_in_one_thread(monkeypatch):
    case, seen = CASES[0], []
    maximize = gaussian_full.maximize
    monkeypatch.setattr(
        gaussian_full, "maximize", lambda *given: (seen.append(threads()), maximize(*given))[1]
    )
    d = math.isqrt(blas.SINGLE) + 1
    stepped(case, case.data(5 * d, 1, d), steps=2, start=case.start(1, d))
    assert seen == [{1}, {1}]
    assert threads() == {2}


def test_the_end_of_a_fit_is_made_in_one_thread(monkeypatch):
    """Its checks multiply matrices: the next fit's first sweep would share a core with what they woke."""
    case, seen = CASES[0], []
    monkeypatch.setattr(
        GaussianMixture, "_diagnose", lambda *given: seen.append(threads()), raising=True
    )
    d = math.isqrt(blas.SINGLE) + 1
    stepped(case, case.data(5 * d, 1, d), steps=2, start=case.start(1, d))
    assert seen == [{1}]
