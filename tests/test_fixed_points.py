"""From the same hard partitions, EM reaches the log-likelihoods that R's mclust reaches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cases import CASES
from tests.models import model_at
from tests.reference import Parameters

MCLUST = json.loads((Path(__file__).parent / "data" / "mclust.json").read_text(encoding="utf-8"))
STARTS = [
    (dataset, start) for dataset in ("faithful", "iris") for start in MCLUST[dataset]["partitions"]
]


def start_id(dataset_and_start) -> str:
    dataset, start = dataset_and_start
    return f"{dataset}-{start['n_components']}"


def from_partition(case, X, labels) -> Parameters:
    """Return the M-step of a hard partition, by the twin."""
    K, d = max(labels), X.shape[1]
    resp = (np.array(labels)[:, None] == np.arange(1, K + 1)).astype(float)
    shape = {"full": (K, d, d), "tied": (d, d), "diag": (K, d), "spherical": (K,)}
    nothing = Parameters(np.ones(K), np.zeros((K, d)), np.zeros(shape[case.covariance_type]))
    return case.twin.m_step(X, resp, nothing)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
@pytest.mark.parametrize("dataset_and_start", STARTS, ids=start_id)
def test_reaches_mclust(case, dataset_and_start):
    dataset, start = dataset_and_start
    X = np.array(MCLUST[dataset]["rows"])
    params = from_partition(case, X, start["partition"])
    model = model_at(case, params, reg_covar=0.0, tol=1e-12, max_iter=20_000).fit(X)
    assert model.converged_
    expected = start["log_likelihood"][case.covariance_type]
    assert model.score(X) * len(X) == pytest.approx(expected, rel=1e-6)


def test_criteria_equal_mclust():
    known = MCLUST["faithful"]["icl"]
    X = np.array(MCLUST["faithful"]["rows"])
    (case,) = (case for case in CASES if case.covariance_type == known["covariance_type"])
    params = Parameters(*(np.array(known[name]) for name in ("weights", "means", "covariance")))
    params = params._replace(weights=params.weights / params.weights.sum())
    model = model_at(case, params, max_iter=0).fit(X)
    # mclust stops at a relative change of 1e-5, one M-step after the likelihood that it prints.
    assert model.score(X) * len(X) == pytest.approx(known["log_likelihood"], rel=1e-5)
    assert model.bic(X) == pytest.approx(known["bic"], rel=1e-5)
    assert model.icl(X) == pytest.approx(known["icl"], rel=1e-4)
