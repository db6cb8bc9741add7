"""Arguments and attributes that a hidden Markov model cannot use: errors that name them."""

from __future__ import annotations

import string

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fusem import GMMHMM, HMM, CategoricalHMM, GaussianHMM, MultinomialHMM, PoissonHMM
from tests.chain_models import model, rows
from tests.models import fit_quietly

COUNTS = np.arange(12)[:, None] % [5, 3]
CHAIN = {"startprob_": [0.5, 0.5], "transmat_": [[0.9, 0.1], [0.2, 0.8]]}
EMISSIONS = {
    GaussianHMM: {"means_": [[0.0, 0.0], [3.0, 2.0]], "covars_": np.ones((2, 2))},
    GMMHMM: {
        "means_": [[[0.0, 0.0]], [[3.0, 2.0]]],
        "covars_": np.ones((2, 1, 2)),
        "weights_": np.ones((2, 1)),
    },
    PoissonHMM: {"lambdas_": [[1.0, 1.0], [3.0, 2.0]]},
    CategoricalHMM: {"emissionprob_": [[0.6, 0.1, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]]},
    MultinomialHMM: {"emissionprob_": [[0.6, 0.4], [0.2, 0.8]]},
    HMM: {},
}
CASES = [(cls, name) for cls, given in EMISSIONS.items() for name in given]


def assembled(cls, **options):
    made = cls(2, init_params="", **options)
    for name, value in {**CHAIN, **EMISSIONS[cls]}.items():
        setattr(made, name, np.array(value))
    return made


def data(cls):
    return COUNTS[:, :1] if cls is CategoricalHMM else COUNTS


@pytest.mark.parametrize(("cls", "name"), [*CASES, (HMM, "components_")])
def test_what_is_neither_set_nor_begun_is_named(cls, name):
    made = assembled(cls)
    if name != "components_":
        delattr(made, "_covars_" if cls is GaussianHMM and name == "covars_" else name)
    letter = next(key for key, value in made._emissions.items() if value == name)
    said = f"init_params='' leaves {name} as they are, .* or add '{letter}' to init_params"
    with pytest.raises(ValueError, match=said):
        made.fit(data(cls))


@pytest.mark.parametrize("cls", EMISSIONS)
@pytest.mark.parametrize("which", ["params", "init_params"])
def test_letters_that_are_none_are_named(cls, which):
    said = rf"{which}='stx' has 'x', which {cls.__name__} does not know.*'t' \(transmat_\)"
    with pytest.raises(ValueError, match=said):
        cls(2, **{which: "stx"}).fit(data(cls))


def test_the_whole_alphabet_is_everything():
    given = {"params": string.ascii_letters, "init_params": string.ascii_letters}
    every = fit_quietly(PoissonHMM(2, random_state=0, **given), COUNTS)
    np.testing.assert_array_equal(
        every.lambdas_, fit_quietly(PoissonHMM(2, random_state=0), COUNTS).lambdas_
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("cls", "name"), CASES)
def test_attributes_that_are_no_numbers_are_named(cls, name, value):
    made = assembled(cls)
    attribute = "_covars_" if cls is GaussianHMM and name == "covars_" else name
    getattr(made, attribute)[1, 0] = value
    for call in (made.score, made.fit):
        with pytest.raises(ValueError, match=name):
            call(data(cls))


@pytest.mark.parametrize("number", [0, 2.5, np.nan, np.inf, None, "3"])
def test_numbers_of_rows_and_paths_are_whole(number):
    X = rows(4)
    online = model().online()
    online.filter(X)
    for call, name in (
        (lambda: model().forecast(X, number), "steps"),
        (lambda: online.forecast(number), "steps"),
        (lambda: model().sample(number), "n_samples"),
        (lambda: model().sample_posterior(X, n_samples=number), "n_samples"),
        (lambda: model().online(-1 if number == 0 else number), "lag"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of .* not "):
            call()
    assert model().sample(np.int64(3), 0)[0].shape == model().sample(3.0, 0)[0].shape == (3, 2)


def test_the_first_state_is_one_of_the_model():
    for state in (-1, 3, 0.5, np.nan):
        with pytest.raises(ValueError, match="the model has states 0 to 2"):
            model().sample(2, currstate=state)


@pytest.mark.parametrize("cls", [GaussianHMM, GMMHMM])
def test_few_rows_are_enough_where_no_means_are_begun(cls):
    made = assembled(cls, params="s", n_iter=1, tol=0.0)
    fit_quietly(made, COUNTS[:1])
    np.testing.assert_array_equal(made.means_, EMISSIONS[cls]["means_"])
    with pytest.raises(ValueError, match="n_samples = 1: one row has no variance"):
        made.set_params(init_params="c").fit(COUNTS[:1])


def test_rows_of_another_total_than_the_trials_are_named():
    counts = np.array([[1, 3], [2, 2], [4, 1], [0, 4]])
    with pytest.raises(ValueError, match=r"row 2 sum to 5, but n_trials is 4"):
        MultinomialHMM(2, n_trials=4).fit(counts)
    fit_quietly(MultinomialHMM(2, n_trials=4, random_state=0), counts[:2])
    gaps = np.array(
        [[1.0, 3], [np.nan, np.nan], [2, 2]]
    )  # of a row that is missing no total is known
    fit_quietly(MultinomialHMM(2, n_trials=4, random_state=0), gaps)


def test_an_empty_sequence_of_a_list_is_named():
    with pytest.raises(ValueError, match="Sequence 1 of the list has no rows"):
        PoissonHMM(2).fit([COUNTS, COUNTS[:0], COUNTS])


@pytest.mark.parametrize(
    "lengths",
    [
        np.array([6, 6], "m8[s]"),
        [6.5, 5.5],
        [np.inf, 6],
        [np.nan, 6],
        [True, False],
        ["6", "6"],
        np.array([6, "6"], object),
        [6 + 0j, 6],
    ],
    ids=str,
)
def test_lengths_that_are_no_whole_numbers_are_refused(lengths):
    made = assembled(PoissonHMM)
    for use in (made.predict, made.score, made.fit):
        with pytest.raises(ValueError, match="lengths must be whole numbers"):
            use(COUNTS, lengths=lengths)


@pytest.mark.parametrize(
    "lengths",
    [[6, 6], [6.0, 6.0], np.array([6, 6], object), np.array([6, 6], "u1"), (6, 6)],
    ids=str,
)
def test_whole_numbers_of_any_kind_are_lengths(lengths):
    made = assembled(PoissonHMM)
    assert made.score(COUNTS, lengths=lengths) == made.score(COUNTS, lengths=[6, 6])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["a", "b"], r"startprob_ must be an array of numbers, not \['a', 'b'\]"),
        ([0.5 + 0j, 0.5], "startprob_ must be an array of numbers"),
        (np.ma.array([0.5, 0.5], mask=[0, 1]), r"startprob_\[1\] is nan"),
        ([0.5, [0.5]], "startprob_ must be an array of numbers"),
    ],
    ids=["text", "complex", "masked", "ragged"],
)
def test_start_probabilities_that_are_no_numbers_are_refused(value, problem):
    made = assembled(PoissonHMM)
    made.startprob_ = value
    with pytest.raises(ValueError, match=problem):
        made.predict(COUNTS)


def test_the_axes_of_symbols_are_named():
    made = assembled(MultinomialHMM)
    made.emissionprob_ = [[0.5, 0.5]]
    with pytest.raises(ValueError, match=r"\(n_components, n_features\) = \(2, 2\)"):
        made.predict(COUNTS)


class Fair(PoissonHMM):
    """Begins in each state alike."""

    @property
    def startprob_(self):
        return np.full(self.n_components, 1.0 / self.n_components)

    transmat_ = np.array(CHAIN["transmat_"])


def test_parameters_may_be_a_class_s_own():
    made = Fair(2)
    with pytest.raises(NotFittedError):
        made.score(COUNTS)
    made.lambdas_ = EMISSIONS[PoissonHMM]["lambdas_"]
    assert made.score(COUNTS) == assembled(PoissonHMM).score(COUNTS)
