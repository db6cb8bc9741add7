"""The M-step of wide matrices leaves BLAS's own threads asleep, and BLAS as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fusem import GaussianMixture
from fusem.em import blas
from fusem.families import gaussian_full
from fusem.hmm import GMMHMM, GaussianHMM
from tests.cases import CASES
from tests.models import stepped

D = math.isqrt(blas.SINGLE) + 1  # columns whose matrices wake BLAS's threads


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
    stepped(case, case.data(5 * D, 1, D), steps=2, start=case.start(1, D))
    assert seen == [{1}, {1}]
    assert threads() == {2}


def test_the_end_of_a_fit_is_made_in_one_thread(monkeypatch):
    """Its checks multiply matrices: the next fit's first sweep would share a core with what they woke."""
    case, seen = CASES[0], []
    monkeypatch.setattr(
        GaussianMixture, "_diagnose", lambda *given: seen.append(threads()), raising=True
    )
    stepped(case, case.data(5 * D, 1, D), steps=2, start=case.start(1, D))
    assert seen == [{1}]


def mixture(d):
    model = GaussianMixture(1)
    model.weights_, model.means_, model.covariances_ = np.ones(1), np.zeros((1, d)), np.eye(d)[None]
    return model


def chain(d):
    model = GaussianHMM(1, "full")
    model.startprob_, model.transmat_ = np.ones(1), np.ones((1, 1))
    model.means_, model.covars_ = np.zeros((1, d)), np.eye(d)[None]
    return model


def chain_of_mixtures(d):
    model = GMMHMM(1, 1, covariance_type="full")
    model.startprob_, model.transmat_, model.weights_ = np.ones(1), np.ones((1, 1)), np.ones((1, 1))
    model.means_, model.covars_ = np.zeros((1, 1, d)), np.eye(d)[None, None]
    return model


@pytest.mark.parametrize("made", [mixture, chain, chain_of_mixtures])
def test_a_fitted_model_is_read_in_one_thread(made, monkeypatch):
    """What it woke would take a core from the sweep that follows: half of two threads' speed at d = 128."""
    model, seen = made(D), []
    read = gaussian_full.from_covariances
    monkeypatch.setattr(
        gaussian_full, "from_covariances", lambda *given: (seen.append(threads()), read(*given))[1]
    )
    model.score(np.zeros((2, D)))
    assert seen == [{1}]
    assert threads() == {2}


def test_a_mixture_of_several_gaussians_per_state_counts_all_their_matrices(monkeypatch):
    seen, operands = [], gaussian_full.operands
    monkeypatch.setattr(
        gaussian_full, "operands", lambda *given: (seen.append(threads()), operands(*given))[1]
    )
    d, parts = 60, 4  # one matrix alone wakes nothing
    assert d**2 < blas.SINGLE < parts * d**2
    model = GMMHMM(1, parts, covariance_type="full")
    model.startprob_, model.transmat_ = np.ones(1), np.ones((1, 1))
    model.weights_, model.means_ = np.full((1, parts), 0.25), np.zeros((1, parts, d))
    model.covars_ = np.broadcast_to(np.eye(d), (1, parts, d, d))
    model.score(np.zeros((2, d)))
    assert seen == [{1}]


def test_the_m_step_of_a_chain_is_made_in_one_thread(monkeypatch):
    seen = []
    renew, log_prior = GaussianHMM._renew_emission, GaussianHMM._log_prior
    monkeypatch.setattr(
        GaussianHMM, "_renew_emission", lambda *given: (seen.append(threads()), renew(*given))[1]
    )
    monkeypatch.setattr(
        GaussianHMM, "_log_prior", lambda *given: (seen.append(threads()), log_prior(*given))[1]
    )
    X = np.random.default_rng(0).normal(size=(3 * D, D))
    GaussianHMM(1, "full", covars_prior=np.eye(D), n_iter=2, tol=0).fit(X)
    assert len(seen) > 2
    assert set.union(*seen) == {1}
    assert threads() == {2}
