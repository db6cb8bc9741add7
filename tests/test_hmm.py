"""Hidden Markov models as users meet them: published fits, hmmlearn's iterates, hard inputs."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import fusem
from fusem import CategoricalHMM, GaussianHMM, GaussianMixture, MultinomialHMM, PoissonHMM
from fusem.exceptions import (
    ConstantColumnWarning,
    DegenerateComponentWarning,
    EmptyComponentWarning,
)
from fusem.hmm.observations import Observations
from tests.comparison import assert_bit_identical
from tests.hmms import chain, expected
from tests.reference_hmm import smoothed
from tests.traced import traced_peak

DATA = json.loads((Path(__file__).parent / "data" / "hmm.json").read_text(encoding="utf-8"))
QUAKES = np.array(DATA["earthquakes"]["counts"])[:, None]
RT = np.array(DATA["speed"]["rt"])[:, None]
RUNS = DATA["hmmlearn"]["runs"]
COVARIANCES = ("diag", "full", "tied", "spherical")


def fitted(model, X, *args, **kwargs):
    """Fit without the warning that few iterations do not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, *args, **kwargs)


def assembled(given, **kwargs):
    """A GaussianHMM with independent columns at the parameters of a drawn chain."""
    model = GaussianHMM(len(given.model.start), init_params="", **kwargs)
    model.startprob_, model.transmat_ = given.model.start, given.model.transitions
    model.means_, model.covars_ = given.emission.means, given.emission.covariances
    return model


# ---- published numbers ----


@pytest.mark.parametrize("states", ["2", "3"])
def test_every_iterate_of_the_earthquakes(states):
    iterates = DATA["earthquakes"]["iterates"][states]
    for before, after in pairwise(iterates[:6]):
        model = PoissonHMM(int(states), init_params="", n_iter=1)
        model.startprob_, model.transmat_ = np.array(before["d"]), np.array(before["A"])
        model.startprob_ = model.startprob_ / model.startprob_.sum()
        model.lambdas_ = np.array(before["lam"])[:, None]
        assert model.score(QUAKES) == pytest.approx(before["ll"], abs=1e-8)
        fitted(model, QUAKES)
        np.testing.assert_allclose(model.lambdas_.ravel(), after["lam"], rtol=1e-9)
        np.testing.assert_allclose(model.transmat_, after["A"], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(model.startprob_, after["d"], rtol=1e-7, atol=1e-12)
    model = PoissonHMM(int(states), init_params="", n_iter=31, tol=0.0)
    model.startprob_, model.transmat_ = np.array(iterates[0]["d"]), np.array(iterates[0]["A"])
    model.lambdas_ = np.array(iterates[0]["lam"])[:, None]
    history = fitted(model, QUAKES).monitor_.history
    for iterate in iterates:
        assert history[iterate["iter"]] == pytest.approx(iterate["ll"], abs=1e-8)


def best_of(make, X, lengths, starts):
    """The highest log-likelihood of some random starts."""
    models = [fitted(make(seed), X, lengths=lengths) for seed in range(starts)]
    return max(models, key=lambda model: model.score(X, lengths=lengths))


def test_the_optimum_of_the_earthquakes():
    model = best_of(
        lambda seed: PoissonHMM(3, random_state=seed, n_iter=500, tol=1e-9), QUAKES, None, 3
    )
    found = DATA["earthquakes"]["log_likelihoods"]["3"]
    assert model.score(QUAKES) == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize(
    ("series", "lengths"), [("one", None), ("three", DATA["speed"]["lengths"])]
)
def test_the_optimum_of_the_response_times(series, lengths):
    model = best_of(
        lambda seed: GaussianHMM(2, random_state=seed, n_iter=2000, tol=1e-10, covars_prior=None),
        RT,
        lengths,
        2,
    )
    found = DATA["speed"][f"{series}_series"]["2"]
    assert model.score(RT, lengths=lengths) == pytest.approx(found, abs=1e-5)
    if series == "three":
        order = np.argsort(model.means_.ravel())
        np.testing.assert_allclose(model.means_.ravel()[order], DATA["speed"]["means_2"], rtol=1e-4)


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_iterates_are_those_of_hmmlearn(number):
    given = RUNS[number]
    X = np.array(given["X"])
    model = getattr(fusem, given["estimator"])(
        3, n_iter=4, tol=0.0, init_params="", **given["arguments"]
    )
    for name, value in given["start"].items():
        setattr(model, name, np.array(value))
    fitted(model, X, lengths=DATA["hmmlearn"]["lengths"])
    np.testing.assert_allclose(model.monitor_.history, given["history"], rtol=1e-10)
    for name, value in given["end"].items():
        found = getattr(model, name if name != "covars_" else "_covars_")
        value = np.array(value)
        if given["arguments"].get("covariance_type") == "spherical" and name == "covars_":
            value = value[:, 0]
        np.testing.assert_allclose(found, value, rtol=1e-8, atol=1e-10, err_msg=name)


# ---- what EM promises ----


@pytest.mark.parametrize("covariance_type", COVARIANCES)
@pytest.mark.parametrize("prior", [None, 0.3])
def test_the_objective_never_falls(covariance_type, prior):
    given = chain("gaussian_diag", 3, [40, 60, 1], seed=4)
    model = GaussianHMM(
        3, covariance_type=covariance_type, covars_prior=prior, covars_weight=3.0, means_weight=0.5,
        transmat_prior=1.4, n_iter=40, tol=0.0, random_state=0,
    )  # fmt: skip
    fitted(model, given.X, lengths=given.lengths)
    steps = np.diff(model.history_["log_likelihood"])
    assert len(steps) == 39
    assert steps.min() >= -1e-10 * abs(model.history_["log_likelihood"][-1])


def test_equal_rows_of_transitions_make_a_mixture():
    given = chain("gaussian_diag", 3, [500])
    model = assembled(given)
    weights = np.array([0.2, 0.5, 0.3])
    model.startprob_, model.transmat_ = weights, np.tile(weights, (3, 1))
    mixture = GaussianMixture(
        3, covariance_type="diag", weights_init=weights, means_init=model.means_,
        precisions_init=1.0 / given.emission.covariances, max_iter=0,
    ).fit(given.X)  # fmt: skip
    assert model.score(given.X) == pytest.approx(mixture.score_samples(given.X).sum(), rel=1e-12)
    np.testing.assert_allclose(
        model.predict_proba(given.X), mixture.predict_proba(given.X), atol=1e-12
    )
    assert (model.predict(given.X) == mixture.predict(given.X)).all()


def test_sequences_do_not_leak_into_each_other():
    given = chain("gaussian_diag", 3, [30, 1, 50])
    model = assembled(given)
    parts = np.split(given.X, [30, 31])
    alone = [model.score_samples(part) for part in parts]
    together = model.score_samples(given.X, given.lengths)
    assert together[0] == pytest.approx(sum(value for value, _ in alone), rel=1e-13)
    np.testing.assert_allclose(together[1], np.vstack([proba for _, proba in alone]), atol=1e-13)
    assert model.predict(given.X, given.lengths).tolist() == [
        state for part in parts for state in model.predict(part)
    ]
    assert model.score(given.X) != pytest.approx(together[0])


def test_a_weight_is_a_repetition_and_zero_is_absence():
    given = chain("gaussian_diag", 3, [30, 20, 50])
    parts = np.split(given.X, [30, 50])
    once = fitted(assembled(given, n_iter=3), given.X, lengths=given.lengths,
                  sequence_weight=[2.0, 0.0, 1.0])  # fmt: skip
    twice = fitted(assembled(given, n_iter=3), [parts[0], parts[0], parts[2]])
    for name in ("startprob_", "transmat_", "means_", "covars_"):
        np.testing.assert_allclose(getattr(once, name), getattr(twice, name), rtol=1e-10)


def test_probabilities_of_the_states_are_the_twins():
    given = chain("gaussian_diag", 3, [300, 2])
    evidence, gamma, _, _ = expected(given)
    model = assembled(given)
    value, proba = model.score_samples(given.X, given.lengths)
    assert value == pytest.approx(evidence.sum(), rel=1e-12)
    np.testing.assert_allclose(proba, gamma, atol=1e-10)
    value, states = model.decode(given.X, given.lengths, algorithm="map")
    assert (states == gamma.argmax(axis=1)).all()
    assert value == pytest.approx(gamma.max(axis=1).sum())


def test_float32_rows_are_near_float64():
    given = chain("gaussian_diag", 3, [4000])
    double = fitted(assembled(given, n_iter=3), given.X)
    single = fitted(assembled(given, n_iter=3), given.X.astype(np.float32))
    np.testing.assert_allclose(single.means_, double.means_, atol=2e-5)
    np.testing.assert_allclose(single.transmat_, double.transmat_, atol=2e-5)
    assert single.predict_proba(given.X.astype(np.float32)).dtype == np.float32


def test_threads_change_no_bit():
    given = chain("gaussian_diag", 3, [6000, 50, 3000])
    models = [
        fitted(assembled(given, n_iter=3, n_jobs=n_jobs), given.X, lengths=given.lengths)
        for n_jobs in (1, 2)
    ]
    for name in ("startprob_", "transmat_", "means_", "covars_"):
        assert_bit_identical(*(getattr(model, name) for model in models))
    assert_bit_identical(*(model.predict_proba(given.X, given.lengths) for model in models))


def test_integers_lists_and_memory_maps_are_the_same_rows(tmp_path):
    X = QUAKES
    model = PoissonHMM(2, random_state=0, n_iter=5)
    expected_ = fitted(clone(model), X.astype(float)).lambdas_
    np.save(tmp_path / "rows.npy", X.astype(np.uint8))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for rows in (X, X.astype(np.uint8), np.asfortranarray(X), mapped, X.ravel(), [X]):
        assert_bit_identical(fitted(clone(model), rows).lambdas_, expected_)


def test_streams_are_read_once_into_a_file(monkeypatch):
    given = chain("gaussian_diag", 3, [600, 1000])
    expected_ = fitted(assembled(given), given.X, lengths=given.lengths).means_
    monkeypatch.setattr("fusem.hmm.spool.MEMORY", 1000)
    monkeypatch.setattr("fusem.hmm.spool.PART", 256)
    for rows in (lambda: iter(np.array_split(given.X, 7)), np.array_split(given.X, [600])):
        lengths = None if isinstance(rows, list) else given.lengths
        observations = Observations(rows, lengths)
        assert isinstance(observations.part(0, 5).base, np.memmap)
        found = fitted(assembled(given), rows, lengths=lengths)
        assert_bit_identical(found.means_, expected_)


def test_no_posterior_of_all_rows_is_kept():
    X = np.random.default_rng(0).standard_normal((400_000, 1)).astype(np.float32)
    model = GaussianHMM(8, n_iter=1, init_params="", n_jobs=1)
    model.startprob_, model.transmat_ = np.full(8, 0.125), np.full((8, 8), 0.125)
    model.means_, model.covars_ = np.linspace(-2, 2, 8)[:, None], np.ones((8, 1))
    fitted(model, X[:20_000])
    peak = traced_peak(lambda: fitted(model, X))
    assert peak < 5_000_000  # a float64 posterior of all rows and states takes 26 MB


# ---- hard inputs ----


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_sums_that_overflow_are_told(covariance_type):
    """Densities are numbers, but squares that single precision holds sum to more than it does."""
    X = np.where(np.arange(400) % 2, 5e18, -5e18)[:, None].astype(np.float32)
    model = GaussianHMM(2, covariance_type=covariance_type, init_params="")
    model.startprob_, model.transmat_ = np.full(2, 0.5), np.full((2, 2), 0.5)
    shape = {"diag": (2, 1), "full": (2, 1, 1), "tied": (1, 1), "spherical": (2,)}[covariance_type]
    model.means_, model.covars_ = np.array([[0.0], [1.0]]), np.ones(shape)
    with pytest.raises(ValueError, match=r"sums over X overflow float32: scale .* float64"):
        model.fit(X)
    with pytest.warns(DegenerateComponentWarning, match=r"^States 0, 1 are alike"):
        assert np.isfinite(fitted(model, X.astype(float)).means_).all()


def test_states_that_are_alike_are_named():
    """Two begin alike and stay so."""
    X = np.random.default_rng(0).normal([0.0, 5.0], size=(300, 2))
    model = GaussianHMM(3, n_iter=3, tol=0.0, init_params="", covars_prior=None)
    model.startprob_, model.transmat_ = np.full(3, 1 / 3), np.full((3, 3), 1 / 3)
    model.means_, model.covars_ = np.array([[0.0, 5.0], [0.9, 4.0], [0.0, 5.0]]), np.ones((3, 2))
    with pytest.warns(DegenerateComponentWarning, match=r"^States 0, 2 are alike: .*another start"):
        model.fit(X)
    model.set_params(params="st").fit(X)  # as they were given: a warning would be an error
    model.set_params(params="stmc").means_[2] += 0.3
    model.fit(X)


@pytest.mark.parametrize("covariance_type", ["diag", "full"])
def test_rows_a_hundred_thousand_deviations_away(covariance_type):
    given = chain("gaussian_diag", 3, [200])
    X = given.X.copy()
    X[[50, 120]] = 1e5, -1e5
    model = GaussianHMM(3, covariance_type=covariance_type, random_state=0, n_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateComponentWarning)
        fitted(model, X)
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.predict_proba(X)).all()
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def hindered(start, moves, means):
    """A model with transitions that are impossible, and variances of 1."""
    model = GaussianHMM(len(start))
    model.startprob_, model.transmat_ = np.array(start), np.array(moves, dtype=float)
    model.means_, model.covars_ = np.array(means)[:, None], np.ones((len(start), 1))
    return model


@pytest.mark.parametrize(
    ("start", "moves", "means", "X"),
    [
        ([1.0, 0.0], np.eye(2), [0.0, 100.0], [100.0, 100.0, 100.0]),
        ([0.5, 0.5], np.eye(2), [0.0, 10.0], [20.5, -9.0, -9.0, -9.0]),
        (
            [1.0, 0.0, 0.0],
            [[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]],
            [0.0, 5.0, 10.0],
            [0.0, 0.0, 40.0, 0.0, 0.0, 5.0, 5.0, 10.0],
        ),
    ],
)
def test_what_few_paths_allow_is_not_lost_to_rounding(start, moves, means, X):
    """The state that is possible has a density that is nothing beside those of the others."""
    model, X = hindered(start, moves, means), np.array(X)[:, None]
    logs = -0.5 * (X - model.means_.T) ** 2 - 0.5 * np.log(2.0 * np.pi)
    expected = smoothed(model.startprob_, model.transmat_, logs)[0]
    assert model.score(X) == pytest.approx(expected, rel=1e-12)
    assert model.score_samples(X)[0] == pytest.approx(expected, rel=1e-12)
    assert model.bic(X) == pytest.approx(
        -2.0 * expected + model._n_parameters() * np.log(len(X)), rel=1e-12
    )


def test_a_million_steps_do_not_underflow():
    rng = np.random.default_rng(0)
    X = rng.integers(3, size=(1_000_000, 1), dtype=np.uint8)
    model = CategoricalHMM(2, init_params="", n_iter=1)
    model.startprob_, model.transmat_ = np.array([0.6, 0.4]), np.array([[0.9, 0.1], [0.2, 0.8]])
    model.emissionprob_ = np.array([[0.5, 0.3, 0.2], [0.1, 0.4, 0.5]])
    value = model.score(X)
    assert -1.2e6 < value < -1.0e6
    assert value == pytest.approx(fitted(model, X).monitor_.history[0], rel=1e-12)


def test_an_impossible_sequence_is_named():
    model = CategoricalHMM(2, init_params="")
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.0, 1.0]])
    model.emissionprob_ = np.array([[1.0, 0.0], [0.0, 1.0]])
    X, lengths = np.array([0, 0, 1, 1, 0, 1])[:, None], [3, 3]
    assert model.score(X[:3]) == pytest.approx(np.log(0.25))
    assert model.score(X, lengths=lengths) == -np.inf
    with pytest.raises(ValueError, match=r"Sequence 1 \(rows 3 to 5\) is impossible"):
        model.fit(X, lengths=lengths)
    assert model.transmat_[1, 0] == 0.0
    assert "monitor_" not in vars(model)
    X, lengths = np.concatenate([X, X[3:]]), [3, 3, 3]
    with pytest.raises(ValueError, match=r"Sequence 2 \(rows 6 to 8\) is impossible"):
        model.fit(X, lengths=lengths, sequence_weight=[1.0, 0.0, 1.0])


def test_an_unseen_symbol_is_named():
    model = fitted(CategoricalHMM(2, random_state=0), np.array([[0], [1], [1], [0]]))
    with pytest.raises(ValueError, match="code 2 at row 1"):
        model.predict(np.array([[0], [2]]))
    with pytest.raises(ValueError, match="2 columns"):
        model.fit(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("X", "said"), [([[1.0], [-2.0]], "-2 at row 1"), ([[0.5], [2.0]], "0.5 at row 0")]
)
@pytest.mark.parametrize("cls", [PoissonHMM, CategoricalHMM, MultinomialHMM])
def test_counts_that_are_none_are_refused(cls, X, said):
    with pytest.raises(ValueError, match=said):
        cls(1).fit(np.array(X))


@pytest.mark.parametrize("model", [CategoricalHMM(2), fusem.HMM(2, "categorical")])
def test_codes_too_large_for_a_probability_each_are_refused(model):
    with pytest.raises(ValueError, match=r"Codes up to 1000000000 in column 0 make 2000000002"):
        model.fit(np.array([[10**9], [1]]))


def test_counts_that_are_all_zero_are_legal():
    model = fitted(PoissonHMM(2, random_state=0), np.zeros((20, 1)))
    np.testing.assert_array_equal(model.lambdas_, 0.0)
    assert model.score(np.zeros((5, 1))) == pytest.approx(0.0, abs=1e-12)
    assert model.score(np.array([[0.0], [3.0]])) == -np.inf


def test_a_state_of_equal_rows_keeps_its_covariance_and_is_named():
    X = np.concatenate([np.random.default_rng(0).standard_normal((50, 2)), np.full((9, 2), 7.0)])
    model = GaussianHMM(2, covariance_type="full", covars_prior=None, random_state=0, n_iter=20)
    with pytest.warns(DegenerateComponentWarning, match=r"state\(s\) [01] would be singular"):
        fitted(model, X)
    assert np.isfinite(model.score(X))
    assert np.diff(model.history_["log_likelihood"]).min() > -1e-9


@pytest.mark.parametrize("given", [np.asarray, lambda X: pd.DataFrame(X, columns=["a", "b"])])
def test_a_constant_column_is_named(given):
    X = np.column_stack([np.tile([1.0, 2.0, 4.0], 20), np.full(60, 7.0)])
    name = "column 1" if given is np.asarray else "column 'b'"
    with pytest.warns(ConstantColumnWarning, match=f"^Nothing varies in {name}: .* Drop it"):
        GaussianHMM(2, random_state=0).fit(given(X))
    PoissonHMM(2, random_state=0).fit(given(X))  # a rate like others; a warning would be an error


def test_states_without_a_way_out_keep_their_row():
    model = GaussianHMM(2, init_params="", n_iter=2, covars_prior=None)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.5, 0.5], [0.3, 0.7]])
    model.means_, model.covars_ = np.array([[0.0], [9.0]]), np.ones((2, 1))
    X = np.random.default_rng(0).standard_normal((4, 1))
    with pytest.warns(EmptyComponentWarning, match=r"Their rows of transmat_ keep their last"):
        fitted(model, X, lengths=[1, 1, 1, 1])
    np.testing.assert_array_equal(model.transmat_, [[0.5, 0.5], [0.3, 0.7]])
    assert np.isfinite(model.score(X))
    model.set_params(transmat_prior=3.0)
    with pytest.warns(
        EmptyComponentWarning, match=r"rows of transmat_ are those of transmat_prior"
    ):
        fitted(model, X, lengths=[1, 1, 1, 1])
    np.testing.assert_array_equal(model.transmat_, 0.5)
    model.set_params(transmat_prior=[[1.0, 1.0], [1.0, 2.0]])
    said = r"sequence\. Rows 0 of .* keep their last values\. Rows 1 of .* transmat_prior alone\.$"
    with pytest.warns(EmptyComponentWarning, match=said):
        fitted(model, X, lengths=[1, 1, 1, 1])
    np.testing.assert_array_equal(model.transmat_, [[0.5, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("startprob_", [0.5, 0.6], "startprob_ must sum to 1"),
        ("startprob_", [1.0], "shape"),
        ("transmat_", [[1.0, 0.0], [0.0, 0.0]], "transmat_ rows must sum to 1"),
        ("transmat_", [[1.1, -0.1], [0.5, 0.5]], r"transmat_\[0, 1\] is -0.1"),
        ("means_", [0.0, 1.0], "means_ must have shape"),
    ],
)
def test_wrong_parameters_are_named(name, value, said):
    given = chain("gaussian_diag", 2, [5], d=1)
    model = assembled(given)
    setattr(model, name, np.array(value))
    for call in (lambda: model.score(given.X), lambda: model.fit(given.X)):
        with pytest.raises(ValueError, match=said):
            call()


def test_what_else_is_refused():
    X = np.random.default_rng(0).standard_normal((10, 2))
    with pytest.raises(ValueError, match="fewer than n_components"):
        GaussianHMM(11).fit(X)
    with pytest.raises(ValueError, match="init_params='mc' leaves startprob_"):
        GaussianHMM(2, init_params="mc").fit(X)
    with pytest.raises(ValueError, match="sequence_weight"):
        GaussianHMM(1).fit(X, lengths=[5, 5], sequence_weight=[1.0, -1.0])
    with pytest.raises(ValueError, match="one weight per sequence"):
        GaussianHMM(1).fit(X, lengths=[5, 5], sequence_weight=np.ones(10))
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="row 3, column 1"):
        GaussianHMM(2).fit(X)
    with pytest.raises(NotFittedError):
        GaussianHMM(2).predict(X)
    with pytest.raises(ValueError, match="algorithm"):
        fitted(GaussianHMM(1), X[:3]).decode(X[:3], algorithm="best")


def test_missing_values_are_fitted():
    given = chain("gaussian_diag", 2, [400], seed=3)
    X = given.X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    model = assembled(given, n_iter=20, tol=0.0, covars_prior=None)
    fitted(model, X)
    steps = np.diff(model.history_["log_likelihood"])
    assert steps.min() > -1e-9
    assert np.isfinite(model.predict_proba(X)).all()
    assert set(model.predict(X)) <= {0, 1}


# ---- hmmlearn's ways ----


def test_lengths_may_stand_in_place_of_y():
    given = chain("gaussian_diag", 2, [30, 20])
    by_name = fitted(assembled(given), given.X, lengths=[30, 20])
    in_place = fitted(assembled(given), given.X, [30, 20])
    assert_bit_identical(by_name.means_, in_place.means_)
    listed = fitted(assembled(given), [given.X[:30], given.X[30:]])
    assert_bit_identical(by_name.means_, listed.means_)
    ignored = fitted(assembled(given), given.X, np.zeros(50, dtype=int))
    assert_bit_identical(ignored.means_, fitted(assembled(given), given.X).means_)
    assert in_place.score(given.X, [30, 20]) == by_name.score(given.X, lengths=[30, 20])


def test_samples_follow_the_model():
    given = chain("gaussian_diag", 3, [5])
    model = assembled(given)
    X, states = model.sample(20_000, random_state=0)
    assert X.shape == (20_000, 2)
    moves = np.zeros((3, 3))
    np.add.at(moves, (states[:-1], states[1:]), 1.0)
    np.testing.assert_allclose(moves / moves.sum(axis=1, keepdims=True), model.transmat_, atol=0.02)
    for k in range(3):
        np.testing.assert_allclose(X[states == k].mean(axis=0), model.means_[k], atol=0.08)
    assert (model.sample(9, random_state=1)[1] == model.sample(9, random_state=1)[1]).all()
    stationary = model.get_stationary_distribution()
    np.testing.assert_allclose(stationary @ model.transmat_, stationary, atol=1e-12)
    model.transmat_ = np.eye(3)
    assert set(model.sample(5, random_state=0, currstate=2)[1]) == {2}


def test_criteria_count_the_free_parameters():
    given = chain("gaussian_diag", 3, [50])
    model = assembled(given)
    value = model.score(given.X)
    free = 2 + 6 + 6 + 6
    assert model.aic(given.X) == pytest.approx(-2.0 * value + 2.0 * free)
    assert model.bic(given.X) == pytest.approx(-2.0 * value + np.log(50) * free)


def test_what_is_not_to_be_estimated_stays():
    given = chain("gaussian_diag", 2, [60])
    model = fitted(assembled(given, params="m"), given.X)
    assert_bit_identical(model.transmat_, given.model.transitions)
    assert_bit_identical(model.covars_, assembled(given).covars_)
    assert not np.array_equal(model.means_, given.emission.means)


def test_iterations_are_told(capsys):
    given = chain("gaussian_diag", 2, [60])
    model = assembled(given, n_iter=3, tol=0.0, verbose=True)
    with pytest.warns(ConvergenceWarning) if model.tol > 0 else warnings.catch_warnings():
        model.fit(given.X)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == model.monitor_.iter == 3
    assert float(lines[1].split()[1]) == pytest.approx(model.monitor_.history[1])


def test_covariances_of_every_shape_are_taken():
    for covariance_type, value in (
        ("spherical", [1.0, 4.0]),
        ("tied", [[2.0, 0.5], [0.5, 1.0]]),
        ("diag", [[1.0, 2.0], [3.0, 4.0]]),
        ("full", [[[2.0, 0.5], [0.5, 1.0]]] * 2),
    ):
        model = GaussianHMM(2, covariance_type=covariance_type)
        model.means_, model.covars_ = np.zeros((2, 2)), np.array(value)
        assert model.covars_.shape == (2, 2, 2)
        again = GaussianHMM(2, covariance_type=covariance_type)
        again.means_, again.covars_ = np.zeros((2, 2)), model.covars_
        assert_bit_identical(again.covars_, model.covars_)
