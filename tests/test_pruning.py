"""Sweeps that leave out components without a share: equal to the dense sweep, and taken where they pay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusem.data import open_rows, open_weights
from fusem.em.workers import Workers
from fusem.families.registry import FAMILIES
from fusem.kernels.pairs import LEAF, LONG_LEAF, neighbours_per_row
from fusem.kernels.posterior import NEGLIGIBLE
from fusem.mixture import engine as engine_module
from fusem.mixture.engine import HEADER, Engine, Model
from fusem.mixture.pruning import (
    LISTED,
    LONG_BYTES,
    MANY,
    MOST_OPERATIONS,
    leaf_rows,
    nearest,
    neighbourhood,
    reaches,
)
from tests.cases import CASES, DTYPES
from tests.combinations import by_dtypes
from tests.comparison import assert_bit_identical, assert_same_model
from tests.models import fit_quietly, model_at
from tests.reference import Parameters
from tests.sources import UNEVEN, cut, strided

PRUNED = [case for case in CASES if FAMILIES[case.family].kernels.sweep_pruned is not None]
CASE = {case.family: case for case in CASES}
by_family = pytest.mark.parametrize("family", [case.family for case in PRUNED])
by_family_and_dtype = by_dtypes(
    "family", {case.family: case.family for case in PRUNED}, {"gaussian_diag"}
)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
SEED, K, D, N = 0, 90, 20, 2 * LEAF + 1000  # K and D in no multiples of blocks
APART, TOGETHER = 12.0, 0.3  # standard deviation of the means, in those of the components
BOUND = {np.float64: 1e-12, np.float32: 2e-5}


def components(family, spread, d=D, n_components=K, scale=1.0):
    """Components whose means lie about N(0, spread²) and whose covariances differ."""
    rng = np.random.default_rng(SEED)
    means = rng.normal(size=(n_components, d)) * spread
    factors = np.eye(d) + 0.1 * rng.normal(size=(n_components, d, d))
    matrices = factors @ np.swapaxes(factors, 1, 2)
    forms = {
        "gaussian_full": matrices,
        "gaussian_tied": matrices[0],
        "gaussian_diag": np.einsum("kii->ki", matrices),
        "gaussian_spherical": matrices[:, 0, 0],
    }
    return FAMILIES[family].from_covariances(scale * means, scale**2 * forms[family])


def mixture(family, spread=APART, **shape):
    """A model with unequal weights."""
    parts = components(family, spread, **shape)
    weights = np.random.default_rng(SEED).uniform(0.5, 1.5, len(parts.means))
    return Model(weights / weights.sum(), parts)


def drawn(family, model, n=N, dtype=np.float64, offset=0.0):
    """Rows of the model, in no order."""
    rng = np.random.RandomState(SEED)
    labels = rng.randint(len(model.weights), size=n)
    sample = FAMILIES[family].sample
    X = np.empty((n, model.components.means.shape[1]))
    for k in range(len(model.weights)):
        X[labels == k] = sample(model.components, k, int((labels == k).sum()), rng)
    return (X + offset).astype(dtype)


def near(family, model, dtype=np.float64):
    """What a sweep of the model knows of neighbours."""
    shape = model.components.means.shape
    most = Engine(FAMILIES[family], *shape, dtype).most_neighbours
    return neighbourhood(FAMILIES[family], *model, np.dtype(dtype), most)


def statistic(family, model, X, weights=None, n_jobs=2, dense=False):
    """The statistic of rows; `dense` whatever the model."""
    made = Engine(FAMILIES[family], *model.components.means.shape, X.dtype)
    about = model.components if dense else None  # the sums about other means are never pruned
    rows = open_rows(X)
    w = None if weights is None else open_weights(weights)
    workers = Workers(n_jobs)
    return made.statistic(model, rows, w, workers, about=about)


def assert_equal_statistics(family, given, expected, dtype):
    """Equal in units of what each component's sums add up."""
    assert_equal_sums(family, given, expected, (K, D), BOUND[dtype])


def assert_equal_sums(family, given, expected, shape, bound):
    n_components, d = shape
    assert given[0] == pytest.approx(expected[0], rel=bound)
    assert given[1:HEADER].tolist() == pytest.approx(expected[1:HEADER].tolist(), rel=1e-14)
    counts = expected[HEADER : HEADER + n_components]
    stats = FAMILIES[family].stats_of
    for mine, theirs in zip(stats(given[HEADER:], *shape), stats(expected[HEADER:], *shape)):
        unit = d * np.maximum(counts, 1e-300).reshape(-1, *([1] * (mine.ndim - 1)))
        assert np.abs((mine - theirs) / unit).max() < bound


@by_family_and_dtype
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_dense_sweep(family, dtype, weighted):
    model = mixture(family)
    X = drawn(family, model, dtype=dtype)
    weights = np.random.default_rng(1).integers(0, 4, len(X)).astype(float) if weighted else None
    assert near(family, model, dtype) is not None
    expected = statistic(family, model, X, weights, dense=True)
    assert_equal_statistics(family, statistic(family, model, X, weights), expected, dtype)


@by_family
@pytest.mark.parametrize(
    ("n_components", "d"),
    [(200, 4), (64, 8), (40, 70)],
    ids=["scalars", "one group", "small tiles"],
)
def test_other_shapes(family, n_components, d):
    model = mixture(family, n_components=n_components, d=d, spread=60.0)
    X = drawn(family, model, LEAF + 700)
    assert near(family, model) is not None
    for rows in (X, strided(X)):
        expected = statistic(family, model, rows, dense=True)
        given = statistic(family, model, rows)
        assert_equal_sums(family, given, expected, (n_components, d), 1e-12)


@by_family
def test_another_statistic_is_seen(family):
    model = mixture(family)
    X = drawn(family, model)
    expected = statistic(family, model, X)
    for place in (0, HEADER, HEADER + K, len(expected) - 1 - D):
        wrong = expected.copy()
        wrong[place] += 1e-8 * (1.0 + abs(wrong[place])) * D
        with pytest.raises(AssertionError):
            assert_equal_statistics(family, wrong, expected, np.float64)


@by_family_and_dtype
def test_rows_between_components_have_neighbours(family, dtype):
    """Half of the rows lie where two components, or five, have a share; a few are far from all."""
    model = mixture(family)
    means = model.components.means
    rng, X = np.random.default_rng(2), drawn(family, model)
    for first, count in ((0, 2), (1, 5)):
        chosen = rng.integers(0, K, (len(X[first::4]), count))
        X[first::4] = means[chosen].mean(axis=1) + rng.normal(size=X[first::4].shape)
    X[2::300] = 30.0 * rng.normal(size=X[2::300].shape)  # near nobody: neighbours of all
    X = X.astype(dtype)
    expected = statistic(family, model, X, dense=True)
    assert_equal_statistics(family, statistic(family, model, X), expected, dtype)


@by_family
def test_leaves_with_many_neighbours_go_the_dense_way(family):
    """Rows from nowhere near, whole leaves of them and the second half of one."""
    model = mixture(family)
    X = drawn(family, model)
    X[LEAF // 2 : 2 * LEAF] = np.random.default_rng(3).normal(size=D) * 40.0
    X[LEAF // 2 : 2 * LEAF] += np.random.default_rng(4).normal(size=(LEAF * 3 // 2, D)) * 9.0
    weights = np.random.default_rng(5).uniform(size=len(X))
    for w in (None, weights):
        expected = statistic(family, model, X, w, dense=True)
        assert_equal_statistics(family, statistic(family, model, X, w), expected, np.float64)
    many = X[LEAF : 2 * LEAF].copy()  # the dense sweep of a leaf leaves its mark: the same bits
    assert_bit_identical(
        statistic(family, model, many), statistic(family, model, many, dense=True), ""
    )


@by_family
def test_makes_the_em_step_of_the_reference(family):
    model = mixture(family)
    X, case = drawn(family, model), CASE[family]
    start = Parameters(model.weights, model.components.means, model.components.covariances)
    made = fit_quietly(model_at(case, start, max_iter=1, tol=0.0, reg_covar=1e-3), X)
    loglik, *expected = case.twin.em_step(X, None, *start, 1e-3)
    assert statistic(family, model, X)[0] / len(X) == pytest.approx(loglik, rel=1e-12)
    for mine, theirs in zip((made.weights_, made.means_, made.covariances_), expected):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-10)


@by_family_and_dtype
def test_same_bits_whatever_the_chunks_and_threads(family, dtype):
    model = mixture(family)
    X, case = drawn(family, model, dtype=dtype), CASE[family]
    start = Parameters(model.weights, model.components.means, model.components.covariances)
    fitted = [
        fit_quietly(model_at(case, start, max_iter=2, tol=0.0, n_jobs=n_jobs), source)
        for n_jobs in (1, 2)
        for source in (X, cut(X, UNEVEN), strided(X), np.asfortranarray(X))
    ]
    for other in fitted[1:]:
        assert_same_model(other, fitted[0])


@by_family_and_dtype
def test_long_leaves(family, dtype):
    """Taken where there are many rows; here they are said to be many."""
    model = mixture(family)
    X = drawn(family, model, 2 * LONG_LEAF + 1000, dtype=dtype)
    long = Engine(FAMILIES[family], K, D, dtype, n_rows=MANY)
    assert long.pruned_leaf == LONG_LEAF
    assert Engine(FAMILIES[family], K, D, dtype, n_rows=MANY - 1).pruned_leaf == LEAF
    given = []
    for n_jobs, source in ((1, X), (2, cut(X, UNEVEN)), (2, strided(X))):
        workers = Workers(n_jobs)
        given.append(long.statistic(model, open_rows(source), None, workers))
    expected = statistic(family, model, X, dense=True)
    assert_equal_statistics(family, given[0], expected, dtype)
    for other in given[1:]:
        assert_bit_identical(other, given[0], "")


@pytest.mark.parametrize(
    ("operations", "row_bytes", "n_rows", "expected"),
    [
        (1e4, 256, None, LEAF),
        (1e4, 256, MANY - 1, LEAF),
        (1e4, 256, MANY, LONG_LEAF),
        (1e4, LONG_BYTES // LONG_LEAF, MANY, LONG_LEAF),
        (1e4, LONG_BYTES // LONG_LEAF + 8, MANY, LEAF),
        (MOST_OPERATIONS / 4, 256, MANY, LONG_LEAF),
        (MOST_OPERATIONS / 3, 256, MANY, LEAF),
    ],
)
def test_leaves_are_long_where_rows_are_many_small_and_cheap(
    operations, row_bytes, n_rows, expected
):
    assert leaf_rows(operations, row_bytes, n_rows) == expected


@by_family
@pytest.mark.parametrize("n", [1, 7, 255, 256, 257, LEAF - 1, LEAF, LEAF + 1])
def test_any_number_of_rows(family, n):
    model = mixture(family)
    X = drawn(family, model, n)
    expected = statistic(family, model, X, dense=True)
    assert_equal_statistics(family, statistic(family, model, X), expected, np.float64)


@by_family
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_any_scale(family, scale):
    model = mixture(family, scale=scale)
    X = drawn(family, mixture(family)) * scale
    assert near(family, model) is not None
    expected = statistic(family, model, X, dense=True)
    assert_equal_statistics(family, statistic(family, model, X), expected, np.float64)


@by_family_and_dtype
def test_far_from_zero(family, dtype):
    offset = {np.float64: 1e8, np.float32: 1e4}[dtype]
    model = mixture(family)
    moved = model._replace(
        components=model.components._replace(means=model.components.means + offset)
    )
    X = drawn(family, model, dtype=dtype, offset=offset)
    assert near(family, moved, dtype) is not None
    expected = statistic(family, moved, X, dense=True)
    assert_equal_statistics(family, statistic(family, moved, X), expected, dtype)


@by_family
def test_dead_components_are_nobodys_guess(family):
    model = mixture(family)
    weights = np.where(np.arange(K) % 5 == 0, 0.0, model.weights)
    dead = Model(weights / weights.sum(), model.components)
    X = drawn(family, model)  # some rows lie where nothing lives any more
    expected = statistic(family, dead, X, dense=True)
    given = statistic(family, dead, X)
    assert_equal_statistics(family, given, expected, np.float64)
    assert not given[HEADER : HEADER + K][weights == 0.0].any()


@by_family
def test_an_infinite_row_does_not_pass(family):
    model = mixture(family)
    for value in (math.nan, math.inf):
        X = drawn(family, model)
        X[LEAF + 5, 3] = value
        assert not math.isfinite(statistic(family, model, X)[0])


@by_family
def test_overlap_is_seen_before_the_sweep(family):
    assert near(family, mixture(family, TOGETHER)) is None
    for n_components, d in ((4, 64), (10, 2)):  # whatever the model
        assert Engine(FAMILIES[family], n_components, d, float).most_neighbours < 0.0


@by_dtype
@pytest.mark.parametrize("shape", [(8, 200), (16, 64), (16, 128), (64, 32), (200, 64)])
@by_family
def test_rows_with_so_many_neighbours_have_room(family, shape, dtype):
    """Pairs that overflow the lists are computed in vain: the few rows tried first must tell."""
    n_components, d = shape
    most = Engine(FAMILIES[family], n_components, d, dtype).most_neighbours
    assert most <= 0.75 * neighbours_per_row(n_components)


def test_tied_components_cannot_be_taken_one_by_one():
    assert FAMILIES["gaussian_tied"].kernels.sweep_pruned is None
    model = mixture("gaussian_tied")
    X = drawn("gaussian_tied", model)
    assert np.isfinite(statistic("gaussian_tied", model, X)).all()


@by_family
@pytest.mark.parametrize("spread", [2.0, 4.0, APART])
def test_no_component_within_reach_is_left_out(family, spread):
    """At every distance: whoever is left out has less than 1e-20 of the row."""
    model, case = mixture(family, spread), CASE[family]
    params, rng = model.components, np.random.default_rng(5)
    level = np.log(model.weights) + FAMILIES[family].operands(params, np.float64).constant
    reach = reaches(FAMILIES[family], params, level, range(K))
    start = Parameters(model.weights, params.means, params.covariances)
    left_out = 0
    for j in range(K):
        direction = drawn(family, model._replace(components=params), 40)[:20] - params.means[j]
        length = rng.uniform(0.0, 2.0, (20, 1))
        X = params.means[j] + length * direction  # towards other components and past them
        joint = case.twin.log_density(X, start) + np.log(model.weights)
        square = 2.0 * (level[j] - joint[:, j])
        away = ~(square[:, None] > reach[j])
        away[:, j] = False
        assert (joint - joint[:, [j]])[away].max(initial=-math.inf) < NEGLIGIBLE + 1e-6
        left_out += away.sum()
    assert left_out > 0


def test_nearly_singular_covariances_leave_none_out():
    """Thin components far apart: the width of another, in their units, is mostly rounding."""
    rng, d, thin = np.random.default_rng(6), 12, 1e-7
    axes = np.linalg.qr(rng.normal(size=(K, d, d)) * 1e-3 + np.eye(d))[0]
    covariances = (axes * np.r_[thin**2, np.ones(d - 1)]) @ np.swapaxes(axes, 1, 2)
    means = np.arange(K)[:, None] * 3000.0 * thin * axes[:, :, 0]
    family = FAMILIES["gaussian_full"]
    params = family.from_covariances(means, covariances)
    distance, width = family.separations(params, range(K))
    exact = np.empty((K, K))
    for k in range(K):
        y = (means - means[k]) @ params.whitening[k].T
        direction = y / np.maximum(distance[k], 1e-300)[:, None] @ params.whitening[k]
        solved = [np.linalg.solve(w.T, u) for w, u in zip(params.whitening, direction)]
        exact[k] = np.linalg.norm(solved, axis=1)
    away = ~np.eye(K, dtype=bool)
    assert (width >= exact)[away].all()


@pytest.mark.parametrize("size", [5, 100])
def test_nearest_are_in_order(size):
    reach = np.random.default_rng(7).uniform(size=(size, size))
    kept, order = (part.reshape(size, -1) for part in nearest(reach))
    assert (np.diff(kept, axis=1) >= 0.0).all()
    assert kept.shape[1] == min(size, LISTED)
    for row, values, columns in zip(reach, kept, order):
        assert values.tolist() == sorted(row)[: len(values)]
        whole = len(columns) - (size > LISTED)
        assert row[columns[:whole]].tolist() == values[:whole].tolist()
        assert size <= LISTED or columns[-1] == -1


def test_a_reach_too_long_is_seen():
    """The bound is sharp where covariances are equal and the row lies between two means."""
    family = "gaussian_spherical"
    pair = FAMILIES[family].from_covariances(np.array([[0.0], [20.0]]), np.ones(2))
    level = np.log([0.5, 0.5]) + FAMILIES[family].operands(pair, np.float64).constant
    reach = reaches(FAMILIES[family], pair, level, range(2))
    x = math.sqrt(reach[0, 1])
    assert -0.5 * (x - 20.0) ** 2 + 0.5 * x**2 == pytest.approx(NEGLIGIBLE, rel=1e-12)


def test_bits_do_not_depend_on_what_was_fitted_before(monkeypatch):
    """The dense and the pruned sweep share memory of the engine."""
    family = "gaussian_diag"
    apart, together = mixture(family), mixture(family, TOGETHER)
    X = drawn(family, apart)
    X[100:300] += 60.0
    made = Engine(FAMILIES[family], K, D, X.dtype)
    workers = Workers(1)
    results = [
        made.statistic(m, open_rows(X), None, workers) for m in (together, apart, together, apart)
    ]
    assert_bit_identical(results[0], results[2], "dense")
    assert_bit_identical(results[1], results[3], "pruned")
    assert_bit_identical(results[3], statistic(family, apart, X), "another engine")
    monkeypatch.setattr(engine_module, "neighbourhood", lambda *given: None)
    assert_equal_statistics(family, results[1], statistic(family, apart, X), np.float64)
