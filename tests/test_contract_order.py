"""The same rows give the same bits: whatever the chunks, the source and the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusem
from tests.cases import CASES, DTYPES
from tests.comparison import assert_bit_identical, assert_same_model
from tests.models import fit_quietly, stepped
from tests.sources import SOURCES, UNEVEN, cut, generator_function, tables

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
by_rows = pytest.mark.parametrize("n", [40, 1023, 1024, 1025, 5000, 40000])

# Small and rounded rows raise warnings of all kinds; what counts here is bits.
pytestmark = pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")

METHODS = ("score_samples", "predict", "predict_proba", "score")


def assert_same_answers(model, source, expected: dict) -> None:
    for method, answer in expected.items():
        assert_bit_identical(getattr(model, method)(source), answer, method)


def answers(model, X) -> dict:
    return {method: getattr(model, method)(X) for method in METHODS}


@by_type
@by_dtype
@by_rows
def test_sources_give_the_same_bits(case, dtype, n, tmp_path):
    X = case.data(n, dtype=dtype)
    expected = stepped(case, X, reg_covar=1e-3, n_jobs=1)
    said = answers(expected, X)
    for name, source in SOURCES.items():
        rows = source(X, tmp_path)
        model = stepped_from(case, rows, n_jobs=2)
        try:
            assert_same_model(model, expected)
            assert_same_answers(model, rows, said)
        except AssertionError as wrong:
            raise AssertionError(f"{name}: {wrong}") from wrong


def stepped_from(case, rows, steps: int = 3, **options):
    """Fit from any source at the case's usual width."""
    model = fusem.GaussianMixture(
        **case.start_arguments(case.start()),
        max_iter=steps,
        tol=0.0,
        reg_covar=1e-3,
        n_jobs=options["n_jobs"],
    )
    return fit_quietly(model, rows, sample_weight=options.get("sample_weight"))


@by_type
@by_dtype
@by_rows
def test_threads_give_the_same_bits(case, dtype, n):
    X = case.data(n, dtype=dtype)
    expected = stepped_from(case, X, n_jobs=1)
    said = answers(expected, X)
    for n_jobs in (2, 3, -1, None):
        for rows in (X, generator_function(X, [777])):
            model = stepped_from(case, rows, n_jobs=n_jobs)
            assert_same_model(model, expected)
            assert_same_answers(model, rows, said)


@by_type
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_weights_give_the_same_bits(case, dtype):
    X = case.data(5000, dtype=dtype)
    weights = np.random.default_rng(0).exponential(size=len(X))
    expected = stepped_from(case, X, n_jobs=1, sample_weight=weights)
    wide = np.empty((len(X), 2))
    wide[:, 1] = weights
    for given_weights in (weights, wide[:, 1], weights.tolist(), cut(weights, UNEVEN)):
        for rows in (X, cut(X, UNEVEN), generator_function(X, [1000])):
            model = stepped_from(case, rows, n_jobs=3, sample_weight=given_weights)
            assert_same_model(model, expected)


@by_type
@by_dtype
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_tables_give_the_same_bits(case, dtype, tmp_path):
    X = case.data(5000, dtype=dtype)
    expected = stepped_from(case, X, n_jobs=1)
    said = answers(expected, X)
    for name, table in tables(X, tmp_path).items():
        model = stepped_from(case, table, n_jobs=2)
        assert_same_model(model, expected)
        assert_same_answers(model, table, said)
        assert list(model.feature_names_in_) == ["x0", "x1", "x2", "x3"], name


@by_type
@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.float16, bool])
def test_other_dtypes_give_the_bits_of_their_floating_copy(case, kind):
    X = np.rint(4 * case.data(1500))
    X = (X > 0) if kind is bool else np.clip(X, 0 if kind is np.uint16 else -100, 100).astype(kind)
    floating = X.astype(np.float32 if kind is np.float16 else np.float64)
    expected = stepped_from(case, floating, n_jobs=1)
    assert_same_model(stepped_from(case, X, n_jobs=2), expected)
    assert_same_model(stepped_from(case, cut(X, [400]), n_jobs=2), expected)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 2500), min_size=1, max_size=12),
    n_jobs=st.integers(1, 3),
    index=st.integers(0, len(CASES) - 1),
    dtype=st.sampled_from(DTYPES),
)
def test_any_chunks_give_the_same_bits(sizes, n_jobs, index, dtype):
    case = CASES[index]
    X = case.data(4100, dtype=dtype)
    expected = stepped_from(case, X, n_jobs=1)
    model = stepped_from(case, cut(X, sizes), n_jobs=n_jobs)
    assert_same_model(model, expected)
    assert_same_answers(model, cut(X, sizes[::-1]), answers(expected, X))


@by_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("n", [3000, 60_001])
def test_starts_give_the_same_bits(case, init_params, n):
    """Above 50,000 rows the start is drawn by row index, below it reads all rows: both in order."""
    X = case.data(n, n_features=2)
    options = {"random_state": 7, "init_params": init_params, "max_iter": 2, "tol": 0.0}
    options |= {"n_components": 3, "covariance_type": case.covariance_type, "reg_covar": 1e-2}
    expected = fit_quietly(fusem.GaussianMixture(**options, n_jobs=1), X)
    for rows in (np.asfortranarray(X), cut(X, UNEVEN), generator_function(X, [3333])):
        assert_same_model(fit_quietly(fusem.GaussianMixture(**options, n_jobs=2), rows), expected)


@by_type
def test_one_dimension_is_one_column(case):
    x = case.data(3000, n_features=1)[:, 0]
    options = {"n_components": 2, "covariance_type": case.covariance_type, "random_state": 0}
    expected = fusem.GaussianMixture(**options).fit(x[:, None])
    model = fusem.GaussianMixture(**options).fit(x)
    assert_same_model(model, expected)
    assert_same_answers(model, x, answers(expected, x[:, None]))


@by_type
def test_proba_into_array_and_file(case, tmp_path):
    X = case.data(5000)
    model = stepped(case, X)
    expected = model.predict_proba(X)
    out = np.full(expected.shape, np.nan)
    assert model.predict_proba(X, out=out) is out
    assert_bit_identical(out, expected)
    path = tmp_path / "proba.npy"
    model.predict_proba(cut(X, UNEVEN), out=path)
    assert_bit_identical(np.load(path), expected)
    model.predict_proba(X, out=str(path))
    assert_bit_identical(np.load(path), expected)
    with pytest.raises(ValueError, match="out"):
        model.predict_proba(X, out=np.empty((len(X), 2)))
