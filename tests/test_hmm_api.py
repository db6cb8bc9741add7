"""Hidden Markov models as scikit-learn's checks and users of hmmlearn take them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import fusem
from fusem import hmm
from fusem.hmm import observations
from fusem.hmm.monitor import ConvergenceMonitor
from tests.comparison import assert_bit_identical
from tests.models import fit_quietly

# The checks fit all kinds of tiny data on purpose; what they look at is not the warnings.
quiet = pytest.mark.filterwarnings(
    "ignore::fusem.exceptions.FusemWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)

SEQUENCE = "the rows are a sequence: what is said of one depends on the others"
EXPECTED = {
    "check_methods_sample_order_invariance": SEQUENCE,
    "check_methods_subset_invariance": f"{SEQUENCE}; score_samples returns a pair, as hmmlearn's does",
}
OF_ONE_COLUMN = {
    "check_n_features_in": "of the checks' columns the first is used here",
    "check_n_features_in_after_fitting": "of the checks' columns the first is used here",
    "check_positive_only_tag_during_fit": "no negative value is in the first column",
    "check_fit2d_predict1d": "a 1-D array is one column, which is what symbols are",
}


class FirstColumn(fusem.CategoricalHMM):
    """Symbols are one column, which the checks do not know."""

    def _fit(self, X, *args, **kwargs):
        return super()._fit(first_column(X), *args, **kwargs)

    def _observe(self, X, *args):
        return super()._observe(first_column(X), *args)


def first_column(X):
    return X[:, :1] if getattr(X, "ndim", 0) == 2 and isinstance(X, np.ndarray) else X


def expected_failures(estimator):
    return {**EXPECTED, **(OF_ONE_COLUMN if isinstance(estimator, FirstColumn) else {})}


@parametrize_with_checks(
    [
        model(n_iter=5)
        for model in (
            fusem.GaussianHMM,
            fusem.GMMHMM,
            fusem.HMM,
            fusem.PoissonHMM,
            FirstColumn,
            fusem.MultinomialHMM,
        )
    ],
    expected_failed_checks=expected_failures,
)
@quiet
def test_scikit_learn_checks(estimator, check):
    try:
        check(estimator)
    except TypeError as error:
        if "Cannot cast ufunc 'subtract'" not in str(error):
            raise
        pytest.skip("this scikit-learn takes a mean off whole numbers where they lie")


ROWS = np.where(np.arange(60) % 20 < 8, 0.0, 5.0)[:, None] + np.arange(60)[:, None] % 3
CHAIN = {"startprob_": np.array([0.6, 0.4]), "transmat_": np.array([[0.7, 0.3], [0.4, 0.6]])}
EMISSIONS = {
    "GaussianHMM": {"means_": [[0.0], [5.0]], "covars_": [[1.0], [1.0]]},
    "PoissonHMM": {"lambdas_": [[1.0], [9.0]]},
    "CategoricalHMM": {"emissionprob_": [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]},
    "MultinomialHMM": {"emissionprob_": [[0.2, 0.8], [0.5, 0.5]]},
}


def assembled(name, **parameters):
    model = getattr(hmm, name)(2, **parameters)
    for attribute, value in {**CHAIN, **EMISSIONS[name]}.items():
        setattr(model, attribute, np.array(value))
    return model


@pytest.mark.parametrize("name", EMISSIONS)
def test_a_model_put_together_by_hand_draws_and_decodes(name):
    model = assembled(name, random_state=0)
    X, states = model.sample(30)
    assert X.dtype == (np.float64 if name == "GaussianHMM" else np.int64)
    assert (X.shape[1], states.shape) == (2 if name == "MultinomialHMM" else 1, (30,))
    if name != "CategoricalHMM":
        assert model.n_features == X.shape[1]
    log_prob, path = model.decode(X, [10, 20])
    np.testing.assert_array_equal(path, model.predict(X, lengths=[10, 20]))
    assert log_prob <= model.score(X, lengths=[10, 20])
    copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert_bit_identical(copied.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "transmat_")


def test_the_first_state_of_a_sample_may_be_given():
    model = assembled("GaussianHMM")
    for k in (0, 1):
        assert {model.sample(2, random_state=seed, currstate=k)[1][0] for seed in range(9)} == {k}
    seconds = [model.sample(2, random_state=seed, currstate=0)[1][1] for seed in range(400)]
    assert np.mean(seconds) == pytest.approx(0.3, abs=0.1)
    with pytest.raises(ValueError, match="currstate=2: the model has states 0 to 1"):
        model.sample(2, currstate=2)


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "decode", "fit"])
def test_infinity_is_refused(method, threads, monkeypatch):
    if threads:
        monkeypatch.setattr(observations, "FEW_VALUES", 0)
        monkeypatch.setattr(observations, "PART", 7)
    X = ROWS.copy()
    X[41] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*row 41, column 0"):
        getattr(assembled("GaussianHMM"), method)(X)


def test_lengths_may_be_the_second_argument():
    model = assembled("GaussianHMM")
    for lengths in ([20, 40], (20, 40), np.array([20, 40]), [1] * 60):
        assert model.score(ROWS, lengths) == model.score(ROWS, lengths=lengths)
    fitted = [hmm.GaussianHMM(2, random_state=0, tol=1e9) for _ in range(2)]
    fitted[0].fit(ROWS, [20, 40])
    assert_bit_identical(fitted[1].fit(ROWS, lengths=[20, 40]).means_, fitted[0].means_)
    labels = np.arange(60) % 2
    assert model.score(ROWS, labels) == model.score(ROWS)


def test_whole_floats_are_lengths_in_place_of_y():
    model = assembled("GaussianHMM")
    expected = model.score(ROWS, lengths=[20, 40])
    assert model.score(ROWS, np.array([20.0, 40.0])) == expected
    assert model.score([ROWS[:20], ROWS[20:]], [20, 40]) == expected
    assert model.score(ROWS, np.zeros(60)) == model.score(ROWS)


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([20.5, 39.5], "whole numbers"),
        ([np.nan, 60], "whole numbers"),
        (["20", "40"], "whole numbers"),
        (np.array([20, "40"], dtype=object), "whole numbers"),
        ([[20, 40]], r"shape is \(1, 2\)"),
        ([], r"shape is \(0,\)"),
        ([20, 30], "sum to 50, but there are 60 rows"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_what_is_no_label_for_each_row_must_be_lengths(method, lengths, said):
    with pytest.raises(ValueError, match=said):
        getattr(assembled("GaussianHMM"), method)(ROWS, lengths)


@pytest.mark.parametrize("method", ["fit", "score", "predict"])
def test_lengths_do_not_contradict_a_list_of_sequences(method):
    model = assembled("GaussianHMM").set_params(random_state=0, n_iter=200)
    call = getattr(model, method)
    call([ROWS[:30], ROWS[30:]], lengths=[30, 30])
    with pytest.raises(ValueError, match=r"lengths are 20, 40, but the arrays .* have 30, 30 rows"):
        call([ROWS[:30], ROWS[30:]], lengths=[20, 40])


@pytest.mark.parametrize(("n_features", "shape"), [(3, (2, 4)), (None, (3, 3)), (3, (1, 2))])
def test_emission_probabilities_have_a_column_for_each_symbol(n_features, shape):
    model = fusem.CategoricalHMM(2, n_features=n_features)
    model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]
    model.emissionprob_ = np.full(shape, 1.0 / shape[1])
    with pytest.raises(ValueError, match=r"\(n_components, n_features\) = \(2, 3\), not \("):
        model.predict([[0], [1]])


@pytest.mark.parametrize("name", ["startprob_", "transmat_", "emissionprob_"])
@pytest.mark.parametrize("rounded", [lambda p: p.astype(np.float32), lambda p: p.round(6)])
def test_rounded_probabilities_are_those_divided_by_their_sum(name, rounded):
    X, exact = np.array([[0], [2], [1], [1], [2]]), np.full((3, 3), 1 / 3)
    models = [hmm.CategoricalHMM(3, init_params="", n_iter=1, tol=0.0) for _ in range(2)]
    given = rounded(exact[0] if name == "startprob_" else exact)
    shares = given.astype(np.float64)
    assert abs(shares.sum() - round(shares.sum())) > 1e-8
    for model, value in zip(models, (given, shares / shares.sum(axis=-1, keepdims=True))):
        model.startprob_, model.transmat_, model.emissionprob_ = exact[0], exact, exact
        setattr(model, name, value)
    assert models[0].score(X) == models[1].score(X)
    assert getattr(models[0], name) is given
    assert_bit_identical(models[0].fit(X).transmat_, models[1].fit(X).transmat_)


def test_fixed_rows_may_be_rounded():
    rows = np.array([[0.333333, 0.666666], [np.nan, np.nan]])
    model = hmm.GaussianHMM(2, transmat_fixed=rows, random_state=0, tol=1e9).fit(ROWS)
    np.testing.assert_array_equal(model.transmat_[0], rows[0] / rows[0].sum())


def test_probabilities_that_are_off_are_told_with_all_digits():
    model = assembled("GaussianHMM")
    model.startprob_ = np.array([0.5, 0.49998])
    with pytest.raises(ValueError, match=r"startprob_ must sum to 1 \(got 0\.99998\)"):
        model.score(ROWS)
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.7, 0.3], [0.4, 0.59998]])
    with pytest.raises(ValueError, match=r"transmat_ rows .* \[1\.      0\.99998\]"):
        model.score(ROWS)


def test_the_long_run_needs_transitions_only():
    model = hmm.PoissonHMM(2)
    with pytest.raises(NotFittedError):
        model.get_stationary_distribution()
    model.transmat_ = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(model.get_stationary_distribution(), [0.75, 0.25])


ODD = np.array([[1.0, 0.5], [0.4, 1.0]])
GOOD = {
    "full": np.array([np.eye(2)] * 2),
    "tied": np.eye(2),
    "diag": np.ones((2, 2)),
    "spherical": np.ones(2),
}


@pytest.mark.parametrize(
    ("kind", "n_mix", "value", "said"),
    [
        ("full", 0, [np.eye(2), ODD], r"covars_\[1\] \(state 1\) is not symmetric"),
        ("tied", 0, ODD, "covars_ is not symmetric"),
        ("full", 1, [[np.eye(2)], [ODD]], r"covars_\[1, 0\] \(state 1\) is not symmetric"),
        ("tied", 1, [np.eye(2), ODD], r"covars_\[1\] \(state 1\) is not symmetric"),
        ("full", 0, [np.eye(2), -np.eye(2)], r"of state\(s\) 1 .* symmetric, positive-definite"),
        ("diag", 0, [[1.0, 1.0], [0.0, 1.0]], r"of state\(s\) 1 .* must hold variances, positive"),
        ("spherical", 0, [np.nan, 1.0], r"covars_\[0\] \(state 0\) holds NaN"),
        ("spherical", 0, [[3.0, -1.0], [1.0, 1.0]], r"\(state 0\) has several variances"),
        ("spherical", 0, [[-1.0, -1.0], [1.0, 1.0]], r"of state\(s\) 0 .* variances, positive"),
        ("spherical", 0, [np.eye(2), np.diag([1.0, 9.0])], r"\(state 1\) has several variances"),
        ("spherical", 0, [np.eye(2), ODD], r"covars_\[1\] \(state 1\) is no diagonal matrix"),
        ("diag", 0, [np.eye(2), ODD], r"covars_\[1\] \(state 1\) is no diagonal matrix"),
        ("tied", 0, [np.eye(2), 2.0 * np.eye(2)], "one matrix for all states"),
        ("tied", 0, [np.eye(2), np.full((2, 2), np.nan)], "one matrix for all states"),
        ("diag", 0, [[1.0], [-1.0]], r"of state\(s\) 1 .* variances, positive"),
        ("spherical", 0, 1.0, r"covars_ must have shape \(2,\) or .* not \(\)"),
        ("diag", 0, [[1.0, 1.0]], r"covars_ must have shape \(2, d\) or .* not \(1, 2\)"),
        ("full", 0, np.eye(2), r"covars_ must have shape \(2, d, d\) for .* not \(2, 2\)"),
        ("tied", 0, np.ones(2), r"covars_ must have shape \(d, d\) or .* not \(2,\)"),
        ("full", 0, np.empty((2, 0, 0)), r"covars_ must have shape \(2, d, d\) .* not \(2, 0, 0\)"),
        ("diag", 0, np.ones((2, 3, 2)), r"covars_ must have shape \(2, d\) or .* not \(2, 3, 2\)"),
        ("full", 0, np.array([np.eye(2)] * 2) + 1j, "must hold real numbers"),
        ("diag", 0, np.ma.masked_equal([[1.0, 7.0], [1.0, 1.0]], 7.0), r"\(state 0\) holds NaN"),
        ("diag", 1, [[[1.0, -1.0]], [[1.0, 1.0]]], "of Gaussian 0 of state 0 .* variances"),
    ],
)
def test_assigned_covariances_that_are_none_are_named(kind, n_mix, value, said):
    extra = {"n_mix": n_mix} if n_mix else {}
    model = (hmm.GMMHMM if n_mix else hmm.GaussianHMM)(2, covariance_type=kind, **extra)
    model.startprob_, model.transmat_ = CHAIN.values()
    model.means_ = np.zeros((2, 1, 2) if n_mix else (2, 2))
    if not n_mix:  # at once, as hmmlearn's
        model.covars_ = before = GOOD[kind]
        with pytest.raises(ValueError, match=said):
            model.covars_ = value
        assert_bit_identical(model._covars_, before)
        return
    model.covars_, model.weights_ = np.array(value), np.ones((2, 1))
    model.set_params(init_params="")
    for call in (model.score, model.fit):
        with pytest.raises(ValueError, match=said):
            call(np.zeros((5, 2)))


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.filterwarnings("ignore::fusem.exceptions.FusemWarning")
def test_covariances_go_from_model_to_model_bit_for_bit(kind):
    model = hmm.GaussianHMM(3, covariance_type=kind, random_state=0, n_iter=3, tol=0.0).fit(ROWS)
    other = hmm.GaussianHMM(3, covariance_type=kind)
    other.covars_ = model.covars_
    assert_bit_identical(other._covars_, model._covars_)
    other.means_ = model.means_
    assert_bit_identical(other.covars_, model.covars_)
    for name in GOOD:
        if name != kind:
            with pytest.raises(AttributeError, match="which were changed: assign them or call fit"):
                _ = model.set_params(covariance_type=name).covars_
    model.set_params(covariance_type=kind, n_components=2)
    if kind != "tied":
        with pytest.raises(AttributeError, match="n_components=2, which were changed"):
            _ = model.covars_
    with pytest.raises(ValueError, match="'covariance_type' parameter"):
        hmm.GaussianHMM(3, covariance_type="full ").covars_ = np.ones((3, 2))


def test_the_number_of_columns_may_be_assigned():
    model = hmm.MultinomialHMM(2)
    model.n_features = 2
    for attribute, value in {**CHAIN, **EMISSIONS["MultinomialHMM"]}.items():
        setattr(model, attribute, np.array(value))
    assert model.n_features == 2
    with pytest.raises(ValueError, match="n_features=3, but the parameters of the states have 2"):
        model.n_features = 3


def test_what_is_not_in_params_stays_and_zeros_stay():
    model = hmm.GaussianHMM(2, params="mct", init_params="mc", random_state=0, tol=1e9)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.0, 1.0]])
    model.fit(ROWS)
    np.testing.assert_array_equal(model.startprob_, [1.0, 0.0])
    np.testing.assert_array_equal(model.transmat_[1], [0.0, 1.0])
    model.startprob_ = np.array([0.9, 0.3])
    with pytest.raises(ValueError, match="startprob_ must sum to 1"):
        model.fit(ROWS)


def test_the_monitor_says_whether_a_fit_converged():
    model = hmm.GaussianHMM(2, n_iter=2, tol=1e-9, random_state=0)
    with pytest.warns(ConvergenceWarning, match="did not converge in n_iter=2"):
        model.fit(ROWS)
    assert (model.monitor_.converged, model.monitor_.iter) == (False, 2)
    model.set_params(n_iter=100, tol=1e-2).fit(ROWS)
    assert model.monitor_.converged
    assert 0 <= model.monitor_.history[-1] - model.monitor_.history[-2] < 1e-2


class ThirdTime(ConvergenceMonitor):
    """Stops after three iterations."""

    @property
    def converged(self):
        return self.iter == 3 or self.history[-1] > 1e9


class Told:
    """What hmmlearn asks of a monitor, and no more."""

    def __init__(self):
        self.history, self.converged = [], False

    def report(self, log_prob):
        self.history.append(log_prob)
        self.converged = len(self.history) == 3


@pytest.mark.parametrize("monitor", [ThirdTime(1e-2, 99, False), Told()])
def test_ones_own_monitor_is_told_and_stops_a_fit(monitor, tmp_path):
    usual = hmm.GaussianHMM(2, random_state=0, n_iter=3, tol=0.0).fit(ROWS)
    model = hmm.GaussianHMM(2, random_state=0, n_iter=99, tol=1e9)
    model.monitor_ = monitor
    model.fit(ROWS)
    assert model.monitor_ is monitor
    assert list(monitor.history) == list(usual.monitor_.history)
    assert_bit_identical(model.means_, usual.means_)
    assert (model.converged_, model.n_iter_) == (True, 3)
    model.save(tmp_path / "hmm.npz")
    assert_bit_identical(fusem.load(tmp_path / "hmm.npz").means_, model.means_)
    if isinstance(monitor, ThirdTime):
        assert model.fit(ROWS).n_iter_ == len(monitor.history) == 3


def test_there_is_a_monitor_to_make_ones_own_of_before_a_fit():
    model = hmm.GaussianHMM(2, n_iter=50, tol=0.5, verbose=False, random_state=0)
    before = model.monitor_
    assert (before.tol, before.n_iter, before.verbose) == (0.5, 50, False)
    assert (before.iter, before.converged) == (0, False)
    assert model.monitor_ is before
    model.monitor_ = own = ThirdTime(before.tol, before.n_iter, before.verbose)
    assert repr(own).startswith("ThirdTime(")
    assert model.fit(ROWS).monitor_ is own
    assert model.n_iter_ == 3
    assert hmm.base.ConvergenceMonitor is ConvergenceMonitor  # where hmmlearn's users look for it


def test_settings_of_a_monitor_that_were_changed_say_when_to_stop():
    model = hmm.GaussianHMM(2, n_iter=50, tol=0.0, random_state=0)
    model.monitor_.tol = 1e9
    assert model.fit(ROWS).n_iter_ == 2
    assert model.fit(ROWS).n_iter_ == 2  # they stay
    model.monitor_ = ConvergenceMonitor(0.0, 5, False)
    assert model.fit(ROWS).n_iter_ == 5
    model.monitor_ = ConvergenceMonitor(0.0, -1, False)
    with pytest.raises(ValueError, match=r"monitor_\.n_iter is -1"):
        model.fit(ROWS)
    del model.monitor_
    assert model.set_params(n_iter=3).fit(ROWS).n_iter_ == 3
    model.set_params(n_iter=4)  # those of the monitor of a fit are the estimator's
    assert model.fit(ROWS).n_iter_ == 4


def test_changed_settings_outlive_starts_failures_and_files(tmp_path):
    model = hmm.GaussianHMM(2, n_iter=50, tol=1e-12, n_init=3, random_state=0, covars_prior=None)
    model.monitor_.n_iter = 2
    with pytest.warns(ConvergenceWarning, match="n_iter=2"):
        model.fit(ROWS)
    history = list(model.monitor_.history)
    assert len(history) == model.n_iter_ == 2
    assert history[-1] == model.history_["log_likelihood"][-1]  # of the start that was kept
    with pytest.raises(ValueError, match="lengths"):
        model.fit(ROWS, lengths=[1])
    assert list(model.monitor_.history) == history
    model.save(tmp_path / "model.npz")
    assert not fusem.load(tmp_path / "model.npz").monitor_.is_as_given


def test_a_monitor_that_is_none_is_refused():
    model = hmm.GaussianHMM(2)
    model.monitor_ = print
    with pytest.raises(ValueError, match=r"monitor_ must have report\(log_prob\) and converged"):
        model.fit(ROWS)


@pytest.mark.filterwarnings("ignore:States .* are alike")  # that is where some starts end
def test_the_start_that_ends_highest_is_kept():
    kept = hmm.GaussianHMM(3, n_init=4, random_state=5, n_iter=50).fit(ROWS)
    seeds = np.random.RandomState(5).randint(2**31, size=4)
    each = [hmm.GaussianHMM(3, random_state=int(s), n_iter=50).fit(ROWS) for s in seeds]
    ends = [model.history_["log_likelihood"][-1] for model in each]
    assert len(set(ends)) > 1
    assert kept.history_["log_likelihood"][-1] == max(ends)
    assert_bit_identical(kept.means_, each[int(np.argmax(ends))].means_)


def test_without_anything_drawn_there_is_one_start(monkeypatch):
    starts = []
    model = assembled("GaussianHMM", n_init=5, init_params="c", tol=1e9)
    monkeypatch.setattr(model, "_tell_overwritten", lambda: None)
    own = model._start
    monkeypatch.setattr(model, "_start", lambda *given: starts.append(1) or own(*given))
    model.fit(ROWS)
    assert len(starts) == 1


def test_the_first_error_is_raised_where_every_start_fails():
    with pytest.raises(ValueError, match="n_samples = 2 rows are fewer than n_components = 3"):
        hmm.GaussianHMM(3, n_init=3).fit(ROWS[:2])
    with pytest.raises(ValueError, match="n_init"):
        hmm.GaussianHMM(3, n_init=0).fit(ROWS)


def test_not_fitted_and_too_few_rows():
    with pytest.raises(NotFittedError):
        hmm.GaussianHMM(2).predict(ROWS)
    with pytest.raises(ValueError, match="n_samples = 1: one row has no variance"):
        hmm.GaussianHMM(1).fit(ROWS[:1])
    for bad, word in (
        (-1, "Negative values in data where counts"),
        (0.5, "A fraction where counts"),
    ):
        counts = np.array([[1.0], [0.25], [bad]])
        with pytest.raises(ValueError, match=word):
            hmm.PoissonHMM(1).fit(counts[1:] if bad < 0 else counts)
    with pytest.raises(ValueError, match=r"NaN at row 1, column 0.*make all of their"):
        hmm.MultinomialHMM(1).fit([[1.0, 2.0], [np.nan, 2.0]])


def test_more_parameters_than_values_are_logged(caplog):
    few = hmm.GaussianHMM(3, "full", random_state=0, n_iter=2, tol=0.0)
    fit_quietly(few, ROWS[:8])
    assert f"are fitted to {ROWS[:8].size} values" in caplog.text
    assert f"{few._n_parameters()} free parameters" in caplog.text
    caplog.clear()
    fit_quietly(hmm.GaussianHMM(3, "full", random_state=0, n_iter=2, tol=0.0), ROWS)
    assert not caplog.text


def test_codes_given_for_counts_are_logged(caplog):
    codes = np.arange(40)[:, None] % 3
    fit_quietly(hmm.MultinomialHMM(2, random_state=0, n_iter=2, tol=0.0), codes)
    assert "CategoricalHMM" in caplog.text
    caplog.clear()
    fit_quietly(hmm.MultinomialHMM(2, random_state=0, n_iter=2, tol=0.0), np.hstack([codes, codes]))
    assert not caplog.text
