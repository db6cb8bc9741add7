"""Bad input is refused with an error that names the place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

import fusem
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_model
from tests.models import fit_quietly, stepped
from tests.sources import cut, generator_function

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)

X = CASES[0].data(200, n_components=2, n_features=3)


def spoilt(value, row=117, column=2, dtype=np.float64) -> np.ndarray:
    rows = X.astype(dtype)
    rows[row, column] = value
    return rows


def mixture(case=CASES[0], n_components=2, **options):
    options = {"random_state": 0} | options
    return fusem.GaussianMixture(n_components, covariance_type=case.covariance_type, **options)


def as_sources(rows: np.ndarray) -> list:
    return [rows, np.asfortranarray(rows), cut(rows, [64]), generator_function(rows, [30])]


@by_type
@by_dtype
@pytest.mark.parametrize(("value", "name"), [(np.inf, "infinity"), (-np.inf, "infinity")])
def test_bad_value_is_named_with_its_row_and_column(case, dtype, value, name):
    for rows in as_sources(spoilt(value, dtype=dtype)):
        with pytest.raises(ValueError, match=rf"(?i){name}.*\brow 117\b.*\bcolumn 2\b"):
            mixture(case).fit(rows)


@by_type
def test_first_of_several_bad_values_is_named(case):
    rows = spoilt(np.inf, row=150, column=0)
    rows[21, 1] = np.inf
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"\brow 21\b.*\bcolumn 1\b"):
            mixture(case, n_jobs=n_jobs).fit(rows)


def test_bad_value_in_a_large_source_is_named_at_its_global_row():
    rows = np.tile(X, (400, 1))
    rows[70_003, 1] = np.inf
    for source in (rows, cut(rows, [9999])):
        with pytest.raises(ValueError, match=r"\brow 70003\b.*\bcolumn 1\b"):
            mixture().fit(source)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "score_samples", "score", "bic", "icl", "statistics"]
)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_bad_value_is_named_after_the_fit_too(method, value):
    model = mixture().fit(X)
    for rows in as_sources(spoilt(value)):
        with pytest.raises(ValueError, match=r"\brow 117\b.*\bcolumn 2\b"):
            getattr(model, method)(rows)


def test_bad_value_in_a_table_is_named_with_its_column():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(spoilt(np.inf), columns=["height", "weight", "age"])
    with pytest.raises(ValueError, match=r"infinity.*\brow 117\b.*\bage\b"):
        mixture().fit(table)


def test_null_in_a_table_is_missing():
    pa = pytest.importorskip("pyarrow")
    age = X[:, 2].tolist()
    age[117] = None
    table = pa.table({"height": X[:, 0], "weight": X[:, 1], "age": age})
    assert_same_model(mixture().fit(table), mixture().fit(spoilt(np.nan)))


def test_masked_cell_is_missing():
    mask = np.zeros(X.shape, dtype=bool)
    mask[117, 2] = True
    assert_same_model(
        mixture().fit(np.ma.masked_array(X, mask=mask)), mixture().fit(spoilt(np.nan))
    )


def test_masked_array_without_masked_cells_is_an_array():
    model = mixture().fit(np.ma.masked_array(X, mask=np.zeros(X.shape, dtype=bool)))
    np.testing.assert_array_equal(model.means_, mixture().fit(X).means_)


@by_type
@pytest.mark.parametrize("value", [1e160, -1e300, 1.7e308])
def test_value_whose_square_overflows_is_named(case, value):
    for rows in as_sources(spoilt(value)):
        with pytest.raises(ValueError, match=r"(?i)large.*\brow 117\b.*\bcolumn 2\b"):
            mixture(case).fit(rows)


@by_type
def test_rows_whose_squares_overflow_are_named(case):
    with pytest.raises(ValueError, match=r"(?i)large.*\brow 0\b.*\bcolumn 0\b"):
        mixture(case).fit(X * 1e200)


@by_type
def test_float32_rows_whose_squares_overflow_float32_fit(case):
    """In float32 a square overflows at 1.8e19 already; whitened statistics do not."""
    rows = (case.data(900) * 2.0**90).astype(np.float32)
    start = case.start()
    start = start._replace(means=start.means * 2.0**90, covariances=start.covariances * 2.0**180)
    model = stepped(case, rows, start=start)
    expected = stepped(case, rows.astype(np.float64), start=start)
    assert model.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.empty((0, 2)), r"Found array with 0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of"),
        (np.empty((5, 0)), r"0 feature\(s\) \(shape=\(5, 0\)\) while a minimum of 1 is required"),
        (np.zeros((4, 3, 2)), r"Found array with dim 3.*expected <= 2"),
        (np.zeros((4, 3), dtype=complex), "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]]), r"could not convert string to float|dtype"),
        (np.array([[1, "b"], [2, "d"]], dtype=object), r"could not convert string to float"),
        (3.0, r"(?i)scalar|0-?d|dim 0"),
        (None, r"(?i)None"),
    ],
    ids=[
        "no rows",
        "no columns",
        "3-D",
        "complex",
        "text",
        "object text",
        "scalar",
        "nothing",
    ],
)
def test_wrong_kind_of_array(rows, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mixture().fit(rows)


def test_list_without_chunks():
    with pytest.raises(ValueError, match=r"(?i)chunk|0 sample"):
        mixture().fit([])


def test_source_without_rows():
    with pytest.raises(ValueError, match=r"0 sample"):
        mixture().fit(lambda: iter([np.empty((0, 2))]))


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_matrix(make):
    with pytest.raises(TypeError, match=r"(?i)sparse"):
        mixture().fit(make(X))


def test_numeric_objects_are_numbers():
    model = mixture().fit(X.astype(object))
    np.testing.assert_array_equal(model.means_, mixture().fit(X).means_)


@by_type
def test_one_row(case):
    for rows in (X[:1], [X[:1]]):
        with pytest.raises(ValueError, match=r"n_samples = 1|1 sample|one row|1 row"):
            mixture(case, 1).fit(rows)


@by_type
def test_fewer_rows_than_components(case):
    message = r"Expected n_samples >= n_components but got n_components = 5, n_samples = 3"
    for rows in (X[:3], cut(X[:3], [2])):
        with pytest.raises(ValueError, match=message):
            mixture(case, 5).fit(rows)


@by_type
def test_wrong_width(case):
    model = mixture(case).fit(X)
    message = r"X has 2 features, but GaussianMixture is expecting 3 features as input"
    for method in ("predict", "predict_proba", "score_samples", "score", "statistics", "bic"):
        for rows in (X[:, :2], cut(X[:, :2], [64])):
            with pytest.raises(ValueError, match=message):
                getattr(model, method)(rows)


def test_chunk_of_another_width():
    chunks = cut(X, [64])
    chunks[2] = chunks[2][:, :2]
    for source in (chunks, lambda: iter(chunks)):
        with pytest.raises(ValueError, match=r"(?i)chunk 2\b.*\b2 columns.*\b3\b"):
            mixture().fit(source)


def test_chunk_of_another_kind():
    chunks = cut(X, [64])
    chunks[2] = chunks[2].astype(complex)
    with pytest.raises(ValueError, match=r"(?i)complex|chunk 2\b"):
        mixture().fit(chunks)


def test_one_shot_generator_says_how_to_wrap_it():
    for source in ((chunk for chunk in cut(X, [64])), iter(cut(X, [64]))):
        with pytest.raises((ValueError, TypeError), match=r"function.*fresh iterator"):
            mixture().fit(source)


def test_function_that_hands_out_the_same_iterator():
    once = iter(cut(X, [64]))
    with pytest.raises(ValueError, match=r"(?i)fresh iterator|0 rows|rows"):
        mixture().fit(lambda: once)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-40],
        lambda rows: np.concatenate([rows, rows[:5]]),
        lambda rows: rows.astype(np.float32),
        lambda rows: rows[:, :2],
    ],
    ids=["fewer rows", "more rows", "another dtype", "another width"],
)
def test_source_that_changes_between_sweeps(change):
    passes = []

    def chunks():
        passes.append(1)
        return iter(cut(X if len(passes) <= 4 else change(X), [64]))

    model = mixture(tol=0.0, max_iter=50)
    with pytest.raises(ValueError, match=r"(?i)chang|rows|columns|dtype|float32"):
        fit_quietly(model, chunks)
    assert len(passes) < 20
    assert not hasattr(model, "means_")


@pytest.mark.parametrize(
    "change", [lambda rows: rows[:-40], lambda rows: rows.astype(np.float32)], ids=["rows", "dtype"]
)
def test_file_that_changes_between_sweeps(tmp_path, change):
    path = tmp_path / "rows.npy"
    np.save(path, X)
    model = mixture(tol=0.0, max_iter=50)

    def rewrite(record) -> None:
        if record.iteration == 2:
            other = tmp_path / "other.npy"
            np.save(other, change(X))
            other.replace(path)

    with pytest.raises(ValueError, match=r"rows\.npy"):
        model._fit(str(path), on_iteration=rewrite)


@pytest.mark.parametrize("name", ["missing.npy", "missing.parquet", "missing*.parquet"])
def test_file_that_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"missing"):
        mixture().fit(tmp_path / name)


def test_file_that_is_something_else(tmp_path):
    path = tmp_path / "rows.npy"
    path.write_text("not an array", encoding="utf-8")
    with pytest.raises(ValueError, match=r"rows\.npy"):
        mixture().fit(path)


def bad_weights(**changes) -> np.ndarray:
    weights = np.ones(len(X))
    for index, value in changes.items():
        weights[int(index[1:])] = value
    return weights


@by_type
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (bad_weights(_7=-1.0), r"(?i)negative.*\b7\b"),
        (bad_weights(_7=np.nan), r"(?i)NaN.*\b7\b"),
        (bad_weights(_7=np.inf), r"(?i)inf.*\b7\b"),
        (np.zeros(len(X)), r"(?i)zero|positive"),
        (np.ones(len(X) - 1), r"\b199\b.*\b200\b|\b200\b.*\b199\b"),
        (np.ones((len(X), 2)), r"(?i)1-?D|dim|column|shape"),
        (np.ones(len(X), dtype=complex), r"(?i)complex"),
    ],
    ids=["negative", "NaN", "infinite", "all zero", "too few", "2-D", "complex"],
)
def test_bad_weights(case, weights, message):
    with pytest.raises(ValueError, match=message):
        mixture(case).fit(X, sample_weight=weights)
    model = mixture(case).fit(X)
    # Weights of zero are a legal statistic: it adds nothing, and `update` refuses it alone.
    methods = ("score", "bic", "statistics") if np.any(weights) else ("score", "bic")
    for method in methods:
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(X, sample_weight=weights)


def test_fewer_weighted_rows_than_components():
    weights = np.zeros(len(X))
    weights[:2] = 1.0
    with pytest.raises(ValueError, match=r"n_components = 3"):
        mixture(n_components=3).fit(X, sample_weight=weights)


@by_type
@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 0},
        {"n_components": -1},
        {"n_components": 2.5},
        {"tol": -1.0},
        {"reg_covar": -1.0},
        {"reg_covar": "much"},
        {"max_iter": -1},
        {"n_init": 0},
        {"init_params": "best"},
        {"n_jobs": "all"},
        {"warm_start": "yes"},
        {"verbose_interval": 0},
    ],
    ids=str,
)
def test_bad_parameters(case, options):
    (name,) = options
    model = fusem.GaussianMixture(covariance_type=case.covariance_type).set_params(**options)
    with pytest.raises(InvalidParameterError, match=name):
        model.fit(X)


def test_bad_covariance_type():
    with pytest.raises(InvalidParameterError, match="covariance_type"):
        fusem.GaussianMixture(covariance_type="round").fit(X)


def test_unfitted():
    model = mixture()
    for method in ("predict", "predict_proba", "score_samples", "score", "bic", "aic", "icl"):
        with pytest.raises(NotFittedError, match="not fitted"):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError, match="not fitted"):
        model.sample()
    with pytest.raises(NotFittedError, match="not fitted"):
        model.save("nowhere.npz")


@by_type
def test_singular_covariance_is_named(case):
    """Without regularisation a collapsed component is an error that names it."""
    rows = np.concatenate([X, np.full((50, 3), 1000.0)])
    if case.covariance_type == "tied":
        rows = np.repeat(rows[::100], 20, axis=0)[:, :1] * np.ones(3)
    model = mixture(case, 2, reg_covar=0.0)
    with pytest.raises(ValueError, match=r"ill-defined empirical covariance.*[Cc]omponent"):
        model.fit(rows)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_constant_column_without_regularisation_is_named(covariance_type):
    rows = X.copy()
    rows[:, 1] = 7.0
    model = fusem.GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    with pytest.raises(ValueError, match=r"ill-defined.*\b1\b.*constant"):
        model.fit(rows)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_collinear_columns_without_regularisation_are_named(covariance_type):
    rows = np.column_stack([X, X[:, 0] + X[:, 1]])
    model = fusem.GaussianMixture(covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    with pytest.raises(ValueError, match=r"(?i)(collinear|column).*\b3\b|ill-defined.*column"):
        model.fit(rows)


@by_type
def test_sample_of_nothing(case):
    model = stepped(case, X)
    with pytest.raises(ValueError, match="at least one sample"):
        model.sample(0)
    with pytest.raises(TypeError, match=r"n_samples must be a whole number, not 2\.5"):
        model.sample(2.5)


@by_type
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("weights_", [1.0, 1.0, 1.0], "weights_ must sum to 1, not 3: divide them"),
        ("weights_", [0.333, 0.333, 0.333], "weights_ must sum to 1, not 0.999"),
        ("weights_", [1.5, -0.5, 0.0], "weights_ must be finite, not negative"),
        ("weights_", [0.5, 0.5], "do not belong together"),
        ("weights_", "many", "weights_ must be an array of numbers, not 'many'"),
        ("means_", "far", "means_ must be an array of numbers, not 'far'"),
        ("means_", [[1.0], [2.0, 3.0]], "means_ must be an array of numbers"),
    ],
)
def test_assigned_parameters_are_looked_at(case, name, value, problem):
    model = stepped(case, X)
    setattr(model, name, value)
    for use in (model.predict, model.score_samples, model.statistics):
        with pytest.raises(ValueError, match=problem):
            use(X)
    with pytest.raises(ValueError, match=problem):
        model.sample(2)


@pytest.mark.parametrize("name", ["covariances_", "precisions_", "precisions_cholesky_"])
def test_assigned_covariances_that_are_no_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be an array of numbers, not 'round'"):
        setattr(fusem.GaussianMixture(2), name, "round")


@by_type
@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_assigned_precisions_that_are_not_positive_are_refused(case, factor):
    model = stepped(case, X)
    with pytest.raises(ValueError, match=r"precision' should be .*positive"):
        model.precisions_ = -1.0 * model.precisions_
    before = model.score(X)
    model.precisions_cholesky_ = factor * model.precisions_cholesky_
    with pytest.raises(ValueError, match="precisions_cholesky_ must be positive and finite"):
        model.score(X)
    model.precisions_cholesky_ = stepped(case, X).precisions_cholesky_
    assert model.score(X) == pytest.approx(before, rel=1e-12)


def test_assigned_precisions_of_another_shape_or_skew_are_refused():
    model = stepped(CASES[0], X)
    good = model.precisions_
    skew = good + np.triu(np.full((3, 3), 0.5), 1)
    for wrong, problem in (
        (good[0], "shape"),
        (good[:, 0], "shape"),
        (1.0, "shape"),
        (skew, "symmetric"),
    ):
        with pytest.raises(ValueError, match=problem):
            model.precisions_ = wrong
    np.testing.assert_allclose(model.precisions_, good, rtol=1e-12)


@by_type
def test_weights_of_float32_or_in_six_digits_are_accepted(case):
    model = stepped(case, X)
    expected = model.score(X)
    for weights in (model.weights_.astype(np.float32), model.weights_.round(6)):
        model.weights_ = weights
        assert model.score(X) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic"])
@pytest.mark.parametrize("width", [2, 4])
def test_opened_rows_of_another_width_are_refused(method, width):
    model = fit_quietly(mixture(), X)
    with pytest.raises(ValueError, match=f"X has {width} features, but .* expecting 3"):
        getattr(model, method)(fusem.rows(np.zeros((4, width))))
