"""Each warning fires on its case, names the place and a remedy, and is silent on clean data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fusem
from tests.cases import CASES, DTYPES
from tests.models import model_at

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def fit_and_listen(model, X, **fit_options) -> dict[type, str]:
    """Fit, and return the text of every warning by its class; numerical ones fail the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, **fit_options)
    texts = {}
    for warning in caught:
        assert not issubclass(warning.category, RuntimeWarning), warning.message
        texts[warning.category] = str(warning.message)
    assert_finite(model)
    return texts


def assert_finite(model) -> None:
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert np.all(np.isfinite(getattr(model, name))), name
    assert np.isfinite(model.lower_bound_)


def mixture(case, n_components, **options):
    options = {"random_state": 0} | options
    return fusem.GaussianMixture(n_components, covariance_type=case.covariance_type, **options)


def clusters(n=100, d=2):
    """Two clusters, 100 rows each: clean data."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.standard_normal((n, d)), rng.standard_normal((n, d)) + 6.0])


def fusem_warnings(texts) -> list[str]:
    return sorted(kind.__name__ for kind in texts if issubclass(kind, fusem.FusemWarning))


@by_type
@by_dtype
def test_clean_data_warns_of_nothing(case, dtype):
    rows = clusters().astype(dtype)
    assert fit_and_listen(mixture(case, 2), rows) == {}
    assert fit_and_listen(mixture(case, 2, reg_covar=0.0), rows) == {}
    assert fit_and_listen(mixture(case, 2, reg_covar="auto"), rows) == {}
    weights = np.random.default_rng(1).uniform(0.1, 2.0, size=len(rows))
    assert fit_and_listen(mixture(case, 2), rows, sample_weight=weights) == {}


@by_type
def test_clean_data_far_away_and_scaled_warns_of_nothing(case):
    assert fit_and_listen(mixture(case, 2, reg_covar=0.0), clusters() + 1e8) == {}
    assert fit_and_listen(mixture(case, 2, reg_covar=0.0), clusters() * 1e-100) == {}
    assert fit_and_listen(mixture(case, 2), clusters() * 1e100) == {}


@by_type
@pytest.mark.parametrize(
    ("dtype", "apart"),  # at 1e7 float32 rows have no digit left of their own
    [(np.float64, 1e3), (np.float64, 1e5), (np.float64, 1e7), (np.float32, 1e3), (np.float32, 1e5)],
)
def test_clean_clusters_far_apart_warn_of_nothing(case, dtype, apart):
    """However far apart: neither collinear because all lie on one line, nor a falling likelihood."""
    rows = clusters()
    rows[100:] += apart
    start = case.start(2, 2)._replace(means=np.array([[0.0, 0.0], [apart, apart]]))
    assert fit_and_listen(model_at(case, start), rows.astype(dtype)) == {}


@by_type
def test_too_few_iterations(case):
    model = mixture(case, 2, max_iter=1, init_params="random")
    texts = fit_and_listen(model, clusters())
    assert list(texts) == [ConvergenceWarning]
    assert "max_iter" in texts[ConvergenceWarning]
    assert not model.converged_


own_covariance = pytest.mark.parametrize(
    "case", [CASES[0], *CASES[2:]], ids=lambda case: case.covariance_type
)  # tied components share theirs: none collapses alone


@own_covariance
def test_collapsed_component(case):
    """Fifty copies of one row: the component's covariance is nothing but the regularisation."""
    rows = np.concatenate([clusters(), np.full((50, 2), 100.0)])
    model = mixture(case, 3)
    texts = fit_and_listen(model, rows)
    assert fusem_warnings(texts) == ["DegenerateComponentWarning"]
    collapsed = int(model.predict([[100.0, 100.0]])[0])
    text = texts[fusem.DegenerateComponentWarning]
    assert names_exactly(text, "omponent", {collapsed})
    assert remedy_in(text)


@own_covariance
def test_component_with_too_few_rows(case):
    """Three rows far away in four columns: fewer than d + 1."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.standard_normal((200, 4)), 100.0 + rng.standard_normal((3, 4))])
    model = mixture(case, 2)
    texts = fit_and_listen(model, rows)
    assert fusem_warnings(texts) == ["DegenerateComponentWarning"]
    few = int(np.argmin(model.weights_))
    text = texts[fusem.DegenerateComponentWarning]
    assert names_exactly(text, "omponent", {few})
    assert remedy_in(text)


@by_type
def test_as_many_components_as_rows(case):
    rows = clusters(3)[:5]
    texts = fit_and_listen(mixture(case, 5), rows)
    assert fusem.FewRowsWarning in texts
    assert "5" in texts[fusem.FewRowsWarning]
    if case.covariance_type != "tied":
        assert fusem.DegenerateComponentWarning in texts
        assert names_exactly(texts[fusem.DegenerateComponentWarning], "omponent", set(range(5)))


@by_type
def test_fewer_rows_than_columns(case):
    rows = np.random.default_rng(0).standard_normal((6, 10))
    texts = fit_and_listen(mixture(case, 1), rows)
    if case.covariance_type in ("full", "tied"):
        assert texts
        assert fusem_warnings(texts)


@own_covariance
def test_far_too_many_components(case):
    texts = fit_and_listen(mixture(case, 50, max_iter=300), clusters())
    assert "DegenerateComponentWarning" in fusem_warnings(texts)


@by_type
def test_few_rows(case):
    rows = np.random.default_rng(0).standard_normal((12, 2))
    texts = fit_and_listen(mixture(case, 10), rows)
    text = texts[fusem.FewRowsWarning]
    assert "12" in text
    assert "10" in text
    assert remedy_in(text)


@by_type
@by_dtype
def test_empty_component_keeps_its_parameters(case, dtype):
    rows = clusters().astype(dtype)
    start = case.start(3, 2)
    start.means[:] = [[0.0, 0.0], [6.0, 6.0], [1e5, 1e5]]
    model = model_at(case, start)
    texts = fit_and_listen(model, rows)
    assert fusem_warnings(texts) == ["EmptyComponentWarning"]
    text = texts[fusem.EmptyComponentWarning]
    assert names_exactly(text, "omponent", {2})
    assert remedy_in(text)
    np.testing.assert_array_equal(model.means_[2], [1e5, 1e5])
    assert model.weights_[2] < 1e-12
    if case.covariance_type != "tied":
        np.testing.assert_allclose(model.covariances_[2], start.covariances[2], rtol=1e-12)


@by_type
def test_component_of_weight_zero(case):
    start = case.start(2, 2)
    start = start._replace(weights=np.array([1.0, 0.0]))
    model = model_at(case, start)
    texts = fit_and_listen(model, clusters())
    assert fusem_warnings(texts) == ["EmptyComponentWarning"]
    assert names_exactly(texts[fusem.EmptyComponentWarning], "omponent", {1})
    np.testing.assert_array_equal(model.weights_, [1.0, 0.0])
    np.testing.assert_array_equal(model.means_[1], start.means[1])


@by_type
def test_copies_of_one_row(case):
    rows = np.tile([1.0, 2.0], (100, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = mixture(case, 2).fit(rows)
    assert_finite(model)
    kinds = {warning.category for warning in caught}
    assert fusem.ConstantColumnWarning in kinds
    assert kinds & {fusem.EmptyComponentWarning, fusem.DegenerateComponentWarning}
    assert np.all(np.abs(model.means_ - [1.0, 2.0]) < 1e-6)


@by_type
def test_more_components_than_distinct_rows(case):
    rows = np.repeat([[1.0, 2.0], [3.0, 5.0]], 50, axis=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = mixture(case, 5).fit(rows)
    assert_finite(model)
    assert any(issubclass(warning.category, fusem.FusemWarning) for warning in caught)
    assert not any(issubclass(warning.category, RuntimeWarning) for warning in caught)
    # Whatever the components do, every mean lies between the two rows that there are.
    assert np.all(model.means_ >= np.array([1.0, 2.0]) - 1e-6)
    assert np.all(model.means_ <= np.array([3.0, 5.0]) + 1e-6)


@by_type
def test_constant_column(case):
    rows = clusters(d=3)
    rows[:, 1] = 7.0
    texts = fit_and_listen(mixture(case, 2), rows)
    text = texts[fusem.ConstantColumnWarning]
    assert names_exactly(text, "olumn", {1})
    assert remedy_in(text)


def test_constant_column_of_a_table_is_named():
    pd = pytest.importorskip("pandas")
    rows = clusters(d=3)
    rows[:, 1] = 7.0
    table = pd.DataFrame(rows, columns=["height", "site", "age"])
    texts = fit_and_listen(mixture(CASES[0], 2), table)
    text = texts[fusem.ConstantColumnWarning]
    assert "site" in text
    assert "height" not in text


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.covariance_type)
def test_collinear_columns(case):
    rows = clusters(d=3)
    rows[:, 2] = rows[:, 0] - 2.0 * rows[:, 1]
    texts = fit_and_listen(mixture(case, 1), rows)
    text = texts[fusem.ConstantColumnWarning]
    assert "ollinear" in text or "combination" in text
    assert remedy_in(text)


@by_type
def test_regularisation_that_is_not_small(case):
    rows = clusters(d=3)
    rows[:, 1] *= 1e-3
    if case.covariance_type == "spherical":
        rows *= 1e-3
    texts = fit_and_listen(mixture(case, 2), rows)
    text = texts[fusem.RegularizationWarning]
    if case.covariance_type != "spherical":
        assert names_exactly(text, "olumn", {1})
    assert "auto" in text
    assert fit_and_listen(mixture(case, 2, reg_covar="auto"), rows).keys() <= {ConvergenceWarning}


@by_type
def test_regularisation_is_small_below_a_thousandth(case):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 2))
    rows /= rows.std(axis=0)
    for reg_covar, fires in ((0.9e-3, False), (1.2e-3, True)):
        texts = fit_and_listen(mixture(case, 1, reg_covar=reg_covar), rows)
        assert (fusem.RegularizationWarning in texts) == fires


@by_type
def test_fall_is_reported_and_never_convergence(case):
    """Large regularisation makes the likelihood fall: a step down is not a step to the goal."""
    rng = np.random.default_rng(2)
    rows = np.concatenate(
        [0.1 * rng.standard_normal((300, 2)), 0.1 * rng.standard_normal((9, 2)) + 1]
    )
    start = case.start(2, 2)
    start.means[:] = [[0.0, 0.0], [1.0, 1.0]]
    start = start._replace(covariances=start.covariances * 1e-2)
    model = model_at(case, start, reg_covar=1.0, tol=100.0, max_iter=2)
    texts = fit_and_listen(model, rows)
    assert np.min(np.diff(model.lower_bounds_)) < -1e-3
    assert fusem.LikelihoodDecreaseWarning in texts
    assert "reg_covar" in texts[fusem.LikelihoodDecreaseWarning]


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.covariance_type)
@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("reg_covar", [1e-6, "auto"])
def test_nearly_collinear_columns_are_named(case, n_components, reg_covar):
    """What is left of a combination is regularisation: the columns are named, no component is blamed."""
    rng = np.random.default_rng(1)
    rows = clusters(d=4)[: 200 if n_components == 2 else 100]
    rows[:, 3] = rows[:, 0] - 2.0 * rows[:, 1] + 5e-4 * rng.standard_normal(len(rows))
    texts = fit_and_listen(mixture(case, n_components, reg_covar=reg_covar), rows)
    kinds = set(fusem_warnings(texts)) - {"LikelihoodDecreaseWarning"}
    assert kinds == {"ConstantColumnWarning"}
    text = texts[fusem.ConstantColumnWarning]
    assert text.startswith("Columns 0, 1, 3 are nearly collinear")
    assert remedy_in(text)


def test_columns_that_are_collinear_in_one_component_are_named_there():
    rng = np.random.default_rng(0)
    rows = clusters(d=3)
    rows[100:, 2] = rows[100:, 0] + 3e-4 * rng.standard_normal(100)
    model = mixture(CASES[0], 2)
    texts = fit_and_listen(model, rows)
    component = int(model.predict(rows[-1:])[0])
    text = texts[fusem.DegenerateComponentWarning]
    expected = f"Component {component} has collapsed to the regularisation floor: "
    assert text.startswith(expected + "columns 0, 2 are nearly collinear.")


def test_columns_that_do_not_vary_in_a_component_are_named():
    pd = pytest.importorskip("pandas")
    rows = clusters(d=3)
    rows[100:, 1] = 4.0
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    for case in (CASES[0], CASES[2]):
        model = mixture(case, 2)
        text = fit_and_listen(model, table)[fusem.DegenerateComponentWarning]
        component = int(model.predict(table[-1:])[0])
        assert text.startswith(f"Component {component} has collapsed")
        assert "floor: column 'b' hardly varies." in text


@pytest.mark.parametrize("reg_covar", [1e-6, "auto"])
@by_type
def test_too_few_rows_for_so_many_columns(case, reg_covar):
    """Dropping a column or a component would not help, and nothing says so."""
    rows = np.random.default_rng(0).standard_normal((6, 10))
    texts = fit_and_listen(mixture(case, 1, reg_covar=reg_covar), rows)
    texts.pop(fusem.LikelihoodDecreaseWarning, None)
    (text,) = texts.values()
    if case.covariance_type in ("full", "tied"):
        assert text.startswith(
            "6 rows for 10 columns: a covariance matrix of them takes at least 11"
        )
        assert "covariance_type='diag', fewer columns, more rows" in text
    else:
        assert text.startswith("Component 0 holds fewer than 11 effective rows (6)")
    assert "fewer components" not in text
    assert "collinear" not in text


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.covariance_type)
def test_too_few_rows_without_regularisation_are_an_error_that_says_so(case):
    rows = np.random.default_rng(0).standard_normal((6, 10))
    with pytest.raises(ValueError, match=r"ill-defined.* 6 rows for 10 columns: .* fewer columns"):
        mixture(case, 1, reg_covar=0.0).fit(rows)


def names_exactly(text: str, kind: str, expected: set[int]) -> bool:
    """Tell whether the first list of components or columns in a message is the expected one."""
    return leading_numbers(text[text.index(kind) :]) == expected


def leading_numbers(text: str) -> set[int]:
    """Return the numbers of the first list in a text: '…s 1, 2 and 4 hold 3 rows' has 1, 2, 4."""
    found: set[int] = set()
    for word in text.replace(",", " ").replace("(", " ").replace(":", " ").split()[1:]:
        if word.strip(".;)").isdigit():
            found.add(int(word.strip(".;)")))
        elif found and word not in {"and", "…", "..."}:
            break
    return found


def remedy_in(text: str) -> bool:
    """Tell whether a message says what to do: a parameter to change, or what to drop."""
    words = ("n_components", "reg_covar", "drop", "remove", "init", "more rows", "covariance_type")
    return any(word in text.lower() for word in words)


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        ("Components 1, 2 and 4 hold 3 rows.", {1, 2, 4}, True),
        ("Component 3 collapsed: lower n_components to 4.", {3}, True),
        ("Components 1, 2 hold 3 rows.", {1}, False),
        ("Component 1 holds 3 rows.", {1, 2}, False),
    ],
)
def test_names_exactly_reads_the_list(text, expected, right):
    assert names_exactly(text, "omponent", expected) is right


def test_remedy_is_looked_for():
    assert remedy_in("Lower n_components.")
    assert not remedy_in("Component 1 is bad.")
