"""The contract of every mixture, for those of counts and codes."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import fusem
from tests.cases import COUNT_CASES, DTYPES
from tests.comparison import assert_bit_identical, assert_never_falls
from tests.count_models import (
    assert_close_counts,
    assert_same_counts,
    count_model,
    count_parameters,
    count_stepped,
)
from tests.models import fit_quietly
from tests.sources import UNEVEN, cut, generator_function, npy

by_case = pytest.mark.parametrize("case", COUNT_CASES, ids=lambda case: case.family)
with_holes = pytest.mark.parametrize(
    "case", [case for case in COUNT_CASES if case.missing], ids=lambda case: case.family
)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
some_blank = pytest.mark.filterwarnings("ignore::fusem.MissingValuesWarning")
BOUND = {np.float64: 1e-11, np.float32: 1e-5}
INITS = ("kmeans", "k-means++", "random", "random_from_data")
HASSELBLAD = json.loads(
    (Path(__file__).parent / "data" / "hasselblad.json").read_text(encoding="utf-8")
)


# ---- equality with the twin ----


@by_case
@by_dtype
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_one_step_equals_the_twin(case, dtype, weighted):
    X = case.data(dtype=dtype)
    weights = np.random.default_rng(3).uniform(0.0, 3.0, size=len(X)) if weighted else None
    model = count_stepped(case, X, 1, sample_weight=weights)
    before, after = case.twin.em_step(X, weights, case.start())
    assert model.lower_bound_ == pytest.approx(before, rel=BOUND[dtype])
    assert_close_counts(case, model, after, BOUND[dtype])


@by_case
@by_dtype
def test_posterior_equals_the_twin(case, dtype):
    X, start = case.data(dtype=dtype), case.start()
    model = count_stepped(case, X, 0)
    expected, bound = case.twin.log_likelihoods(X.astype(float), start), BOUND[dtype]
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=bound, atol=bound)
    resp = case.twin.responsibilities(X.astype(float), start)
    np.testing.assert_allclose(model.predict_proba(X), resp, atol=10 * bound)
    sure = np.sort(resp, axis=1)[:, -1] > 0.5 + bound
    np.testing.assert_array_equal(model.predict(X)[sure], resp.argmax(axis=1)[sure])
    assert model.score(X) == pytest.approx(expected.mean(), rel=bound)


@by_case
def test_criteria_are_their_formulas(case):
    X = case.data()
    model = count_stepped(case, X)
    p = case.twin.n_parameters(case.start().values.shape)
    total = case.twin.log_likelihoods(X, count_parameters(case, model)).sum()
    assert model.aic(X) == pytest.approx(2 * p - 2 * total, rel=1e-12)
    assert model.bic(X) == pytest.approx(p * np.log(len(X)) - 2 * total, rel=1e-12)
    assert model.icl(X) > model.bic(X)


def test_every_iterate_of_the_death_notices():
    """Hasselblad's data: EM is slow there, and each of 1000 iterates is known to all digits."""
    notices = np.repeat(np.arange(10.0), HASSELBLAD["days"])[:, None]
    weight, *rates = HASSELBLAD["start"]
    model = fusem.PoissonMixture(
        2, weights_init=[weight, 1.0 - weight], rates_init=np.array(rates)[:, None]
    )
    model.set_params(tol=0.0, max_iter=1001)
    likelihoods = fit_quietly(model, notices).lower_bounds_
    model.set_params(max_iter=0)
    by_hand = copy.deepcopy(model.fit(notices))
    for iteration in range(1001):
        known = [row for row in HASSELBLAD["iterates"] if row[0] == iteration]
        for _, share, first, second, total in known:
            assert by_hand.weights_[0] == pytest.approx(share, rel=1e-9)
            assert by_hand.rates_[:, 0] == pytest.approx([first, second], rel=1e-9)
            assert likelihoods[iteration] * len(notices) == pytest.approx(total, rel=1e-13)
        by_hand.update(by_hand.statistics(notices))
    one = fusem.PoissonMixture(1).fit(notices)
    assert one.score(notices) * len(notices) == pytest.approx(HASSELBLAD["poisson1_loglik"])


# ---- the likelihood ----


@by_case
@pytest.mark.parametrize("missing", [0.0, 0.3])
@some_blank
def test_never_falls(case, missing):
    X = case.data(1500, missing=missing * case.missing)
    weights = np.random.default_rng(0).exponential(size=len(X))
    assert_never_falls(count_stepped(case, X, 40, sample_weight=weights).lower_bounds_)


@by_case
@pytest.mark.parametrize("init_params", INITS)
def test_starts_are_better_than_one_component(case, init_params):
    X = case.data(1500)
    mixture = getattr(fusem, case.estimator)
    options = {"init_params": init_params, "random_state": 0, "tol": 1e-5, "max_iter": 500}
    model = fit_quietly(mixture(3, **options), X)
    assert_never_falls(model.lower_bounds_)
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-12)
    if init_params != "random":  # whose components are all about the mean of all
        assert model.score(X) > mixture(1).fit(X).score(X) + 0.05


@by_case
def test_best_of_several_starts_wins(case):
    X = case.data(800)
    mixture = getattr(fusem, case.estimator)
    model = mixture(3, n_init=3, init_params="random_from_data", random_state=1, tol=1e-2)
    bounds = [start.lower_bound for start in fit_quietly(model, X).starts_]
    assert len(set(bounds)) == 3
    assert model.lower_bound_ == max(bounds)


# ---- the order of rows, sources, threads ----


@by_case
@by_dtype
@pytest.mark.parametrize("missing", [0.0, 0.2])
@some_blank
def test_sources_and_threads_give_the_same_bits(case, dtype, missing, tmp_path):
    X = case.data(9000, dtype=dtype, missing=missing * case.missing)
    expected = count_stepped(case, X, n_jobs=1)
    proba, score = expected.predict_proba(X), expected.score(X)
    for rows in (X, np.asfortranarray(X), cut(X, UNEVEN), generator_function(X, [999])):
        model = count_stepped(case, rows, n_jobs=3)
        assert_same_counts(case, model, expected)
        assert_bit_identical(model.predict_proba(rows), proba)
        assert model.score(rows) == score
    assert_same_counts(case, count_stepped(case, npy(X, tmp_path), n_jobs=2), expected)


@by_case
def test_starts_give_the_same_bits(case):
    X = case.data(3000)
    options = {"n_components": 3, "random_state": 7, "max_iter": 2, "tol": 0.0}
    mixture = getattr(fusem, case.estimator)
    expected = fit_quietly(mixture(**options, n_jobs=1), X)
    whole = X.astype(np.uint16)  # and another dtype
    for rows in (cut(X, UNEVEN), generator_function(whole, [333])):
        assert_same_counts(case, fit_quietly(mixture(**options, n_jobs=2), rows), expected)


# ---- weights ----


@by_case
@by_dtype
def test_weight_two_is_a_row_twice_and_zero_none(case, dtype):
    X = case.data(1500, dtype=dtype)
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = count_stepped(case, X, sample_weight=counts)
    repeated = count_stepped(case, np.repeat(X, counts, axis=0))
    assert_close_counts(case, weighted, count_parameters(case, repeated), BOUND[dtype])
    assert weighted.score(X, sample_weight=counts) == pytest.approx(
        repeated.score(np.repeat(X, counts, axis=0)), rel=BOUND[dtype]
    )


@by_case
@by_dtype
def test_a_row_of_weight_zero_may_be_impossible(case, dtype):
    """As in a bootstrap sample without the only row with a count in a column."""
    X = case.data(1500, dtype=dtype)
    X[:, 0] = 0.0
    X[[0, 700, 1499], 0] = 1.0
    weights = np.ones(len(X))
    weights[[0, 700, 1499]] = 0.0
    weighted = count_stepped(case, X, 5, sample_weight=weights)
    absent = count_stepped(case, X[weights > 0.0], 5)
    assert_close_counts(case, weighted, count_parameters(case, absent), BOUND[dtype])
    assert np.isneginf(weighted.score_samples(X[:1]))[0]
    np.testing.assert_allclose(weighted.predict_proba(X[:1])[0], weighted.weights_, rtol=1e-6)
    assert weighted.predict(X[:1])[0] == np.argmax(weighted.weights_)


# ---- by hand ----


@by_case
@pytest.mark.parametrize("missing", [0.0, 0.2])
@some_blank
def test_em_by_hand_is_fit(case, missing):
    X = case.data(1700, missing=missing * case.missing)
    expected, model = count_stepped(case, X, 4), count_stepped(case, X, 0)
    bounds = []
    for _ in range(4):
        parts = [model.statistics(chunk) for chunk in (X[:900], X[:0], X[900:])]
        parts[0] = fusem.MixtureStatistic.from_bytes(parts[0].to_bytes())
        bounds.append(model.update(sum(parts)))
    np.testing.assert_allclose(bounds, expected.lower_bounds_, rtol=1e-12)
    assert_close_counts(case, model, count_parameters(case, expected), 1e-11)
    late = model.statistics(X)
    model.update(late)
    with pytest.raises(ValueError, match="other parameters"):
        model.update(late)


@by_case
def test_assigned_weights_are_looked_at(case):
    X = case.data(300)
    model = count_stepped(case, X, 1)
    model.weights_ = 2.0 * model.weights_
    with pytest.raises(ValueError, match="weights_ must sum to 1, not 2: divide them by their sum"):
        model.predict(X)


@by_case
def test_a_sample_has_its_own_seed(case):
    model = count_stepped(case, case.data(300), 1)
    first, again = (model.sample(50, random_state=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != model.sample(50, random_state=4)[0]).any()


@by_case
def test_by_hand_names_what_cannot_be_used(case):
    model = count_stepped(case, case.data(300), 0)
    X = case.data(50)
    X[7, 2] = -1.0
    with pytest.raises(ValueError, match="-1 at row 7, column 2"):
        model.statistics(X)
    with pytest.raises(ValueError, match="-1 at row 7, column 2"):
        model.predict(X)


# ---- missing values ----


@with_holes
@by_dtype
def test_missing_values_are_left_out(case, dtype):
    X = case.data(1500, dtype=dtype, missing=0.3)
    X[[3, 900]] = np.nan
    with pytest.warns(fusem.MissingValuesWarning, match="2|rows"):
        model = count_stepped(case, X, 1)
    before, after = case.twin.em_step(X, None, case.start())
    assert model.lower_bound_ == pytest.approx(before, rel=BOUND[dtype])
    assert_close_counts(case, model, after, BOUND[dtype])
    with pytest.warns(fusem.MissingValuesWarning):
        model = count_stepped(case, X, 2)
    expected = case.twin.log_likelihoods(X.astype(float), count_parameters(case, model))
    blank = np.isnan(X).all(axis=1)
    expected[blank] = 0.0
    np.testing.assert_allclose(model.score_samples(X), expected, atol=10 * BOUND[dtype])
    assert model.score(X) == pytest.approx(expected[~blank].mean(), rel=BOUND[dtype])
    np.testing.assert_allclose(model.predict_proba(X[[3]])[0], model.weights_, rtol=1e-6)


@with_holes
@pytest.mark.parametrize("init_params", INITS)
def test_starts_with_missing_values(case, init_params):
    X = case.data(600, missing=0.4)
    X = X[~np.isnan(X).all(axis=1)]
    options = {"init_params": init_params, "random_state": 0, "max_iter": 20}
    model = fit_quietly(getattr(fusem, case.estimator)(3, **options), X)
    assert_never_falls(model.lower_bounds_)
    assert np.isfinite(count_parameters(case, model).values).all()


def test_the_total_of_a_row_must_be_known():
    X = np.ones((20, 3))
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN at row 4, column 1.*Poisson counts"):
        fusem.MultinomialMixture(2).fit(X)


@by_dtype
def test_a_row_of_a_multinomial_may_be_missing(dtype):
    case = next(case for case in COUNT_CASES if case.family == "multinomial")
    X = case.data(1500, dtype=dtype)
    with_blank = np.insert(X, [0, 700, 700, 1500], np.nan, axis=0)
    model, expected = count_stepped(case, X, 3), count_stepped(case, X, 3)
    with pytest.warns(fusem.MissingValuesWarning, match="4 of 1,?504 rows"):
        model = count_stepped(case, with_blank, 3)
    assert_close_counts(case, model, count_parameters(case, expected), BOUND[dtype])
    assert model.lower_bound_ == pytest.approx(expected.lower_bound_, rel=BOUND[dtype])
    np.testing.assert_array_equal(model.score_samples(with_blank)[[0, 701, 702, 1503]], 0.0)
    np.testing.assert_allclose(model.predict_proba(with_blank)[701], model.weights_, rtol=1e-6)
    with pytest.warns(fusem.MissingValuesWarning):
        by_hand = count_stepped(case, with_blank, 2)
    parts = [by_hand.statistics(part) for part in (with_blank[:9], with_blank[9:])]
    assert by_hand.update(sum(parts)) == pytest.approx(expected.lower_bound_, rel=BOUND[dtype])
    for init_params in INITS:
        started = fusem.MultinomialMixture(3, init_params=init_params, random_state=0, max_iter=20)
        with pytest.warns(fusem.MissingValuesWarning):
            assert_never_falls(fit_quietly(started, with_blank).lower_bounds_)


# ---- what a mixture is: files, copies, samples, a fit that goes on ----


@by_case
def test_files_copies_and_a_fit_that_goes_on(case, tmp_path):
    X = case.data(900)
    model = count_stepped(case, X, 2, warm_start=True)
    model.save(tmp_path / "model.npz")
    loaded, pickled = fusem.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))
    assert type(loaded) is type(model)
    assert_same_counts(case, loaded, model)
    assert_bit_identical(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.get_params().keys() == clone(model).get_params().keys()
    further = [fit_quietly(one, X) for one in (model, loaded, pickled)]
    assert_same_counts(case, further[1], further[0])
    assert_same_counts(case, further[2], further[0])
    straight = count_stepped(case, X, 4)
    assert_close_counts(case, model, count_parameters(case, straight), 1e-11)
    with pytest.raises(ValueError, match="continue from"):
        model.fit(X[:, :3])


@by_case
def test_samples(case):
    model = count_stepped(case, case.data(900), random_state=3)
    X, labels = model.sample(400)
    again, _ = model.sample(400)
    np.testing.assert_array_equal(X, again)
    assert X.shape == (400, case.n_features)
    assert labels.shape == (400,)
    assert np.isfinite(model.score_samples(X)).all()
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(0)


def test_samples_of_multinomials_have_a_total():
    model = fusem.MultinomialMixture(2)
    model.weights_, model.probabilities_ = np.array([0.5, 0.5]), np.array([[0.2, 0.8], [0.7, 0.3]])
    np.testing.assert_array_equal(model.sample(20, n_trials=7)[0].sum(axis=1), 7.0)


# ---- edges ----


@pytest.mark.filterwarnings("ignore::fusem.FusemWarning")
def test_columns_of_zeros_and_single_rows():
    X = np.zeros((40, 3), dtype=int)
    X[20:, 1] = 9
    model = fusem.PoissonMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(model.rates_[:, [0, 2]], 0.0)
    assert sorted(model.rates_[:, 1]) == pytest.approx([0.0, 9.0], abs=1e-2)
    assert np.isneginf(model.score_samples([[0, 0, 1]])[0])
    for mixture in (fusem.PoissonMixture, fusem.CategoricalMixture, fusem.MultinomialMixture):
        one = mixture(1).fit([[2, 0, 1]])
        assert np.isfinite(one.score([[2, 0, 1]]))


@by_case
@pytest.mark.filterwarnings("ignore::fusem.FusemWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fewer_distinct_rows_than_components(case):
    X = np.repeat(case.data(2), 30, axis=0)
    model = getattr(fusem, case.estimator)(4, random_state=0).fit(X)
    assert np.isfinite(count_parameters(case, model).values).all()
    assert np.isfinite(model.score(X))


def test_rows_of_nothing_have_no_shares():
    X = np.array([[0, 0], [3, 1], [1, 3], [0, 0]] * 10)
    model = fusem.MultinomialMixture(2, random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    np.testing.assert_allclose(model.predict_proba([[0, 0]])[0], model.weights_)


def test_categories_are_those_seen_or_given():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(2, size=300), rng.integers(5, size=300)])
    seen = fit_quietly(fusem.CategoricalMixture(2, random_state=0), X)
    np.testing.assert_array_equal(seen.n_categories_, [2, 5])
    assert seen.probabilities_.shape == (2, 2, 5)
    np.testing.assert_array_equal(seen.probabilities_[:, 0, 2:], 0.0)
    given = fit_quietly(fusem.CategoricalMixture(2, n_categories=[3, 6], random_state=0), X)
    np.testing.assert_array_equal(given.n_categories_, [3, 6])
    assert given.bic(X) > seen.bic(X)  # the same likelihood, more parameters
    np.testing.assert_allclose(given.score(X), seen.score(X), rtol=1e-9)
    with pytest.raises(ValueError, match=r"code 2 at row 1, column 0: the column has 2 categories"):
        seen.predict([[0, 0], [2, 0]])
    assert np.isneginf(given.score_samples([[2, 0]])[0])


@pytest.mark.parametrize("n_categories", [0, 2.5, [2, 2, 2], [[2, 2]], "two"])
def test_numbers_of_categories_are_checked(n_categories):
    with pytest.raises((ValueError, TypeError), match="n_categories"):
        fusem.CategoricalMixture(1, n_categories=n_categories).fit(np.zeros((9, 2)))


def test_codes_that_are_identifiers_are_refused():
    X = np.array([[0.0, 1e9], [1.0, 5.0]])
    with pytest.raises(ValueError, match=r"column 1.*without gaps"):
        fusem.CategoricalMixture(1).fit(X)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-2.0, "Negative values in data.*-2 at row 5, column 'b'"),
        (1.5, "fraction.*1.5 at row 5, column 'b'"),
        (np.inf, "infinity.*row 5, column 'b'"),
        (1e17, "row 5, column 'b'.*float64 does not hold exactly. Divide"),
    ],
)
@by_case
def test_values_that_are_none_are_named(case, value, message):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(case.data(40, n_features=2), columns=["a", "b"])
    table.loc[5, "b"] = value
    with pytest.raises(ValueError, match=message):
        getattr(fusem, case.estimator)(2).fit(table)


@by_case
def test_parameters_that_are_none_are_named(case):
    start, X = case.start(), case.data(100)
    for values in (-start.values, np.full_like(start.values, np.nan), start.values[:, :2]):
        with pytest.raises(ValueError, match=f"{case.parameter}_init|contains NaN"):
            count_model(case, start, max_iter=1).set_params(
                **{f"{case.parameter}_init": values}
            ).fit(X)
    if case.parameter == "probabilities":
        with pytest.raises(ValueError, match="sum to 1"):
            count_model(case, start._replace(values=2.0 * start.values)).fit(X)
    with pytest.raises(ValueError, match="n_components"):
        getattr(fusem, case.estimator)(200).fit(X)


def test_a_start_that_explains_no_row_is_an_error():
    rates = np.array([[0.0, 1.0], [0.0, 2.0]])
    with pytest.raises(ValueError, match="probability 0 under every component"):
        fusem.PoissonMixture(2, weights_init=[0.5, 0.5], rates_init=rates).fit(np.ones((9, 2)))


def test_second_fit_compiles_nothing(monkeypatch):
    def fit_all():
        for case in COUNT_CASES:
            count_stepped(case, case.data(300), 2).predict_proba(case.data(300))

    fit_all()
    asked = []
    for case in COUNT_CASES:
        model = count_stepped(case, case.data(300), 1)
        assert isinstance(model, getattr(fusem, case.estimator))
        for kernel in (model._family.kernels.sweep, model._family.kernels.evaluate):
            monkeypatch.setattr(kernel[np.float64], "compile", asked.append)
    fit_all()
    assert asked == []
