"""The log-likelihood never falls without regularisation, and a fall is reported, not accepted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import CASES, DTYPES
from tests.comparison import assert_never_falls
from tests.models import fit_quietly, model_at, stepped

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
# Sweeps over float32 rows compute log-densities in float32, `score` in float64.
ROUNDED = {np.float64: 1e-12, np.float32: 1e-8}


@by_type
@pytest.mark.parametrize(("d", "K"), [(1, 2), (1, 7), (2, 3), (4, 5), (8, 3), (17, 2)])
def test_never_falls(case, d, K):
    X = case.data(200 * K, K, d)
    for seed in range(4):
        start = case.start(K, d)
        moved = np.random.default_rng(seed).normal(scale=0.5, size=start.means.shape)
        start = start._replace(means=start.means + moved)
        model = stepped(case, X, steps=40, start=start, reg_covar=0.0)
        assert_never_falls(model.lower_bounds_)
        assert model.lower_bound_ == model.lower_bounds_[-1]


@by_type
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_never_falls_far_from_the_origin(case, offset):
    X = case.data() + offset
    start = case.start()
    start = start._replace(means=start.means + offset)
    assert_never_falls(stepped(case, X, steps=40, start=start, reg_covar=0.0).lower_bounds_)


@by_type
def test_never_falls_with_weights(case):
    X = case.data()
    weights = np.random.default_rng(0).exponential(size=len(X))
    model = stepped(case, X, steps=40, reg_covar=0.0, sample_weight=weights)
    assert_never_falls(model.lower_bounds_)


@by_type
@by_dtype
def test_trace_is_one_story(case, dtype):
    """`history_`, `lower_bounds_`, `lower_bound_` and `score` tell the same log-likelihoods."""
    X = case.data(dtype=dtype)
    model = stepped(case, X, steps=5, reg_covar=0.0)
    history = model.history_
    assert len(history) == model.n_iter_ == 5
    np.testing.assert_array_equal(history["iteration"], np.arange(1, 6))
    np.testing.assert_array_equal(history["log_likelihood"], model.lower_bounds_)
    np.testing.assert_array_equal(history["change"][1:], np.diff(model.lower_bounds_))
    assert np.all(history["seconds"] >= 0)
    assert np.all(history["rows_per_second"] > 0)
    # The bound is the likelihood before the last update: one more step reports the one after it.
    after = fit_quietly(model_at(case, case.start(), max_iter=6, tol=0.0, reg_covar=0.0), X)
    assert model.score(X) == pytest.approx(after.lower_bound_, rel=ROUNDED[dtype])


@by_type
def test_best_of_several_starts_wins(case):
    X = case.data()
    options = {"n_components": 3, "covariance_type": case.covariance_type, "random_state": 3}
    model = fit_quietly(
        type(model_at(case, case.start()))(**options, n_init=4, init_params="random", max_iter=20),
        X,
    )
    bounds = [start["lower_bound"] for start in map(as_dict, model.starts_)]
    assert len(bounds) == 4
    assert len(set(bounds)) > 1
    assert model.lower_bound_ == max(bounds)
    assert [as_dict(start)["index"] for start in model.starts_] == [0, 1, 2, 3]
    assert all(as_dict(start)["error"] is None for start in model.starts_)


def as_dict(record):
    """Read a start's record, whether it is a mapping, a named tuple or an object."""
    if isinstance(record, dict):
        return record
    return record._asdict() if hasattr(record, "_asdict") else vars(record)
