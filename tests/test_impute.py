"""Missing values filled in: EMImputer, multiple imputation, Rubin's rules, the command."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fusem
from tests.cases import CASES
from tests.comparison import assert_within, parameters_of
from tests.reference_missing import imputed
from tests.sources import SOURCES
from tests.test_missing import with_holes


@pytest.fixture
def table():
    X = with_holes(CASES[0].data(1500), 0.25)
    X[np.isnan(X).all(axis=1)] = 0.5
    return X


# ---- as a transformer ----


@parametrize_with_checks(
    [
        fusem.EMImputer(),
        fusem.EMImputer(2, sample_posterior=True, random_state=0),
        fusem.EMImputer(add_indicator=True, covariance_type="diag"),
    ]
)
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_means_are_those_of_the_mixture(table):
    imputer = fusem.EMImputer(2, random_state=0).fit(table)
    filled = imputer.transform(table)
    assert_within(filled, imputed(table, parameters_of(imputer.mixture_), "full"), 1e-10, "imputed")
    np.testing.assert_array_equal(filled[~np.isnan(table)], table[~np.isnan(table)])
    other = with_holes(CASES[0].data(50, seed=9))
    assert not np.isnan(imputer.transform(other)).any()


def test_a_complete_table_stays_as_it_is():
    X = CASES[0].data(200)
    np.testing.assert_array_equal(fusem.EMImputer().fit_transform(X), X)


def test_the_same_table_is_completed_alike_every_time(table):
    np.testing.assert_array_equal(
        fusem.EMImputer().fit_transform(table), fusem.EMImputer().fit_transform(table)
    )


def test_draws_have_the_spread_that_means_lack():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=20_000)
    X[: len(X) // 2, 1] = np.nan
    drawn = fusem.EMImputer(sample_posterior=True, random_state=1).fit_transform(X)[: len(X) // 2]
    expected = fusem.EMImputer().fit_transform(X)[: len(X) // 2]
    assert drawn[:, 1].std() == pytest.approx(1.0, abs=0.03)
    assert expected[:, 1].std() == pytest.approx(0.6, abs=0.03)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.6, abs=0.02)
    standard = (drawn[:, 1] - 0.6 * drawn[:, 0]) / 0.8
    assert stats.kstest(standard, "norm").pvalue > 1e-3


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
def test_draws_follow_the_mixture(case):
    """Values drawn where all are missing, and where some are, have the distribution of samples."""
    X = case.data(4000)
    model = fusem.GaussianMixture(3, covariance_type=case.covariance_type, random_state=0).fit(X)
    whole = model.impute(np.full((40_000, 4), np.nan), sample_posterior=True, random_state=0)
    sample, _ = model.sample(40_000)
    for j in range(4):
        assert stats.ks_2samp(whole[:, j], sample[:, j]).pvalue > 1e-3
    row = X[0].copy()
    row[[1, 3]] = np.nan
    given = model.condition({0: row[0], 2: row[2]})
    part = model.impute(np.tile(row, (40_000, 1)), sample_posterior=True, random_state=0)
    sample, _ = given.sample(40_000)
    for j, column in enumerate((1, 3)):
        assert stats.ks_2samp(part[:, column], sample[:, j]).pvalue > 1e-3


def test_draws_belong_to_rows(table, tmp_path):
    model = fusem.GaussianMixture(2, random_state=0).fit(table)
    expected = model.impute(table, sample_posterior=True, random_state=5)
    for name, source in SOURCES.items():
        for n_jobs in (1, 2):
            model.set_params(n_jobs=n_jobs)
            drawn = model.impute(source(table, tmp_path), sample_posterior=True, random_state=5)
            np.testing.assert_array_equal(drawn, expected, err_msg=name)
    other = model.impute(table, sample_posterior=True, random_state=6)
    assert (other != expected)[np.isnan(table)].mean() > 0.99


def test_float32_stays_float32(table):
    filled = fusem.EMImputer().fit_transform(table.astype(np.float32))
    assert filled.dtype == np.float32
    assert_within(filled, fusem.EMImputer().fit_transform(table), 1e-3, "imputed")


def test_names_indicators_and_pipelines(table):
    pd = pytest.importorskip("pandas")
    table[:, 2] = 1.0 + np.arange(len(table))
    frame = pd.DataFrame(table, columns=["a", "b", "c", "d"])
    imputer = fusem.EMImputer(add_indicator=True).set_output(transform="pandas").fit(frame)
    shown = imputer.transform(frame)
    names = ["a", "b", "c", "d", "missingindicator_a", "missingindicator_b", "missingindicator_d"]
    assert list(shown.columns) == names == list(imputer.get_feature_names_out())
    np.testing.assert_array_equal(shown["missingindicator_b"], np.isnan(table[:, 1]))
    assert make_pipeline(fusem.EMImputer(), StandardScaler()).fit_transform(frame).shape == (
        1500,
        4,
    )


# ---- several imputations ----


def test_tables_of_several_imputations(table, tmp_path):
    imputer = fusem.EMImputer(sample_posterior=True, n_imputations=3, random_state=0).fit(table)
    tables = imputer.transform(table)
    assert len(tables) == 3
    known = ~np.isnan(table)
    for one in tables:
        np.testing.assert_array_equal(one[known], table[known])
        assert not np.isnan(one).any()
    assert (tables[0] != tables[1])[~known].all()
    written = imputer.transform(table, out=tmp_path / "table-{}.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"table-{i}.npy" for i in range(3)]
    for one, other in zip(tables, written, strict=True):
        np.testing.assert_array_equal(one, other)
    again = fusem.EMImputer(sample_posterior=True, n_imputations=3, random_state=0, n_jobs=1)
    chunks = np.array_split(table, 7)
    for one, other in zip(tables, again.fit(chunks).transform(chunks), strict=True):
        np.testing.assert_array_equal(one, other)


def test_imputations_spread_as_the_parameters_do():
    """The means of bootstrap fits vary as the mean of the observed values does."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[::2, 1] = np.nan
    imputer = fusem.EMImputer(sample_posterior=True, n_imputations=200, random_state=0).fit(X)
    means = np.array([mixture.means_[0] for mixture in imputer.mixtures_])
    assert means[:, 0].std() == pytest.approx(1 / np.sqrt(400), rel=0.2)
    assert means[:, 1].std() == pytest.approx(1 / np.sqrt(200), rel=0.2)


@pytest.mark.parametrize(
    ("options", "call", "message"),
    [
        ({"n_imputations": 2}, lambda i, X: i.fit(X), "set sample_posterior=True"),
        ({}, lambda i, X: i.fit(X).transform(X, out=[]), "a path ending in .npy"),
        ({}, lambda i, X: i.fit(X).transform(X, out="x.csv"), "ending in .npy"),
        (
            {"n_imputations": 2, "sample_posterior": True},
            lambda i, X: i.fit(X).transform(X, out="x.npy"),
            "put {} where",
        ),
        ({"add_indicator": True}, lambda i, X: i.fit(X).transform(X, out="x.npy"), "indicator"),
        ({}, lambda i, X: i.fit(X).transform(X[:, :2]), "EMImputer is expecting 4 features"),
        ({}, lambda i, X: i.fit(np.where([True, False, False, False], np.nan, X)), "column 0"),
    ],
)
def test_what_an_imputer_refuses(table, options, call, message):
    with pytest.raises(ValueError, match=message):
        call(fusem.EMImputer(**options), table)


def test_an_output_is_no_source(table, tmp_path):
    for name in ("a.npy", "t-0.npy"):
        np.save(tmp_path / name, table)
    imputer = fusem.EMImputer().fit(table)
    with pytest.raises(ValueError, match="write to another"):
        imputer.transform(tmp_path / "a.npy", out=tmp_path / "a.npy")
    several = fusem.EMImputer(sample_posterior=True, n_imputations=2, random_state=0).fit(table)
    with pytest.raises(ValueError, match="write to another"):
        several.transform(tmp_path / "t-0.npy", out=tmp_path / "t-{}.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "t-0.npy"), table)


def test_several_tables_are_no_data_frame(table):
    pd = pytest.importorskip("pandas")
    imputer = fusem.EMImputer(sample_posterior=True, n_imputations=2, random_state=0)
    imputer.set_output(transform="pandas").fit(pd.DataFrame(table, columns=list("abcd")))
    with pytest.raises(ValueError, match="wrap one table"):
        imputer.transform(pd.DataFrame(table, columns=list("abcd")))


def test_files_are_returned_as_they_are_where_data_frames_are_asked_for(table, tmp_path):
    pd = pytest.importorskip("pandas")
    imputer = fusem.EMImputer(random_state=0).set_output(transform="pandas").fit(table)
    written = imputer.transform(table, out=tmp_path / "t.npy")
    assert isinstance(written, np.memmap)
    assert isinstance(imputer.transform(table), pd.DataFrame)
    np.testing.assert_array_equal(written, imputer.transform(table, out=None))
    several = fusem.EMImputer(sample_posterior=True, n_imputations=2, random_state=0)
    several.set_output(transform="pandas").fit(table)
    files = several.transform(table, tmp_path / "t-{}.npy")
    assert [type(file) for file in files] == [np.memmap] * 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_verbose_prints_as_a_mixture_does(table, capsys):
    fusem.EMImputer(2, random_state=0, max_iter=12, tol=0.0, verbose=1, verbose_interval=5).fit(
        table
    )
    shown = capsys.readouterr().out.splitlines()
    iterations = ["  Iteration 5", "  Iteration 10"]
    assert shown == ["Initialization 0", *iterations, "Initialization did not converge."]
    options = {"sample_posterior": True, "n_imputations": 2, "random_state": 0}
    fusem.EMImputer(verbose=1, **options).fit(table)
    shown = capsys.readouterr().out
    assert shown.count("Initialization 0") == 3
    assert ("Imputation 0\n" in shown, "Imputation 1\n" in shown) == (True, True)
    fusem.EMImputer(**options).fit(table)
    assert capsys.readouterr().out == ""


def test_a_warning_names_the_line_that_called(table):
    table[3] = np.nan
    calls = (
        lambda: fusem.EMImputer().fit(table),
        lambda: fusem.EMImputer().fit_transform(table),
        lambda: make_pipeline(fusem.EMImputer(), StandardScaler()).fit_transform(table),
    )
    for call in calls:
        with pytest.warns(fusem.MissingValuesWarning) as caught:
            call()
        (warning,) = caught
        place = call.__code__
        assert (warning.filename, warning.lineno) == (__file__, place.co_firstlineno)


def test_an_interrupted_fit_leaves_the_imputer_as_it_was(table):
    imputer = fusem.EMImputer(random_state=0).fit(table)
    before = dict(vars(imputer))

    def chunks():
        yield table
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imputer.fit(chunks)
    assert vars(imputer) == before


def test_all_that_is_asked_of_rows_with_holes_is_one_machine_code(table):
    model = fusem.GaussianMixture(2, random_state=0).fit(table)
    model.impute(table), model.impute(table, sample_posterior=True), model.predict_proba(table)
    model.score(table), model.predict(table), model.impute(np.asfortranarray(table))
    assert len(model._family.kernels.evaluate_missing[float].signatures) == 1
    assert len(model._family.kernels.fill_missing[float].signatures) == 1
    assert len(model._family.kernels.sweep_missing[float].signatures) == 1


@pytest.mark.slow
@pytest.mark.thorough
def test_pooled_intervals_cover_the_truth():
    """Of 95 % intervals from 600 tables, 93 to 97 % hold the mean, and the slope of a regression."""
    rng = np.random.default_rng(0)
    n, repeats = 200, 600
    covered = np.zeros((repeats, 2))
    for repeat in range(repeats):
        x = rng.normal(size=n)
        X = np.column_stack([x, 1.0 + 0.5 * x + 0.8 * rng.normal(size=n)])
        X[rng.random(n) < 1.0 / (1.0 + np.exp(1.0 - x)), 1] = np.nan  # depends on what is seen
        seed = int(rng.integers(2**31))
        imputer = fusem.EMImputer(
            sample_posterior=True, n_imputations=5, random_state=seed, n_jobs=1, tol=1e-5
        )
        estimates, variances = [], []
        for table in imputer.fit(X).transform(X):
            line = stats.linregress(table[:, 0], table[:, 1])
            estimates.append([table[:, 1].mean(), line.slope])
            variances.append([table[:, 1].var(ddof=1) / n, line.stderr**2])
        low, high = fusem.pool(estimates, variances, df=n - 2).interval()
        covered[repeat] = (low < [1.0, 0.5]) & (high > [1.0, 0.5])
    for share in covered.mean(axis=0):
        assert 0.93 <= share <= 0.97


# ---- Rubin's rules ----


def test_rubins_rules_by_hand():
    pooled = fusem.pool([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], [[0.5, 0.1], [0.7, 0.1], [0.6, 0.1]])
    assert_within(pooled.estimate, [2.0, 5.0], 1e-15, "estimate")
    assert_within(pooled.within, [0.6, 0.1], 1e-15, "within")
    assert_within(pooled.between, [1.0, 0.0], 1e-15, "between")
    total = 0.6 + 4 / 3
    assert_within(pooled.variance, [total, 0.1], 1e-15, "variance")
    assert pooled.df[0] == pytest.approx(2 * (1 + 0.6 / (4 / 3)) ** 2)
    assert pooled.df[1] == np.inf
    assert_within(pooled.missing_information, [(4 / 3) / total, 0.0], 1e-15, "share")
    low, high = pooled.interval(0.9)
    assert high[0] - 2.0 == pytest.approx(stats.t.ppf(0.95, pooled.df[0]) * np.sqrt(total))
    assert high[1] - low[1] == pytest.approx(2 * stats.norm.ppf(0.95) * np.sqrt(0.1))


def test_small_tables_get_fewer_degrees_of_freedom():
    """Barnard and Rubin's formula, written out."""
    q, u = [1.0, 1.3, 0.8, 1.1], [0.2, 0.25, 0.22, 0.21]
    free, small = fusem.pool(q, u), fusem.pool(q, u, df=20)
    share = free.missing_information
    observed = 21 / 23 * 20 * (1 - share)
    assert small.df == pytest.approx(1 / (1 / free.df + 1 / observed))
    assert small.variance == free.variance


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0], [1.0]), "two tables"),
        ((1.0, 1.0), "two tables"),
        (([1.0, 2.0], [1.0]), "must agree"),
        (([1.0, np.nan], [1.0, 1.0]), "finite"),
        (([1.0, 2.0], [1.0, -1.0]), "negative"),
    ],
)
def test_what_cannot_be_pooled(given, message):
    with pytest.raises(ValueError, match=message):
        fusem.pool(*given)
    assert np.isfinite(fusem.pool([1.0, 2.0], [0.0, 0.0], df=10).interval()).all()
    with pytest.raises(ValueError, match="df must be positive"):
        fusem.pool([1.0, 2.0], [1.0, 1.0], df=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fusem.pool([1.0, 2.0], [1.0, 1.0]).interval(95)
