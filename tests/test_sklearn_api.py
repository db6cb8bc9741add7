"""A drop-in for scikit-learn's mixture: its checks, tools, attributes and answers."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Peer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fusem
from tests.cases import CASES
from tests.comparison import (
    assert_bit_identical,
    assert_same_model,
    assert_within,
)
from tests.models import fit_quietly, model_at, pair, stepped
from tests.reference import Parameters

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)

# The checks fit all kinds of tiny data on purpose; what they look at is not the warnings.
quiet = pytest.mark.filterwarnings(
    "ignore::fusem.exceptions.FusemWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)


@parametrize_with_checks(
    [fusem.GaussianMixture(covariance_type=case.covariance_type, max_iter=5) for case in CASES]
)
@quiet
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_same_parameters_and_defaults():
    ours, theirs = fusem.GaussianMixture().get_params(), Peer().get_params()
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) == {"n_jobs"}
    assert ours["n_jobs"] == -1


@by_type
def test_same_answers_as_scikit_learn(case):
    X = case.data(900)
    arguments = case.start_arguments(case.start())
    ours, peer = fusem.GaussianMixture(**arguments).fit(X), Peer(**arguments).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), peer.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
    for name in ("score", "aic", "bic"):
        assert getattr(ours, name)(X) == pytest.approx(getattr(peer, name)(X), rel=1e-9)
        assert isinstance(getattr(ours, name)(X), float)
    for name in ("precisions_", "precisions_cholesky_"):
        expected = getattr(peer, name)
        assert getattr(ours, name).shape == expected.shape
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-7, atol=1e-9)
    assert ours.predict(X).dtype == peer.predict(X).dtype


@by_type
def test_fit_predict_is_fit_then_predict(case):
    X = case.data(900)
    ours, other = pair(case)[0], pair(case)[0]
    labels = ours.fit_predict(X)
    np.testing.assert_array_equal(labels, other.fit(X).predict(X))
    assert_same_model(ours, other)
    weights = np.random.default_rng(0).uniform(size=len(X))
    weighted = ours.fit_predict(X, sample_weight=weights)
    np.testing.assert_array_equal(weighted, other.fit(X, sample_weight=weights).predict(X))


@by_type
def test_samples_are_scikit_learns(case):
    X = case.data(900)
    ours, peer = pair(case)
    ours.fit(X)
    peer.weights_, peer.means_ = ours.weights_, ours.means_
    peer.covariances_, peer.precisions_cholesky_ = ours.covariances_, ours.precisions_cholesky_
    rows, labels = ours.sample(500)
    expected, expected_labels = peer.sample(500)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-9)


@by_type
def test_clone_and_pickle(case):
    X = case.data(900)
    model = pair(case)[0].fit(X)
    unfitted = clone(model)
    assert not hasattr(unfitted, "means_")
    assert unfitted.get_params() == model.get_params()
    copied = pickle.loads(pickle.dumps(model))
    assert_same_model(copied, model)
    assert_bit_identical(copied.predict_proba(X), model.predict_proba(X))
    assert_bit_identical(copied.history_, model.history_)


@by_type
def test_pipeline_and_grid_search(case):
    X = case.data(900) * 100.0
    pipeline = make_pipeline(StandardScaler(), pair(case)[0])
    assert pipeline.fit(X).predict(X).shape == (900,)
    grid = {"gaussianmixture__n_components": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}
    weights = np.ones(len(X))
    pipeline.fit(X, gaussianmixture__sample_weight=weights)
    assert np.isfinite(pipeline.score(X))


@by_type
def test_feature_names(case):
    pd = pytest.importorskip("pandas")
    X = case.data(900, n_features=2)
    table = pd.DataFrame(X, columns=["height", "weight"])
    model = pair(case)[0].fit(table)
    assert model.n_features_in_ == 2
    assert list(model.feature_names_in_) == ["height", "weight"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[["weight", "height"]])
    assert not hasattr(pair(case)[0].fit(X), "feature_names_in_")
    plain = pair(case)[0].fit(X)
    with pytest.warns(
        UserWarning, match="has feature names, but GaussianMixture was fitted without"
    ):
        plain.predict(table)


@by_type
def test_refit_forgets_feature_names(case):
    pd = pytest.importorskip("pandas")
    X = case.data(900, n_features=2)
    model = pair(case)[0].fit(pd.DataFrame(X, columns=["height", "weight"]))
    assert not hasattr(model.fit(X), "feature_names_in_")


@by_type
def test_attributes_without_fit(case):
    """A model whose attributes are assigned predicts as one that was fitted."""
    X = case.data(900)
    fitted = stepped(case, X)
    for name in ("covariances_", "precisions_cholesky_", "precisions_"):
        model = fusem.GaussianMixture(case.n_components, covariance_type=case.covariance_type)
        model.weights_, model.means_ = fitted.weights_, fitted.means_
        setattr(model, name, getattr(fitted, name))
        np.testing.assert_allclose(model.score_samples(X), fitted.score_samples(X), rtol=1e-12)
        np.testing.assert_allclose(model.covariances_, fitted.covariances_, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(model.precisions_, fitted.precisions_, rtol=1e-10, atol=1e-12)
        assert model.update(model.statistics(X)) == pytest.approx(fitted.score(X), rel=1e-12)
        rows, _ = model.sample(10)
        assert rows.shape == (10, case.n_features)


@by_type
def test_assigned_attributes_are_the_model(case):
    """After `fit`, assigning one attribute changes what the others say."""
    X = case.data(900)
    model = stepped(case, X)
    before = model.score(X)
    model.covariances_ = 4.0 * model.covariances_
    params = Parameters(model.weights_, model.means_, model.covariances_)
    assert model.score(X) != before
    assert model.score(X) == pytest.approx(case.twin.log_likelihoods(X, params).mean(), rel=1e-11)
    inverse = case.invert(model.covariances_)
    np.testing.assert_allclose(model.precisions_, inverse, rtol=1e-9, atol=1e-12)
    model.means_ = model.means_ + 1.0
    params = params._replace(means=model.means_)
    assert model.score(X) == pytest.approx(case.twin.log_likelihoods(X, params).mean(), rel=1e-11)


@by_type
def test_derived_attributes_do_not_change_the_model_behind_its_back(case):
    model = stepped(case, case.data(900))
    for name in ("precisions_", "precisions_cholesky_"):
        before = np.array(getattr(model, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[...] = 1.0
        assert_bit_identical(getattr(model, name), before)


@by_type
def test_convergence_warning(case):
    model = pair(case, init_params="random", max_iter=2, tol=0.0)[0]
    with pytest.warns(ConvergenceWarning, match="did not converge.*max_iter"):
        model.fit(case.data(900))
    assert not model.converged_


@by_type
def test_fit_does_not_change_what_it_was_given(case):
    X = case.data(900)
    start = case.start()
    model = model_at(case, start)
    given = {
        name: np.copy(value) for name, value in model.get_params().items() if value is not None
    }
    rows, weights = X.copy(), np.ones(len(X))
    model.fit(X, sample_weight=weights)
    assert_bit_identical(X, rows)
    assert_bit_identical(weights, np.ones(len(X)))
    for name, value in given.items():
        np.testing.assert_array_equal(model.get_params()[name], value)
    model.means_[0] = 0.0
    assert_bit_identical(model.means_init, start.means)


@by_type
def test_verbose_prints_as_scikit_learn(case, capsys):
    X = case.data(900)
    ours, peer = pair(case, verbose=1, verbose_interval=1, max_iter=4, tol=0.0)
    fit_quietly(ours, X)
    said = capsys.readouterr().out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(X)
    assert said == capsys.readouterr().out


@by_type
def test_live_records(case):
    """The hook for live output hears of every sweep, of every start."""
    records = []
    model = pair(case, n_init=2, max_iter=3, tol=0.0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model._fit(case.data(900), on_iteration=records.append)
    assert [(record.start, record.iteration) for record in records] == [
        (start, iteration) for start in (0, 1) for iteration in (1, 2, 3)
    ]
    assert model.lower_bound_ in [record.log_likelihood for record in records]
    assert all(record.seconds >= 0 and record.rows_per_second > 0 for record in records)


@by_type
def test_default_tolerances_hold_for_the_comparison(case):
    """`assert_within` is the comparison all of the above rest on: it sees a step of EM."""
    X = case.data(900)
    one, other = stepped(case, X, steps=2), stepped(case, X, steps=3)
    with pytest.raises(AssertionError):
        assert_within(one.means_, other.means_, 1e-9, "means")


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_fit_returns(method):
    X = CASES[0].data(900)
    model = pair(CASES[0])[0]
    result = getattr(model, method)(X)
    assert result is model if method == "fit" else result.shape == (900,)


def test_attributes_may_be_lists_and_in_any_order():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = fusem.GaussianMixture(2)
    model.precisions_ = [np.eye(2), np.eye(2)]
    model.weights_, model.means_ = [0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]]
    expected = ((X[:, 0] + X[:, 1]) > 1.0).astype(int)
    np.testing.assert_array_equal(model.predict(X), expected)
    model.covariances_ = np.zeros((2, 2, 2))
    with pytest.raises(ValueError, match="Covariances 0, 1 of this GaussianMixture cannot be used"):
        model.predict(X)


def test_proba_file_has_the_usual_permissions(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 2))
    fusem.GaussianMixture(1).fit(X).predict_proba(X, out=tmp_path / "proba.npy")
    (tmp_path / "other").touch()
    mode = (tmp_path / "proba.npy").stat().st_mode
    assert mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "proba.npy"]


def test_covariances_that_nobody_set_are_no_attribute():
    model = fusem.GaussianMixture(1)
    model.means_ = np.zeros(3)
    assert not hasattr(model, "covariances_")
    with pytest.raises(AttributeError, match="has no covariances yet"):
        model.precisions_cholesky_  # noqa: B018
