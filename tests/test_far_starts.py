"""A start far from the rows, or far too broad, costs no digits: the covariance of what moved far is exact."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Peer

from fusem.families.gaussian import SingularComponents
from fusem.families.registry import FAMILIES
from fusem.mixture.engine import Engine
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_model, assert_same_parameters, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters

MATRICES = [case for case in CASES if FAMILIES[case.family].MATRICES]
by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
TOLERANCE = {np.float64: 1e-11, np.float32: 1e-5}
FAR = 1e6


def rows(case, dtype=np.float64) -> np.ndarray:
    """Draw one cluster around the start of one component."""
    return case.data(n_components=1, dtype=dtype)


def moved_start(case, distance: float) -> Parameters:
    """Return the start of one component with its mean so many units away."""
    start = case.start(1)
    return start._replace(means=start.means + distance)


@by_type
@by_dtype
@pytest.mark.parametrize("distance", [1e1, 1e2, 1e3, 1e4, 1e6, 1e8])
def test_one_step_from_afar_equals_the_twin(case, dtype, distance):
    X, start = rows(case, dtype), moved_start(case, distance)
    params = parameters_of(fit_quietly(model_at(case, start, max_iter=1), X))
    _, *expected = case.twin.em_step(X.astype(np.float64), None, *start, 1e-6)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, TOLERANCE[dtype])


@by_type
@by_dtype
@pytest.mark.parametrize("factor", [1e4, 1e8, 1e12, 1e-4, 1e-8])
def test_one_step_from_another_scale_equals_the_twin(case, dtype, factor):
    """The start's standard deviation is `factor` times that of the rows, and its mean one of it away."""
    X, start = rows(case, dtype), case.start(1)
    start = start._replace(means=start.means + factor, covariances=start.covariances * factor**2)
    params = parameters_of(fit_quietly(model_at(case, start, max_iter=1), X))
    _, *expected = case.twin.em_step(X.astype(np.float64), None, *start, 1e-6)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, TOLERANCE[dtype])


def clusters_apart(case, distance: float) -> tuple[np.ndarray, Parameters]:
    """Draw three clusters, each start a tenth of the way to the next: no row is in doubt."""
    rng, d = np.random.default_rng(8), 4
    X = rng.standard_normal((900, d)) @ np.diag([1.0, 2.0, 0.5, 1.0])
    X[:, 0] += 0.5 * X[:, 1]
    centres = distance * np.arange(3.0)
    start = case.start(3, d)._replace(means=np.tile(centres[:, None] + 0.1 * distance, (1, d)))
    return X + np.repeat(centres, 300)[:, None], start


@by_type
@pytest.mark.parametrize("distance", [1e3, 1e5, 1e7])
def test_every_iteration_from_afar_equals_the_twin(case, distance):
    X, expected = clusters_apart(case, distance)
    ours = model_at(case, expected, max_iter=1, tol=0.0, warm_start=True)
    for _ in range(3):
        fit_quietly(ours, X)
        lower_bound, *step = case.twin.em_step(X, None, *expected, 1e-6)
        expected = Parameters(*step)
        assert ours.lower_bound_ == pytest.approx(lower_bound, rel=1e-11)
        assert_same_parameters(parameters_of(ours), expected, case.covariance_type, 1e-11)


@pytest.mark.parametrize("distance", [1e3, 1e5, 1e7])
def test_every_iteration_from_afar_equals_scikit_learn(distance):
    """Only its full covariances keep their digits so far from the origin."""
    full = CASES[0]
    X, start = clusters_apart(full, distance)
    one_more = {"max_iter": 1, "tol": 0.0, "warm_start": True}
    peer, ours = Peer(**full.start_arguments(start), **one_more), model_at(full, start, **one_more)
    for _ in range(3):
        fit_quietly(peer, X)
        fit_quietly(ours, X)
        assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, rel=1e-9)
        assert_same_parameters(parameters_of(ours), parameters_of(peer), "full", 1e-9)


@by_type
def test_chunks_and_threads_change_no_bit(case):
    X, start = rows(case), moved_start(case, FAR)
    one = stepped(case, X, 2, start, n_jobs=1)
    assert_same_model(stepped(case, X, 2, start, n_jobs=3), one)
    assert_same_model(stepped(case, [X[:7], X[7:1500], X[1500:]], 2, start, n_jobs=2), one)


@by_type
def test_by_hand_the_means_go_first(case):
    """One statistic knows the new means alone; the next one knows the covariances."""
    X, start = rows(case), moved_start(case, FAR)
    model = stepped(case, X, 0, start)
    before = model.covariances_.copy()
    model.update(model.statistics(X))
    np.testing.assert_allclose(model.means_, X.mean(axis=0)[None], rtol=1e-9)
    np.testing.assert_allclose(model.covariances_, before, rtol=1e-12)
    model.update(model.statistics(X))
    expected = parameters_of(stepped(case, X, 1, start))
    assert_same_parameters(parameters_of(model), expected, case.covariance_type, 1e-11)


@pytest.mark.parametrize("case", MATRICES, ids=lambda case: case.covariance_type)
def test_by_hand_collinear_columns_are_an_error_at_once(case):
    """Means that still move do not hide it."""
    x = np.random.default_rng(0).normal(size=400)
    X = np.c_[x, 2.0 * x]
    start = case.start(2, 2)._replace(means=np.array([[-1.0, -2.0], [1.0, 2.0]]))
    start = start._replace(covariances=np.broadcast_to(np.eye(2), start.covariances.shape).copy())
    model = stepped(case, X, 0, start, reg_covar=0.0)
    statistic = model.statistics(X)
    with pytest.raises(SingularComponents):
        model.update(statistic)


@by_type
@by_dtype
def test_only_a_far_start_takes_another_pass(case, dtype, monkeypatch):
    """Every pass counts its rows; a second one is made once, at the first step."""
    passes = []
    statistic = Engine.statistic
    monkeypatch.setattr(
        Engine, "statistic", lambda *given: (passes.append(given[5]), statistic(*given))[1]
    )
    X = rows(case, dtype)
    stepped(case, X, 3, case.start(1))
    assert [about is None for about in passes] == [True, True, True]
    passes.clear()
    stepped(case, X, 3, moved_start(case, FAR))
    assert [about is None for about in passes].count(True) == 3
    assert 1 <= [about is None for about in passes].count(False) <= 3


@by_type
def test_another_pass_counts_weights(case):
    X, start = rows(case), moved_start(case, FAR)
    weights = np.random.default_rng(4).integers(0, 4, len(X)).astype(float)
    model = model_at(case, start, max_iter=1)
    params = parameters_of(fit_quietly(model, X, sample_weight=weights))
    _, *expected = case.twin.em_step(X, weights, *start, 1e-6)
    assert_same_parameters(params, Parameters(*expected), case.covariance_type, 1e-11)


def steps(model, X, n: int) -> None:
    """Make so many steps by hand."""
    for _ in range(n):
        model.update(model.statistics(X))


@by_type
@pytest.mark.parametrize("distance", [0.0, 1.0, FAR])
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_what_is_singular_stays_an_error(case, distance):
    X = np.tile(case.start(1).means, (50, 1))
    with pytest.raises(SingularComponents):
        model_at(case, moved_start(case, distance), max_iter=3, reg_covar=0.0).fit(X)
    model = stepped(case, X, 0, moved_start(case, distance), reg_covar=0.0)
    with pytest.raises(SingularComponents):
        steps(model, X, 3)
