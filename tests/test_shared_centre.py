"""Independent columns about a centre that all components share: the step of the reference, no digits lost."""

from __future__ import annotations

import numpy as np
import pytest

from fusem.families import gaussian_diag, gaussian_spherical
from fusem.families.shared_centre import NEAR, frame, is_near, squares
from fusem.mixture import engine
from fusem.mixture.engine import Engine
from tests import (
    test_contract_equality,
    test_contract_likelihood,
    test_contract_order,
    test_contract_weights,
)
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_parameters, assert_within, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference import Parameters

DIAG, SPHERICAL = CASES[2], CASES[3]
FAMILY = {"diag": gaussian_diag, "spherical": gaussian_spherical}
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
ROWS = 2000
by_type = pytest.mark.parametrize("case", [DIAG, SPHERICAL], ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.fixture(autouse=True)
def sweeps(monkeypatch):
    """The kernels that were called; where components share a centre it is used, whether or not that pays."""
    monkeypatch.setattr(engine, "LEAST_NEAR", 1)
    monkeypatch.setattr(engine, "LEAST_VALUES", 1)
    called, total = [], Engine._total

    def recorded(self, way, *arguments, **named):
        called.append(way.kernel.__name__)
        return total(self, way, *arguments, **named)

    monkeypatch.setattr(Engine, "_total", recorded)
    return called


def kinds(sweeps) -> list[str]:
    """About what each sweep's sums were taken."""
    names = [name.split("_sweep")[-1].rpartition("_")[0] for name in sweeps]
    return [name.removeprefix("_") or "means" for name in names]


def components(case, start: Parameters):
    return FAMILY[case.covariance_type].from_covariances(start.means, start.covariances)


def centred(case, start: Parameters, dtype, n_rows: int | None = ROWS) -> bool:
    made = Engine(FAMILY[case.covariance_type], *start.means.shape, dtype, n_rows)
    return made.near_operands(components(case, start)) is not None


def moved(case, start: Parameters, norm: float) -> Parameters:
    """The start with means moved so that the largest squared distance from the centre is `norm`."""
    whitening = components(case, start).whitening.reshape(len(start.means), -1)
    shared = frame(start.means, whitening)
    now = squares(shared).max() if case is DIAG else squares(shared).mean(axis=1).max()
    centre = shared.centre
    return start._replace(means=centre + np.sqrt(norm / now) * (start.means - centre))


def rows_of(start: Parameters, n: int, dtype) -> np.ndarray:
    rng, (K, d) = np.random.default_rng(0), start.means.shape
    return (start.means[rng.integers(K, size=n)] + rng.normal(size=(n, d))).astype(dtype)


@by_type
@by_dtype
@pytest.mark.parametrize(("K", "d"), [(1, 1), (2, 4), (4, 4), (5, 9), (9, 6), (6, 1)])
@pytest.mark.parametrize("factor", [0.1, 0.9, 1.1])
def test_a_step_is_that_of_the_reference(case, dtype, K, d, factor):
    start = case.start(K, d)
    if K > 1:
        start = moved(case, start, factor * NEAR[np.dtype(dtype).name])
        assert centred(case, start, dtype) == (factor < 1.0)
    X = rows_of(start, 3000, dtype)
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    model = stepped(case, X, 1, start, sample_weight=weights)
    expected = case.twin.em_step(X, weights, *start, model.reg_covar)
    rtol = TOLERANCE[np.dtype(dtype).name]
    found = parameters_of(model)
    assert_same_parameters(found, Parameters(*expected[1:4]), case.covariance_type, rtol)
    assert model.lower_bound_ == pytest.approx(expected[0], rel=rtol)


def narrowing(case, dtype, narrow: float) -> tuple[np.ndarray, Parameters]:
    """Four components near a centre, and rows of which the second's are so narrow a bunch at its mean."""
    start = moved(case, case.start(4, 3), 0.9 * NEAR[np.dtype(dtype).name])
    rng = np.random.default_rng(0)
    of = rng.choice([0, 2, 3], size=ROWS)
    of[::4] = 1
    spread = np.where(of == 1, narrow, 1.0)[:, None]
    return (start.means[of] + spread * rng.normal(size=(ROWS, 3))).astype(dtype), start


@by_type
@pytest.mark.parametrize(
    ("dtype", "narrow"),
    # float32 rows near 10 cannot lie closer together
    [(np.float64, x) for x in (0.9, 1e-2, 1e-4, 1e-8)]
    + [(np.float32, x) for x in (0.9, 1e-2, 1e-4)],
)
def test_a_component_that_becomes_narrow_keeps_its_digits(case, dtype, narrow, sweeps):
    """About the centre its variance is a difference of large numbers: those sums are taken again."""
    X, start = narrowing(case, dtype, narrow)
    assert centred(case, start, dtype)
    model = fit_quietly(model_at(case, start, max_iter=1, tol=0.0, reg_covar=0.0), X)
    assert kinds(sweeps) == (["near"] if narrow == 0.9 else ["near", "about"])
    expected = case.twin.em_step(X.astype(np.float64), None, *start, 0.0)
    double = dtype == np.float64
    assert_within(model.means_, expected[2], 1e-12 if double else 1e-6, "means")
    rtol = 1e-10 if double else 1e-3
    np.testing.assert_allclose(model.covariances_, expected[3], rtol=rtol)


@by_type
@by_dtype
def test_sums_are_taken_again_once_in_a_fit(case, dtype, sweeps):
    X, start = narrowing(case, dtype, 1e-2)
    for _ in range(2):
        sweeps.clear()
        fit_quietly(model_at(case, start, max_iter=3, tol=0.0), X)
        assert kinds(sweeps) == ["near", "about", "means", "means"]


@by_type
def test_by_hand_there_is_no_second_pass_and_no_centre(case, sweeps):
    X, start = narrowing(case, np.float64, 1e-5)
    assert not centred(case, start, np.float64, n_rows=None)
    by_hand = model_at(case, start, max_iter=0, reg_covar=0.0).fit(X)
    sweeps.clear()
    by_hand.update(by_hand.statistics(X))
    assert kinds(sweeps) == ["means"]
    expected = case.twin.em_step(X, None, *start, 0.0)
    np.testing.assert_allclose(by_hand.covariances_, expected[3], rtol=1e-6)


@pytest.mark.parametrize(("case", "dtype"), [(DIAG, np.float32), (DIAG, np.float64)])
def test_a_far_row_without_weight_is_nothing(case, dtype, sweeps):
    """About the centre its square may be infinite, and nothing of it no number: then the means are taken."""
    start = moved(case, case.start(5, 3), 0.5 * NEAR[np.dtype(dtype).name])
    X = rows_of(start, ROWS, np.float64)
    unit = 1.0 if dtype == np.float32 else 1e-3
    start = start._replace(means=unit * start.means, covariances=unit**2 * start.covariances)
    X = (unit * X).astype(dtype)
    X[7] = 1e20 if dtype == np.float32 else 1e153
    weights = np.ones(ROWS)
    weights[7] = 0.0
    model = stepped(case, X, 1, start, sample_weight=weights, reg_covar=0.0)
    assert kinds(sweeps) == ["near", "means"]
    expected = stepped(case, np.delete(X, 7, axis=0), 1, start, reg_covar=0.0)
    found, rtol = parameters_of(model), TOLERANCE[np.dtype(dtype).name]
    assert_same_parameters(found, parameters_of(expected), case.covariance_type, rtol)


def test_components_too_far_away_are_not_near(recwarn):
    means = np.array([[0.0, 0.0], [1e160, 0.0], [1.0, 0.0]])
    assert gaussian_diag.near_operands(components(DIAG, far(means, (3, 2))), np.float64) is None
    spherical = components(SPHERICAL, far(means, (3,)))
    assert gaussian_spherical.near_operands(spherical, np.float64) is None
    assert not recwarn.list


def far(means: np.ndarray, shape: tuple[int, ...]) -> Parameters:
    return Parameters(np.full(len(means), 1.0 / len(means)), means, np.ones(shape))


# ---- The contracts of all sweeps, about a shared centre ----


@by_type
@by_dtype
def test_sources_and_threads_give_the_same_bits(case, dtype, tmp_path, sweeps):
    test_contract_order.test_sources_give_the_same_bits(case, dtype, 5000, tmp_path)
    test_contract_order.test_threads_give_the_same_bits(case, dtype, 5000)
    test_contract_order.test_weights_give_the_same_bits(case, dtype)
    assert "near" in kinds(sweeps)


@by_type
@by_dtype
def test_weights_count(case, dtype, sweeps):
    test_contract_weights.test_weight_two_is_a_row_twice(case, dtype)
    test_contract_weights.test_weight_zero_is_a_row_absent(case, dtype)
    test_contract_weights.test_row_of_weight_zero_may_lie_anywhere(case)
    assert "near" in kinds(sweeps)


@by_type
def test_the_likelihood_never_falls(case, sweeps):
    test_contract_likelihood.test_never_falls(case, 4, 5)
    test_contract_likelihood.test_never_falls_with_weights(case)
    assert "near" in kinds(sweeps)


@by_type
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_components_and_columns(case, sweeps):
    test_contract_equality.test_every_iteration_equals_scikit_learn(case, 20, 33)
    assert "near" in kinds(sweeps)


@by_type
def test_it_is_used_where_it_pays(case, monkeypatch, sweeps):
    monkeypatch.undo()
    called, total = [], Engine._total
    monkeypatch.setattr(
        Engine,
        "_total",
        lambda self, way, *a, **k: (called.append(way), total(self, way, *a, **k))[1],
    )
    for K, n, kind in ((9, 30_000, "near"), (9, 3000, "means"), (5, 30_000, "means")):
        start = case.start(K, 4)
        stepped(case, rows_of(start, n, np.float64), 1, start)
        assert kinds([called[-1].kernel.__name__]) == [kind]


@by_type
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_any_scale(case, scale):
    start = case.start(5, 3)
    X = rows_of(start, 1000, np.float64)
    shrunk = start._replace(means=scale * start.means, covariances=scale**2 * start.covariances)
    assert centred(case, shrunk, np.float64)
    one = stepped(case, X, 2, start, reg_covar=0.0)
    other = stepped(case, scale * X, 2, shrunk, reg_covar=0.0)
    np.testing.assert_allclose(other.means_ / scale, one.means_, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(other.covariances_ / scale / scale, one.covariances_, rtol=1e-11)


def test_what_float32_cannot_hold_has_no_centre():
    means, whitening = np.zeros((3, 2)), np.array([[1.0, 1.0], [1e-7, 1.0], [1.0, 1.0]])
    assert not is_near(frame(means, whitening), np.zeros(3), np.float64), "a column too wide"
    for narrow, wide in ((1e39, 1e30), (1e-45, 1e-30)):
        for value, held in ((narrow, False), (wide, True)):
            shared = frame(means, np.full((3, 2), value), np.float32)
            assert is_near(shared, np.zeros(3), np.float32) == held
