"""Rows with missing values: exact EM on what was observed, against the slow twin and published estimates."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import multivariate_normal

import fusem
from fusem.em.workers import Workers
from fusem.kernels.marginal import marginals
from fusem.kernels.null_space import bases, width_of
from fusem.kernels.patterns import LEAF, PATTERNS
from fusem.mixture.criteria import _by_leaf
from fusem.mixture.draws import draws
from fusem.mixture.engine import Engine
from tests.cases import CASES, DTYPES
from tests.combinations import by_dtypes
from tests.comparison import assert_never_falls, assert_same_model, assert_within, parameters_of
from tests.models import fit_quietly, model_at, stepped
from tests.reference_missing import drawn, em_step, expectation, imputed
from tests.sources import SOURCES, cut

REFERENCE = json.loads(
    (Path(__file__).parent / "data" / "missing.json").read_text(encoding="utf-8")
)

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
by_type_and_dtype = by_dtypes(
    "case", {case.covariance_type: case for case in CASES}, {"full", "diag"}
)

# Rows with few values left raise warnings of all kinds; what counts here is other.
pytestmark = pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")


def with_holes(X: np.ndarray, rate: float = 0.2, seed: int = 0) -> np.ndarray:
    """Return a copy in which every value is missing with a probability."""
    holes = np.random.default_rng(seed).random(X.shape) < rate
    return np.where(holes, np.nan, X).astype(X.dtype)


def with_patterns(X: np.ndarray, rate: float = 0.3, seed: int = 0) -> np.ndarray:
    """Return a copy of which all rows but forty have one of three patterns, complete or not."""
    rng = np.random.default_rng(seed)
    patterns = rng.random((3, X.shape[1])) < rate
    patterns[0] = False
    patterns[1:, [0, -1]] = [[True, False], [False, True]]
    holes = patterns[np.arange(len(X)) % 3]
    holes[:40] = rng.random((40, X.shape[1])) < rate
    return np.where(holes, np.nan, X).astype(X.dtype)


def published(name: str) -> np.ndarray:
    return np.array(REFERENCE[name]["rows"], dtype=np.float64)


# ---- against the twin ----


@by_type_and_dtype
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_a_fit_takes_the_steps_of_the_twin(case, dtype, weighted):
    X = with_holes(case.data(700, dtype=dtype))
    w = np.random.default_rng(1).integers(0, 4, size=len(X)).astype(float) if weighted else None
    model = stepped(case, X, steps=3, reg_covar=1e-3, sample_weight=w)
    params, bounds = case.start(n_features=X.shape[1]), []
    for _ in range(3):
        bound, params = em_step(X, w, params, case.covariance_type, 1e-3)
        bounds.append(bound)
    relative = 1e-11 if dtype is np.float64 else 3e-6
    assert_within(model.lower_bounds_, bounds, relative * 10, "log-likelihoods")
    for got, expected in zip(parameters_of(model), params, strict=True):
        assert_within(got, expected, relative * (1.0 + np.abs(expected)), "parameters")


@by_type
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 9, 33, 70])
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_one_step_at_any_width(case, d, rate):
    X = with_holes(case.data(300, n_features=d, n_components=2), rate)
    start = case.start(n_features=d, n_components=2)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3)
    bound, params = em_step(X, None, start, case.covariance_type, 1e-3)
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-12)
    for got, expected in zip(parameters_of(model), params, strict=True):
        assert_within(got, expected, 1e-10 * (1.0 + np.abs(expected)), "parameters")


@by_type_and_dtype
def test_what_rows_with_holes_are_told(case, dtype):
    X = with_holes(case.data(900, dtype=dtype), 0.3)
    X[17] = np.nan
    model = stepped(case, X, steps=2, reg_covar=1e-3)
    expected = expectation(X, parameters_of(model), case.covariance_type)
    allowed = 1e-11 if dtype is np.float64 else 3e-5
    assert_within(model.score_samples(X), expected.log_likelihoods, 30 * allowed, "densities")
    assert_within(model.predict_proba(X), expected.responsibilities, allowed, "responsibilities")
    top = expected.responsibilities.max(axis=1)
    certain = np.sort(expected.responsibilities, axis=1)[:, -2] < top - 10 * allowed
    best = expected.responsibilities.argmax(axis=1)
    assert (model.predict(X) == best)[certain].all()
    some = ~np.isnan(X).all(axis=1)
    mean = expected.log_likelihoods[some].mean()
    assert model.score(X) == pytest.approx(mean, rel=1e-12 if dtype is np.float64 else 1e-6)
    filled = imputed(X, parameters_of(model), case.covariance_type)
    assert_within(model.impute(X), filled, 30 * allowed, "imputed")
    np.testing.assert_array_equal(model.impute(X)[~np.isnan(X)], X[~np.isnan(X)])


@by_type_and_dtype
@pytest.mark.parametrize("d", [3, 17])
def test_patterns_that_many_rows_have(case, dtype, d):
    X = with_patterns(case.data(480, n_features=d, dtype=dtype))
    w = np.random.default_rng(1).integers(0, 4, size=len(X)).astype(float)
    start, covariance_type = case.start(n_features=d), case.covariance_type
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3, sample_weight=w)
    bound, params = em_step(X, w, start, covariance_type, 1e-3)
    digits = 1e-12 if dtype is np.float64 else 1e-6
    assert model.lower_bound_ == pytest.approx(bound, rel=digits)
    for got, expected in zip(parameters_of(model), params, strict=True):
        assert_within(got, expected, digits * (1.0 + np.abs(expected)), "parameters")
    said = expectation(X, parameters_of(model), covariance_type)
    assert_within(model.score_samples(X), said.log_likelihoods, 20 * digits, "densities")
    assert_within(model.predict_proba(X), said.responsibilities, 10 * digits, "responsibilities")
    filled = imputed(X, parameters_of(model), covariance_type)
    assert_within(model.impute(X), filled, 20 * digits, "imputed")
    numbers = draws(model._seed(7), 0, np.isnan(X))
    normal, uniform = numbers.normal.reshape(X.shape), numbers.uniform
    some = drawn(X, parameters_of(model), covariance_type, normal, uniform)
    got = model.impute(X, sample_posterior=True, random_state=7)
    wrong = (np.abs(got - some) > 50 * digits * (1.0 + np.abs(some))).any(axis=1)
    assert wrong.sum() <= (0 if dtype is np.float64 else 2)  # beside a component's share


@by_type_and_dtype
@pytest.mark.parametrize("column", [0, -1])
def test_patterns_whose_rows_count_for_nothing(case, dtype, column):
    """By their weights, or as a component has weight 0."""
    X = with_patterns(case.data(480, dtype=dtype))
    w = np.where(np.isnan(X[:, column]), 0.0, 1.0)
    two = case.start(n_features=X.shape[1], n_components=2)
    start = two._replace(
        weights=np.append(two.weights, 0.0), means=np.vstack([two.means, two.means[:1] + 1.0])
    )
    if case.covariance_type != "tied":
        covariances = np.concatenate([two.covariances, two.covariances[:1]])
        start = start._replace(covariances=covariances)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3, sample_weight=w)
    bound, params = em_step(X, w, two, case.covariance_type, 1e-3)
    digits = 1e-12 if dtype is np.float64 else 1e-6
    assert model.lower_bound_ == pytest.approx(bound, rel=digits)
    assert_within(model.means_[:2], params.means, digits * (1.0 + np.abs(params.means)), "means")
    covariances = model.covariances_
    if case.covariance_type != "tied":
        covariances = covariances[:2]
    assert_within(covariances, params.covariances, 10 * digits, "covariances")


@by_type
def test_more_operators_of_patterns_than_are_kept(case, monkeypatch):
    d, patterns = 9, 6
    X = case.data(2 * LEAF, n_features=d)
    X[np.arange(len(X)), np.arange(len(X)) % patterns] = np.nan
    start = case.start(n_features=d)
    expected = stepped(case, X, steps=2, start=start, reg_covar=1e-3)
    monkeypatch.setattr("fusem.kernels.null_space.BYTES", 0)
    monkeypatch.setattr("fusem.em.spaces._kept", [])
    for n_matrices in (1, case.n_components):
        room = marginals(n_matrices, case.n_components, d, 1, np.float64).exact.size
        assert patterns * n_matrices * d * width_of(d) > room
    model = stepped(case, X, steps=2, start=start, reg_covar=1e-3)
    assert_same_model(model, expected)
    np.testing.assert_array_equal(model.impute(X), expected.impute(X))


def test_stores_of_many_columns_take_numpy_numbers():
    for d in (3, 40, 64, 70):
        sizes = [made(np.int64(3)).store.size for made in (
            lambda K, d=d: marginals(K, K, d, 1, float), lambda K, d=d: bases(K, K, d, 64, float),
        )]  # fmt: skip
        assert sizes == [
            marginals(3, 3, d, 1, float).store.size,
            bases(3, 3, d, 64, float).store.size,
        ]


@by_type
def test_patterns_of_columns_that_nearly_agree(case):
    """What the others say of a column is nearly all there is to know: 1 − 1e-6 of its variance."""
    d, rng = 5, np.random.default_rng(0)
    start = case.start(n_features=d, n_components=2)
    factor = rng.normal(size=(d, d))
    factor[3] = factor[1] + 1e-3 * rng.normal(size=d)
    if case.covariance_type in ("full", "tied"):
        covariances = np.broadcast_to(factor @ factor.T, start.covariances.shape)
        start = start._replace(covariances=covariances.copy())
    rows = start.means[rng.integers(2, size=600)] + rng.normal(size=(600, d)) @ factor.T
    X = with_patterns(rows)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3)
    bound, params = em_step(X, None, start, case.covariance_type, 1e-3)
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-9)
    for got, expected in zip(parameters_of(model), params, strict=True):
        assert_within(got, expected, 1e-7 * (1.0 + np.abs(expected)), "parameters")


@by_type_and_dtype
@pytest.mark.parametrize("d", [2, 5, 11])
def test_draws_are_those_of_the_twin(case, dtype, d):
    X = with_holes(case.data(900, n_features=d, dtype=dtype), 0.3)
    X[17] = np.nan
    model = stepped(case, X, steps=2, start=case.start(n_features=d), reg_covar=1e-2)
    numbers = draws(model._seed(7), 0, np.isnan(X))
    normal, uniform = numbers.normal.reshape(X.shape), numbers.uniform
    expected = drawn(X, parameters_of(model), case.covariance_type, normal, uniform)
    allowed = (1e-10 if dtype is np.float64 else 1e-4) * (1.0 + np.abs(expected))
    got = model.impute(X, sample_posterior=True, random_state=7)
    # a number beside a component's share may fall on either side of it
    other = (np.abs(got - expected) > allowed).any(axis=1)
    assert other.sum() <= (0 if dtype is np.float64 else 2)
    assert_within(got[~other], expected[~other], allowed[~other], "drawn")


@by_type_and_dtype
@pytest.mark.parametrize("apart", [1.0, 60.0], ids=["", "apart"])
def test_a_row_is_filled_in_alike_in_any_company(case, dtype, apart):
    """The same bits whatever segments threads make of the rows, the same but for rounding among others.

    Where many rows beside it lack the same columns, a row is whitened by other operators.
    """
    d, K = 5, 6
    start = case.start(n_features=d, n_components=K)
    start = start._replace(means=apart * start.means)
    n = LEAF + 2000
    X = with_holes(case.data(n, n_features=d, n_components=K, dtype=dtype) * apart, 0.3)
    X[4000:4020] = np.nan
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3)
    filled = model.impute(X)
    assert not np.isnan(filled).any()
    order = np.random.default_rng(1).permutation(len(X))
    allowed = (1e-13 if dtype is np.float64 else 1e-5) * np.abs(filled).max()
    for some in (order, order[:50]):
        assert_within(model.impute(X[some]), filled[some], allowed, "imputed")
    drawn_once = model.impute(X, sample_posterior=True, random_state=3)
    for n_jobs in (1, 8):
        model.set_params(n_jobs=n_jobs)
        np.testing.assert_array_equal(model.impute(X), filled)
        again = model.impute(X, sample_posterior=True, random_state=3)
        np.testing.assert_array_equal(again, drawn_once)


@by_type_and_dtype
def test_rows_without_any_value_get_what_was_known_before(case, dtype):
    """Not what rounding leaves of it: scales far from 1 add and take large constants."""
    d = 30
    start = case.start(n_features=d)
    X = with_holes((case.data(500, n_features=d) * 1e-5).astype(dtype), 0.2)
    X[17] = np.nan
    start = start._replace(means=start.means * 1e-5, covariances=start.covariances * 1e-10)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-14)
    mean = model.weights_ @ model.means_
    allowed = (1e-15 if dtype is np.float64 else 1e-7) * np.abs(model.means_).max()
    assert_within(model.impute(X)[17], mean, 10 * allowed, "blank row")


@by_type
def test_more_patterns_and_bases_than_are_kept(case):
    d, n = 30, PATTERNS + LEAF  # one pattern per row: the table is emptied, bases are made anew
    X = with_holes(case.data(n, n_features=d, n_components=2), 0.5)
    assert len(np.unique(np.isnan(X), axis=0)) > PATTERNS
    start = case.start(n_features=d, n_components=2)
    start = start._replace(means=start.means * 0.2)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3)
    some = slice(0, n, 12)  # the twin is slow: rows of a part, weighted
    w = np.zeros(n)
    w[some] = 1.0
    part = stepped(case, X, steps=1, start=start, reg_covar=1e-3, sample_weight=w)
    bound, params = em_step(X[some], None, start, case.covariance_type, 1e-3)
    assert part.lower_bound_ == pytest.approx(bound, rel=1e-12)
    for got, expected in zip(parameters_of(part), params, strict=True):
        assert_within(got, expected, 1e-10 * (1.0 + np.abs(expected)), "parameters")
    assert model.lower_bound_ == pytest.approx(
        model_at(case, start, max_iter=0).fit(X).score(X), rel=1e-12
    )


@by_type_and_dtype
@pytest.mark.parametrize("spread", [0.3, 3.0, 12.0, 90.0])
@pytest.mark.parametrize(
    ("weight", "holes"), [(1.0, with_holes), (1e-12, with_holes), (1.0, with_patterns)]
)
def test_means_near_each_other_and_far_apart(case, dtype, spread, weight, holes):
    """Tied covariances have three forms, by how far the furthest mean is from the centre of all."""
    d, n_components, rng = 7, 5, np.random.default_rng(3)
    start = case.start(n_features=d, n_components=n_components)
    start = start._replace(means=spread * rng.normal(size=(n_components, d)))
    n = 480
    labels = rng.choice(n_components, p=start.weights, size=n)
    rows = (start.means[labels] + rng.normal(size=(n, d))).astype(dtype)
    X, w = holes(rows, 0.3), weight * rng.integers(0, 3, size=n)
    model = stepped(case, X, steps=1, start=start, reg_covar=1e-3, sample_weight=w)
    bound, params = em_step(X, w, start, case.covariance_type, 1e-3)
    digits = 1e-11 if dtype is np.float64 else 1e-5
    assert model.lower_bound_ == pytest.approx(bound, rel=digits)
    for got, expected in zip(parameters_of(model), params, strict=True):
        assert_within(got, expected, digits * (1.0 + np.abs(expected)), "parameters")


# ---- contracts ----


@by_type_and_dtype
@pytest.mark.parametrize("n", [40, LEAF - 1, LEAF + 1, 3 * LEAF + 5])
def test_sources_threads_and_chunks_give_the_same_bits(case, dtype, n, tmp_path):
    X = with_holes(case.data(n, dtype=dtype))
    expected = stepped(case, X, reg_covar=1e-3, n_jobs=1)
    said = {
        name: getattr(expected, name)(X) for name in ("score_samples", "predict_proba", "impute")
    }
    for name, source in SOURCES.items():
        rows = source(X, tmp_path)
        start = case.start(n_features=X.shape[1])
        model = model_at(case, start, max_iter=3, tol=0.0, reg_covar=1e-3, n_jobs=2)
        assert_same_model(fit_quietly(model, rows), expected)
        for method, answer in said.items():
            np.testing.assert_array_equal(getattr(model, method)(rows), answer, err_msg=name)


@by_type_and_dtype
def test_without_holes_the_statistic_is_that_of_complete_rows(case, dtype):
    X = case.data(5000, dtype=dtype)
    model = stepped(case, X)
    engine = Engine(model._family, 3, X.shape[1], X.dtype)
    given = model._model(), fusem.rows(X), None
    workers = Workers(2)
    plain = engine.statistic(*given, workers)
    general = engine.statistic(*given, workers, missing=True)
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    assert_within(general, plain, tolerance * (len(X) + np.abs(plain)), "statistic")


@by_type
def test_integer_weights_are_repeated_rows(case):
    X = with_holes(case.data(600))
    w = np.random.default_rng(0).integers(0, 3, size=len(X))
    one = stepped(case, X, sample_weight=w.astype(float))
    other = stepped(case, np.repeat(X, w, axis=0))
    for got, expected in zip(parameters_of(one), parameters_of(other), strict=True):
        assert_within(got, expected, 1e-11 * (1.0 + np.abs(expected)), "parameters")


@by_type_and_dtype
@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_the_likelihood_never_falls(case, dtype, rate):
    X = with_holes(case.data(2000, dtype=dtype), rate)
    model = stepped(case, X, steps=40, reg_covar=0.0)
    if dtype is np.float64:
        assert_never_falls(model.lower_bounds_)
    assert min(np.diff(model.lower_bounds_)) >= -1e-6 * abs(model.lower_bound_)


@by_type
def test_rows_without_any_value_count_as_nothing(case):
    X = with_holes(case.data(3000))
    X = X[~np.isnan(X).all(axis=1)]
    blank = np.insert(X, [0, 100, 100, 2900], np.nan, axis=0)
    one, other = stepped(case, X, steps=5), stepped(case, blank, steps=5)
    for got, expected in zip(parameters_of(other), parameters_of(one), strict=True):
        assert_within(got, expected, 1e-12 * (1.0 + np.abs(expected)), "parameters")
    assert other.score(blank) == pytest.approx(one.score(X), rel=1e-14)
    assert other.bic(blank) == pytest.approx(one.bic(X), rel=1e-13)
    assert other.score_samples(blank)[0] == 0.0
    assert_within(other.predict_proba(blank)[0], other.weights_, 1e-15, "responsibilities")
    assert other.predict(blank)[0] == np.argmax(other.weights_)
    assert_within(other.impute(blank)[0], other.weights_ @ other.means_, 1e-13, "imputed")


@by_type
def test_far_data_and_small_units(case):
    X = with_holes(case.data(1500))
    start = case.start(n_features=X.shape[1])
    plain = stepped(case, X, start=start, reg_covar=0.0)
    for scale, offset in ((1e-100, 0.0), (1e100, 0.0), (1.0, 1e8)):
        moved = start._replace(
            means=start.means * scale + offset, covariances=start.covariances * scale**2
        )
        model = stepped(case, X * scale + offset, start=moved, reg_covar=0.0)
        assert_within(
            (model.means_ - offset) / scale, plain.means_, 1e-6 if offset else 1e-11, "means"
        )
        assert_within(model.weights_, plain.weights_, 1e-6 if offset else 1e-11, "weights")


@by_type
def test_by_hand_chunks_with_and_without_holes_add_up(case):
    X = case.data(3000)
    X[2000:] = with_holes(X[2000:])
    model = stepped(case, X, steps=1)
    total = sum(model.statistics(part) for part in cut(X, [1000]))
    assert total.n_rows == 3000
    whole = model.statistics(X)
    assert_within(total._sums, whole._sums, 1e-10 * (1.0 + np.abs(whole._sums)), "statistics")
    by_hand = model_at(case, parameters_of(model), max_iter=0, reg_covar=0.05).fit(X)
    for _ in range(4):
        by_hand.update(sum(by_hand.statistics(part) for part in cut(X, [700])))
    fitted = stepped(case, X, steps=4, start=parameters_of(model), reg_covar=0.05)
    for got, expected in zip(parameters_of(by_hand), parameters_of(fitted), strict=True):
        assert_within(got, expected, 1e-10 * (1.0 + np.abs(expected)), "parameters")


@by_type
def test_a_start_that_lies_far_away_finds_its_way(case):
    X = with_holes(case.data(2000))
    options = {"covariance_type": case.covariance_type, "tol": 1e-13, "max_iter": 5000}
    near = fusem.GaussianMixture(1, **options).fit(X)
    start = parameters_of(near)
    arguments = case.start_arguments(start) | {"means_init": start.means + 1e5, **options}
    model = fusem.GaussianMixture(**arguments).fit(X)
    assert model.lower_bound_ == pytest.approx(near.lower_bound_, rel=1e-8)
    assert_within(model.covariances_, near.covariances_, 1e-3, "covariances")


def test_a_row_so_far_out_that_its_distance_overflows():
    X = with_holes(CASES[0].data(500))
    for case in CASES:
        model = stepped(case, X)
        far = np.array([[1e200, np.nan, -1e200, 0.0], [np.nan, 1.0, np.nan, 2.0]])
        proba = model.predict_proba(far)
        assert_within(proba.sum(axis=1), 1.0, 1e-12, "responsibilities")
        assert model.predict(far)[0] == proba[0].argmax()
        expected = model.predict_missing(far)[0]
        assert_within(model.impute(far), expected, 1e-10 * (1.0 + np.abs(expected)), "imputed")
        drawn = model.impute(far, sample_posterior=True, random_state=0)
        assert_within(drawn[0, 1], expected[0, 1], 20.0 + 1e-10 * abs(expected[0, 1]), "drawn")
        assert np.isfinite(drawn).all()


def test_values_as_far_as_they_come_are_imputed_on_one_line():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=500)
    for dtype, values in (
        (np.float64, (1e100, 1e154, 1e155, 1e300)),
        (np.float32, (1e15, 1e19, 1e30)),
    ):
        model = fusem.GaussianMixture(1).fit(X.astype(dtype))
        slope = model.covariances_[0, 0, 1] / model.covariances_[0, 0, 0]
        for value in values:
            filled = model.impute(np.array([[value, np.nan]], dtype=dtype))[0, 1]
            assert filled / value == pytest.approx(slope, rel=1e-5)


# ---- published estimates and closed forms ----


@pytest.mark.parametrize("name", ["airquality", "missvals", "apple", "mdata"])
def test_published_estimates(name):
    X, expected = published(name), REFERENCE[name]["expected"]
    model = fusem.GaussianMixture(1, tol=1e-15, max_iter=100_000, reg_covar=0.0).fit(X)
    total = model.lower_bound_ * len(X)
    assert total == pytest.approx(expected["loglik_observed"], rel=1e-9)
    covariance = np.array(expected["sigma_ML_divisor_n"])
    scale = np.sqrt(np.diag(covariance))
    assert_within(model.means_[0] / scale, np.array(expected["mu"]) / scale, 1e-6, "means")
    relative = scale[:, None] * scale
    assert_within(model.covariances_[0] / relative, covariance / relative, 1e-6, "covariance")


@pytest.mark.parametrize("name", ["airquality", "missvals", "apple", "mdata"])
def test_published_iterates(name):
    X, expected = published(name), REFERENCE[name]["expected"]
    iterates = expected["loglik_first10_from_availablecase_mean_diag_var"]
    model = fusem.GaussianMixture(
        1,
        weights_init=[1.0],
        means_init=np.nanmean(X, axis=0)[None],
        precisions_init=np.diag(1.0 / np.nanvar(X, axis=0))[None],
        max_iter=11,
        tol=0.0,
        reg_covar=0.0,
    )
    fit_quietly(model, X)
    total = np.array(model.lower_bounds_[1:]) * len(X)  # the first is that of the start
    assert_within(total, iterates, 1e-9, "log-likelihoods")


def test_restarts_leave_the_saddle():
    X, expected = published("murray1977"), REFERENCE["murray1977"]["expected"]
    on_saddle = {
        "weights_init": [1.0],
        "means_init": [[0.0, 0.0]],
        "precisions_init": np.eye(2)[None] / 2.5,
    }
    options = {"tol": 1e-12, "max_iter": 10_000, "reg_covar": 0.0}
    saddle = fusem.GaussianMixture(1, **on_saddle, **options).fit(X)
    assert saddle.lower_bound_ * 12 == pytest.approx(expected["saddle"]["ll"], abs=1e-9)
    best = fusem.GaussianMixture(1, n_init=3, **options).fit(X)
    assert best.lower_bound_ * 12 == pytest.approx(expected["global_maxima"][0]["ll"], abs=1e-8)
    correlation = best.covariances_[0, 0, 1] / best.covariances_[0, 0, 0]
    assert abs(correlation) == pytest.approx(0.5, abs=1e-4)


def test_a_monotone_pattern_is_a_chain_of_regressions():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([1.0, -2.0, 3.0], [[2, 1, 0.5], [1, 3, 1], [0.5, 1, 1]], size=400)
    X[300:, 1] = X[200:, 2] = np.nan
    model = fusem.GaussianMixture(1, tol=1e-15, max_iter=10_000, reg_covar=0.0).fit(X)
    means, covariance = np.array([X[:, 0].mean()]), np.array([[X[:, 0].var()]])
    for j, n in (
        (1, 300),
        (2, 200),
    ):  # regress column j on those before it, on the rows that have it
        before = np.column_stack([np.ones(n), X[:n, :j]])
        slopes, *_ = np.linalg.lstsq(before, X[:n, j], rcond=None)
        rest = (X[:n, j] - before @ slopes).var()
        across = slopes[1:] @ covariance
        corner = rest + across @ slopes[1:]
        means = np.append(means, slopes[0] + slopes[1:] @ means)
        covariance = np.block(
            [[covariance, across[:, None]], [across[None, :], np.array([[corner]])]]
        )
    assert_within(model.means_[0], means, 1e-6, "means")
    assert_within(model.covariances_[0], covariance, 1e-6, "covariance")


def test_no_other_parameters_are_more_likely():
    """At the end of EM the gradient of the observed log-likelihood, taken numerically, is zero."""
    rng = np.random.default_rng(3)
    X = np.r_[rng.normal(size=(40, 2)) @ [[1, 0.6], [0, 1]], rng.normal(size=(40, 2)) + 4.0]
    X = with_holes(X, 0.25)
    X = X[~np.isnan(X).all(axis=1)]
    model = fusem.GaussianMixture(2, tol=1e-15, max_iter=20_000, reg_covar=0.0, random_state=0)
    model.fit(X)

    def minus_likelihood(theta):
        total, logits = np.zeros(len(X)), np.array([theta[0], 0.0])
        weights = np.exp(logits) / np.exp(logits).sum()
        for k in range(2):
            mean, entries = theta[1 + 5 * k : 3 + 5 * k], theta[3 + 5 * k : 6 + 5 * k]
            factor = np.array([[np.exp(entries[0]), 0.0], [entries[1], np.exp(entries[2])]])
            covariance = factor @ factor.T
            for known in ([0, 1], [0], [1]):
                rows = (~np.isnan(X) == np.isin([0, 1], known)).all(axis=1)
                density = multivariate_normal(mean[known], covariance[np.ix_(known, known)])
                total[rows] += weights[k] * density.pdf(X[np.ix_(rows, known)])
        return -np.log(total).sum()

    theta = [np.log(model.weights_[0] / model.weights_[1])]
    for mean, covariance in zip(model.means_, model.covariances_, strict=True):
        factor = np.linalg.cholesky(covariance)
        theta += [*mean, np.log(factor[0, 0]), factor[1, 0], np.log(factor[1, 1])]
    found = optimize.minimize(minus_likelihood, theta, method="BFGS")
    assert -found.fun == pytest.approx(model.lower_bound_ * len(X), abs=1e-6)
    assert np.abs(optimize.approx_fprime(np.array(theta), minus_likelihood, 1e-6)).max() < 1e-3


# ---- bad input and warnings ----


@by_type
def test_a_column_without_any_value_is_named(case):
    X = case.data(200)
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"no observed value in column 2.*Drop the column"):
        fusem.GaussianMixture(2, covariance_type=case.covariance_type).fit(X)
    X[5, 2] = 1.0
    weights = np.ones(len(X))
    weights[5] = 0.0
    with pytest.raises(ValueError, match=r"no observed value in column 2"):
        fusem.GaussianMixture(2).fit(X, sample_weight=weights)


def test_what_is_not_identified_is_said():
    X = CASES[0].data(400)
    X[:200, 1] = X[200:, 3] = np.nan
    with pytest.warns(
        fusem.MissingValuesWarning, match="never have values in the same row: 1 and 3"
    ):
        fusem.GaussianMixture(1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", fusem.MissingValuesWarning)
        fusem.GaussianMixture(1, covariance_type="diag").fit(X)
    X[7] = np.nan
    with pytest.warns(fusem.MissingValuesWarning, match="1 of 400 rows have no value at all"):
        fusem.GaussianMixture(1, covariance_type="diag").fit(X)


def test_more_components_than_rows_with_values():
    X = np.full((20, 3), np.nan)
    X[:4] = np.eye(4, 3)
    message = r"n_components = 5, n_samples = 4 \(20 rows, of which 16 have no value at all\)"
    with pytest.raises(ValueError, match=message):
        fusem.GaussianMixture(5).fit(X)


def test_infinity_is_an_error_beside_missing_values():
    X = with_holes(CASES[0].data(300))
    X[211, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*row 211, column 1"):
        fusem.GaussianMixture(2).fit(X)
    model = fusem.GaussianMixture(2, random_state=0).fit(X[:200])
    for method in ("predict", "score_samples", "statistics", "impute"):
        with pytest.raises(ValueError, match=r"row 211, column 1"):
            getattr(model, method)(X)


def test_integers_with_none_are_rows_with_holes():
    rows = [[1, 2], [None, 4], [3, 1], [2, None], [5, 6], [4, 4]]
    model = fusem.GaussianMixture(1, reg_covar=1e-3).fit(np.array(rows, dtype=object))
    assert np.isfinite(model.means_).all()


@by_dtype
def test_an_infinity_of_weight_zero_is_named(dtype):
    X = CASES[0].data(300, dtype=dtype)
    X[7, 1] = np.inf
    w = np.ones(300)
    w[7] = 0.0
    with pytest.raises(ValueError, match=r"infinity.*row 7, column 1"):
        fusem.GaussianMixture(2, random_state=0).fit(X, sample_weight=w)


@by_type
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_regularisation_is_added_once(case, rate):
    """Whatever the share of missing values: a column of one value gets the variance reg_covar."""
    X = case.data(3000, n_features=3)
    X[:, 1] = 7.0
    X[np.random.default_rng(0).random(len(X)) < rate, 1] = np.nan
    options = {"covariance_type": case.covariance_type, "tol": 1e-14, "max_iter": 20_000}
    model = fusem.GaussianMixture(1, reg_covar=0.01, **options).fit(X)
    if case.covariance_type == "spherical":
        rest = np.nansum((X - model.means_[0]) ** 2, axis=0) / (~np.isnan(X)).sum(axis=0)
        share = (~np.isnan(X)).mean(axis=0)
        expected = share @ rest / share.sum() + 0.01
        assert model.covariances_[0] == pytest.approx(expected, rel=1e-6)
    else:
        variance = {
            "full": lambda c: c[0, 1, 1],
            "tied": lambda c: c[1, 1],
            "diag": lambda c: c[0, 1],
        }
        assert variance[case.covariance_type](model.covariances_) == pytest.approx(0.01, rel=1e-4)


def test_rows_without_any_value_are_no_rows_in_warnings():
    rng = np.random.default_rng(0)
    X = np.full((2000, 2), np.nan)
    X[5:8] = rng.normal(size=(3, 2)) * [[1.0], [2.0], [30.0]]
    with pytest.warns(fusem.FewRowsWarning, match=r"^3 rows with any value \(of 2000\) for 2 comp"):
        fusem.GaussianMixture(2, random_state=0).fit(X)


def test_a_start_finds_the_few_rows_that_have_values():
    X = np.full((120_000, 2), np.nan)
    some = np.random.default_rng(0).choice(len(X), 80, replace=False)
    X[some] = np.random.default_rng(1).normal(size=(80, 2))
    for K in (1, 3):
        expected = fusem.GaussianMixture(K, random_state=0, max_iter=200).fit(X[np.sort(some)])
        model = fusem.GaussianMixture(K, random_state=0, max_iter=200).fit(X)
        assert model.lower_bound_ == pytest.approx(expected.lower_bound_, abs=0.05)


def test_hardly_any_value_of_a_column_is_said():
    X = CASES[0].data(200)
    X[3:, 2] = np.nan
    with pytest.warns(fusem.FewRowsWarning, match=r"Column 2 has hardly any value \(3\)"):
        fusem.GaussianMixture(5, random_state=0).fit(X)


def blind_component(n=300, values=0):
    """Two clusters far apart; the second has so many values in column 1, the first all."""
    X = np.random.default_rng(0).normal(size=(2 * n, 3))
    X[n:] += 12.0
    X[n + values :, 1] = np.nan
    return X


@by_type
@pytest.mark.parametrize("values", [0, 1, 2])
def test_a_component_without_values_in_a_column_is_named(case, values):
    X = blind_component(values=values)
    model = fusem.GaussianMixture(2, covariance_type=case.covariance_type, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    said = [str(w.message) for w in caught if w.category is fusem.FewRowsWarning]
    if values == 2:
        assert said == []
        return
    (text,) = said
    k = int(model.predict(X[-1:])[0])
    found = re.search(r"column: component (\d) in column (\d) \(([^)]*)\)\. ", text)
    assert (int(found[1]), int(found[2])) == (k, 1)
    assert float(found[3]) == pytest.approx(values, abs=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_support_is_counted_as_by_hand(weighted, tmp_path):
    """Whatever the source, chunks and threads; where all is well the rows are not read to the end."""
    X = blind_component(n=40_000, values=1)
    w = np.random.default_rng(1).uniform(0.5, 2.0, len(X)) if weighted else None
    start = {"weights_init": [0.5, 0.5], "means_init": [[0.0] * 3, [12.0] * 3]}
    start["precisions_init"] = np.tile(np.eye(3), (2, 1, 1))
    expected = 1.0 if w is None else w[40_000] / w.mean()
    for n_jobs, source in ((1, X), (2, np.array_split(X, 7)), (2, X.astype(np.float32))):
        model = fusem.GaussianMixture(2, n_jobs=n_jobs, max_iter=3, **start)
        with pytest.warns(fusem.FewRowsWarning) as caught:
            model.fit(source, sample_weight=w)
        assert f"component 1 in column 1 ({expected:.2g})" in str(caught[0].message)


def test_support_stops_where_there_is_enough():
    X = with_holes(CASES[0].data(200_000), 0.5)
    given = []

    def chunks():
        given.append(0)
        for chunk in np.array_split(X, 100):
            given[-1] += 1
            yield chunk

    model = fusem.GaussianMixture(3, random_state=0, tol=1.0).fit(chunks)
    assert given[-1] < 50
    assert given.count(100) >= model.n_iter_


def test_many_columns_that_are_never_together_are_named_at_once():
    X = np.full((400, 200), np.nan)
    X[np.arange(400), np.arange(400) % 200] = np.random.default_rng(0).normal(size=400)
    with pytest.warns(fusem.MissingValuesWarning, match=r"0 and 1, .*, … \(19900 pairs in all\)"):
        fusem.GaussianMixture(1, max_iter=2).fit(X)


def test_nothing_to_score():
    model = fusem.GaussianMixture(2, random_state=0).fit(CASES[0].data(100))
    with pytest.raises(ValueError, match="No row has a value"):
        model.score(np.full((3, 4), np.nan))


@by_dtype
def test_float32_log_likelihoods_lose_no_more_than_rounding(dtype):
    """Constants of log-densities are added in float64: no row of a pattern lacks the same digits."""
    for case in CASES:
        X = with_holes(case.data(20_000, n_features=2, dtype=np.float32), 0.4)
        start = case.start(n_features=2)
        model = stepped(case, X.astype(dtype), steps=1, start=start)
        exact = stepped(case, X.astype(np.float64), steps=1, start=start)
        assert model.lower_bound_ == pytest.approx(exact.lower_bound_, rel=2.5e-8)


def test_a_basis_of_columns_in_tiny_units():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    X = np.column_stack([x, x + 1e-3 * rng.normal(size=500), rng.normal(size=500)])
    X[::3, 1] = X[1::5, 0] = np.nan
    plain = fusem.GaussianMixture(1, reg_covar=0.0, max_iter=30, tol=0.0)
    small = fusem.GaussianMixture(1, reg_covar=0.0, max_iter=30, tol=0.0)
    fit_quietly(plain, X), fit_quietly(small, X * 1e-150)
    assert_within(small.means_ * 1e150, plain.means_, 1e-9, "means")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_densities_are_taken_one_way(dtype):
    """With holes before or not, with weights of 1 or without: which thread sees a hole first is chance."""
    X = np.random.default_rng(0).normal(size=(9000, 4)).astype(dtype)
    model = fusem.GaussianMixture(2, max_iter=2, tol=1.0).fit(X[:500])
    empty = np.full((1, 4), np.nan, dtype=dtype)
    for n in range(2000, 9000, 500):
        expected = model._totals(X[:n], None).log_likelihood
        assert model._totals(X[:n], np.ones(n)).log_likelihood == expected
        assert model._totals(np.vstack([X[:n], empty]), None).log_likelihood == expected
    values = np.random.default_rng(1).normal(size=3000)
    for n in range(1, 3000, 7):  # zeros after the last change nothing
        one, other = (_by_leaf(np.append(values[:n], np.zeros(more))) for more in (0, 1500))
        assert one == other[: len(one)]
