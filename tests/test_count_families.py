"""Families of counts and codes: statistic and M-step equal the twin's, up to the edges of what is legal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

from fusem.data import open_rows
from fusem.em.workers import Workers
from fusem.families import categorical, multinomial, poisson
from fusem.families.registry import FAMILIES
from fusem.kernels.mixture_sweep import HEADER
from fusem.mixture.count_fitting import Values
from fusem.mixture.engine import Engine, Model
from tests.cases import COUNT_CASES, DTYPES
from tests.reference import TWINS, CountParameters

MODULES = {"poisson": poisson, "categorical": categorical, "multinomial": multinomial}
# of statistics against those of the same numbers in float64, relative to 1 + their size
BOUND = {np.float64: 1e-12, np.float32: 1e-5}
by_case = pytest.mark.parametrize("case", COUNT_CASES, ids=lambda case: case.family)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def family_of(name, values):
    return categorical.of(values.shape[2]) if name == "categorical" else MODULES[name]


def statistic(name, params, X, missing=False):
    """The statistic of rows at these parameters, and the family."""
    family = family_of(name, params.values)
    engine = Engine(family, len(params.weights), X.shape[1], X.dtype)
    model = Model(params.weights, MODULES[name].Params(params.values))
    workers = Workers(1)
    return engine.statistic(model, open_rows(X), None, workers, missing=missing), family


def assert_step_equals_twin(name, params, X, missing=False) -> None:
    """Assert that log-likelihood, counts and next parameters are the twin's."""
    bound = BOUND[X.dtype.type]
    sums, family = statistic(name, params, X, missing)
    before, after = TWINS[name].em_step(X, None, params)
    assert sums[0] / sums[1] == pytest.approx(before, rel=bound, abs=bound)
    counts = family.stats_of(sums[HEADER:], len(params.weights), X.shape[1]).counts
    np.testing.assert_allclose(counts / sums[1], after.weights, rtol=bound, atol=bound)
    new = family.maximize(MODULES[name].Params(params.values), sums[HEADER:], None)[0]
    np.testing.assert_allclose(new, after.values, rtol=10 * bound, atol=bound)


@by_case
@by_dtype
@pytest.mark.parametrize(("d", "K"), [(1, 2), (4, 1), (7, 5), (9, 3)])
def test_step_equals_the_twin(case, dtype, d, K):
    X = case.data(1500, K, d, dtype)
    assert_step_equals_twin(case.family, case.start(K, d), X)


@pytest.mark.parametrize("case", [c for c in COUNT_CASES if c.missing], ids=lambda c: c.family)
@by_dtype
@pytest.mark.parametrize(("d", "K"), [(1, 2), (7, 3)])
def test_step_equals_the_twin_with_missing_values(case, dtype, d, K):
    X = case.data(1500, K, d, dtype, missing=0.3)
    X[7] = np.nan
    assert_step_equals_twin(case.family, case.start(K, d), X, missing=True)


@by_dtype
# those of fewer than seven are compared, up to 15 or 31 are picked out of registers
@pytest.mark.parametrize("n_codes", [1, 2, 6, 7, 15, 16, 31, 32, 300])
def test_any_number_of_codes(dtype, n_codes):
    rng = np.random.default_rng(n_codes)
    params = CountParameters(np.array([0.4, 0.6]), rng.dirichlet(np.ones(n_codes), size=(2, 3)))
    X = rng.integers(n_codes, size=(1100, 3)).astype(dtype)
    assert_step_equals_twin("categorical", params, X)


def test_number_of_codes_compiles_nothing(monkeypatch):
    test_any_number_of_codes(np.float64, 3)
    asked = []
    monkeypatch.setattr(categorical.kernels.sweep[np.float64], "compile", asked.append)
    test_any_number_of_codes(np.float64, 40)
    assert asked == []


@by_dtype
def test_large_counts(dtype):
    """Beyond the table of factorials, next to counts inside it."""
    rng = np.random.default_rng(0)
    rates = np.array([[900.0, 5.0, 1e6], [1100.0, 2.0, 1.02e6]])
    X = rng.poisson(rates[rng.integers(2, size=1500)]).astype(dtype)
    X[0] = 0.0, 1023.0, 1024.0
    params = CountParameters(np.array([0.5, 0.5]), rates)
    assert_step_equals_twin("poisson", params, X)
    chances, X[1:, 2] = rates / rates.sum(axis=1, keepdims=True), X[1:, 2] % 4096.0
    assert_step_equals_twin("multinomial", CountParameters(params.weights, chances), X)


@by_case
@by_dtype
def test_what_cannot_be_has_no_share(case, dtype):
    """Component 1 cannot yield anything but 0, or code 0, in column 0."""
    start = case.start()
    values = start.values.copy()
    if case.family == "categorical":
        values[1, 0] = np.eye(values.shape[2])[0]
    else:
        values[1, 0] = 0.0
    if case.family == "multinomial":
        values[1] /= values[1].sum()
    X = case.data(1100, dtype=dtype)
    X[:400, 0] = 0.0
    assert_step_equals_twin(case.family, start._replace(values=values), X)


@by_case
@by_dtype
def test_a_row_that_nothing_explains_has_no_density(case, dtype):
    start = case.start()
    values = np.zeros_like(start.values)
    values[:, 0] = 1.0
    if case.family == "categorical":
        values[...] = np.eye(values.shape[2])[0]
    X = np.zeros((3, case.n_features), dtype=dtype)
    X[1, 1] = 1.0
    sums, _ = statistic(case.family, start._replace(values=values), X)
    assert not np.isfinite(sums[0])
    sums, _ = statistic(case.family, start._replace(values=values), X[::2])
    assert np.isfinite(sums).all()


def test_columns_of_zeros_are_legal():
    X = np.zeros((50, 2))
    X[:, 1] = np.arange(50) % 3
    params = CountParameters(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [0.0, 2.0]]))
    sums, family = statistic("poisson", params, X)
    assert np.isfinite(sums).all()
    new = family.maximize(poisson.Params(params.values), sums[HEADER:])
    np.testing.assert_array_equal(new.rates[:, 0], 0.0)


def test_a_component_without_rows_keeps_its_parameters():
    for case in COUNT_CASES:
        start, X = case.start(), case.data(200)
        weights = np.array([0.0, 0.5, 0.5])
        sums, family = statistic(case.family, start._replace(weights=weights), X)
        new = family.maximize(MODULES[case.family].Params(start.values), sums[HEADER:])[0]
        np.testing.assert_array_equal(new[0], start.values[0])


def test_free_parameters():
    assert poisson.n_parameters(3, 4) == 12
    assert multinomial.n_parameters(3, 4) == 9
    assert categorical.of(5).n_parameters(3, 4) == 3 * 4 * 4
    assert categorical.of([2, 3, 4, 5]).n_parameters(3, 4) == 3 * (1 + 2 + 3 + 4)


@by_case
def test_samples_have_the_moments_of_their_component(case):
    start = case.start()
    family, params = family_of(case.family, start.values), MODULES[case.family].Params(start.values)
    X = family.sample(params, 1, 20_000, np.random.RandomState(0))
    expected = start.values[1]
    if case.family == "categorical":
        expected = expected @ np.arange(expected.shape[1])
    assert X.shape == (20_000, case.n_features)
    np.testing.assert_allclose(X.mean(axis=0), expected, atol=0.1)


def test_logarithms_of_factorials_beyond_the_table():
    """One component of rate 1: log p = −1 − log x! on both sides of the table's end."""
    x = np.array([0.0, 1.0, 170.0, 1022.0, 1023.0, 1024.0, 1025.0, 5000.0, 1e9, 2.0**53])
    params = CountParameters(np.ones(1), np.ones((1, 1)))
    for value in x:
        sums, _ = statistic("poisson", params, np.array([[value]]))
        assert sums[0] == pytest.approx(-1.0 - gammaln(value + 1.0), rel=1e-15)


@by_dtype
@pytest.mark.parametrize("row", [0, 7, 255, 16_383, 16_384, 20_000])
def test_values_are_looked_at_wherever_they_stand(dtype, row):
    X = np.random.default_rng(0).integers(0, 9, size=(20_001, 3)).astype(dtype)
    X[row, 1] = 12.0
    workers = Workers(2)
    values = Values(open_rows(X), "count", None, one_by_one=True)
    np.testing.assert_array_equal(values.largest_codes(workers), [8, 12, 8])
    X[row, 1], X[1:, 2] = np.nan, np.nan
    np.testing.assert_array_equal(values.largest_codes(workers)[:2], [8, 8])
    for wrong in (-1.0, 0.5, -np.inf, np.inf, 2.0**60):
        X[row, 1] = wrong
        with pytest.raises(ValueError, match=f"row {row}, column 1"):
            values.largest_codes(workers)


def test_operands_have_names_of_their_own():
    """Of all families: numba takes records of one name with the same fields for one type."""
    operands = [
        {name for name in vars(family) if name.endswith("Operands")} for family in FAMILIES.values()
    ]
    assert all(operands)
    assert len(set.union(*operands)) == sum(map(len, operands))


def test_the_object_has_what_the_module_has():
    """`of` gives a family with all that an engine, or another latent structure, asks a module for."""
    family = categorical.of(5)
    defined = {
        name
        for name, part in vars(poisson).items()
        if getattr(part, "__module__", None) == poisson.__name__ and name in vars(multinomial)
    } - {"Stats", "log_density_missing", "accumulate_missing"}  # which are found in its kernels
    assert {"log_density", "accumulate", "maximize", "estimate", "sample"} <= defined
    assert [name for name in sorted(defined) if not hasattr(family, name)] == []
