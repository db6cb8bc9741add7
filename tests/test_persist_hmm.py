"""Hidden Markov models in files: what is saved comes back, what is not theirs does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fusem
from fusem.families import registry
from fusem.persist import read_model, save_model
from tests.comparison import assert_bit_identical

LENGTHS = [60, 1, 39]
ROWS = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 6.0)]) + np.arange(100)[:, None] % 3


def fitted(**changes):
    settings = {"n_iter": 4, "tol": 1e9, "random_state": 0, "covars_prior": np.array([0.5])}
    return fusem.GaussianHMM(2, **{**settings, **changes}).fit(ROWS, LENGTHS)


def assembled(name):
    model = {
        "poisson": fusem.PoissonHMM(2),
        "categorical": fusem.CategoricalHMM(2, n_features=3),
        "multinomial": fusem.MultinomialHMM(2, n_trials=[5, 7]),
    }.get(name) or fusem.GaussianHMM(2, covariance_type=name)
    model.startprob_, model.transmat_ = [1, 0], [[0.9, 0.1], [0.5, 0.5]]
    emissions = {
        "poisson": {"lambdas_": [[1, 2], [3, 0]]},
        "categorical": {"emissionprob_": [[0.2, 0.3, 0.5], [1, 0, 0]]},
        "multinomial": {"emissionprob_": [[0.2, 0.8], [0.5, 0.5]]},
        "full": {"covars_": [[[2.0, 1.0], [1.0, 3.0]]] * 2},
        "tied": {"covars_": [[2.0, 1.0], [1.0, 3.0]]},
        "diag": {"covars_": [[2.0, 1.0], [1.0, 3.0]]},
        "spherical": {"covars_": [2.0, 1.0]},
    }[name]
    if name in ("full", "tied", "diag", "spherical"):
        emissions["means_"] = [[0, 1], [2, 3]]
    for attribute, value in emissions.items():
        setattr(model, attribute, value)
    return model, list(emissions)


def test_a_fitted_model_comes_back(tmp_path):
    model = fitted()
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(str(tmp_path / "model.npz"))
    assert type(loaded) is fusem.GaussianHMM
    given, found = model.get_params(), loaded.get_params()
    assert_bit_identical(found.pop("covars_prior"), given.pop("covars_prior"))
    assert found == given
    assert repr(loaded.monitor_) == repr(model.monitor_)
    assert loaded.monitor_.history == model.monitor_.history
    assert loaded.monitor_.is_as_given
    assert_bit_identical(loaded.history_, model.history_)
    for name in ("n_iter_", "converged_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert_bit_identical(loaded.predict_proba(ROWS, LENGTHS), model.predict_proba(ROWS, LENGTHS))
    assert loaded.score(ROWS, LENGTHS) == model.score(ROWS, LENGTHS)


@pytest.mark.parametrize(
    "name", ["full", "tied", "diag", "spherical", "poisson", "categorical", "multinomial"]
)
def test_an_assembled_model_comes_back(name, tmp_path):
    model, emissions = assembled(name)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert type(loaded) is type(model)
    for attribute in ("startprob_", "transmat_", *emissions):
        expected = np.asarray(getattr(model, attribute), dtype=np.float64)
        assert_bit_identical(getattr(loaded, attribute), expected, attribute)
    assert "monitor_" not in vars(loaded)
    for given, found in zip(model.sample(20, 1), loaded.sample(20, 1), strict=True):
        assert_bit_identical(given, found)


def check_refused(model, part, value, message, path):
    """A file of the model in which a part has another value, or with None is not there."""
    model.save(path)
    header, arrays = read_model(path)
    changed = header if part in header else arrays
    assert part in changed
    changed[part] = value
    if value is None:
        del changed[part]
    save_model(path, header, arrays)
    with pytest.raises(fusem.FusemFileError, match=message):
        fusem.load(path)


FAMILIES = {
    "gaussian_full": {"means": [[0.0, 1], [2, 3]], "covariances": [[[2.0, 1], [1, 3]]] * 2},
    "gaussian_tied": {"means": [[0.0, 1], [2, 3]], "covariances": [[2.0, 1], [1, 3]]},
    "gaussian_diag": {"means": [[0.0, 1], [2, 3]], "covariances": [[2.0, 1], [1, 3]]},
    "gaussian_spherical": {"means": [[0.0, 1], [2, 3]], "covariances": [2.0, 1]},
    "poisson": {"rates": [[1.0, 2], [3, 0]]},
    "categorical": {"probabilities": [[[0.5, 0.5], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]]},
    "multinomial": {"probabilities": [[0.5, 0.5], [0.1, 0.9]]},
}


def of_family(name):
    model = fusem.HMM(2, name, random_state=3)
    model.startprob_, model.transmat_ = [1, 0], [[0.9, 0.1], [0.5, 0.5]]
    parts = [np.array(value) for value in FAMILIES[name].values()]
    family = registry.FAMILIES[name]
    if name.startswith("gaussian"):
        model.components_ = family.from_covariances(*parts)
    else:
        model.components_ = family.Params(*parts)
    return model


@pytest.mark.parametrize("form", ["full", "tied"])
def test_a_fitted_model_of_a_family_comes_back_to_the_bit(form, tmp_path):
    model = fusem.HMM(2, f"gaussian_{form}", random_state=0, n_iter=4, tol=1e9)
    rows = np.column_stack([ROWS[:, 0], np.sin(np.arange(100.0)) + ROWS[:, 0]])
    model.fit(rows, LENGTHS).save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert_bit_identical(loaded.predict_proba(rows, LENGTHS), model.predict_proba(rows, LENGTHS))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_of_a_family_by_name_comes_back(name, tmp_path):
    model = of_family(name)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert type(loaded) is fusem.HMM
    assert loaded.get_params() == model.get_params()
    for given, found in zip(model.components_, loaded.components_, strict=True):
        assert_bit_identical(found, given)
    for given, found in zip(model.sample(20, 1), loaded.sample(20, 1), strict=True):
        assert_bit_identical(given, found)


@pytest.mark.parametrize(
    ("name", "part", "value", "message"),
    [
        ("poisson", "components/rates", np.array([[-1.0, 2], [3, 0]]), "rates.*at least 0"),
        ("poisson", "components/rates", None, "components/rates"),
        ("poisson", "parameters", {"n_components": 2, "family": "tests.exponential"}, "its family is"),
        ("poisson", "parameters", {"n_components": 3, "family": "poisson"}, "parameters of shape"),
        ("multinomial", "components/probabilities", np.array([[0.5, 0.6], [1, 0]]), "sum to 1"),
        ("poisson", "components/rates", np.ones(2), "parameters of shape"),
        ("poisson", "components/rates", np.ones((2, 1, 1)), "parameters of shape"),
        ("multinomial", "components/probabilities", np.full((3, 2), 0.5), "parameters of shape"),
        ("categorical", "components/probabilities", np.full((2, 2), 0.5), "parameters of shape"),
        ("gaussian_full", "components/covariances", np.eye(2)[None], "are not those of its means"),
        ("gaussian_diag", "components/covariances", np.ones((2, 1)), "are not those of its means"),
        ("gaussian_full", "components/whitening", np.eye(2), "factors of the precisions"),
        ("gaussian_diag", "components/whitening", np.ones((2, 2)), "factors of the precisions"),
        ("gaussian_tied", "components/covariances", np.eye(3), "are not those of its means"),
        ("gaussian_spherical", "components/covariances", np.ones((2, 1)), "are not those of its means"),
        ("categorical", "components/probabilities", np.full((2, 1, 2), 0.6), "sum to 1"),
        ("gaussian_full", "components/covariances", np.ones((2, 2, 2)), "no model that can be used"),
        ("gaussian_diag", "components/means", np.array([[np.nan, 1], [2, 3]]), "no finite number"),
    ],
)  # fmt: skip
def test_a_file_whose_family_does_not_fit(name, part, value, message, tmp_path):
    check_refused(of_family(name), part, value, message, tmp_path / "model.npz")


def test_names_come_back(tmp_path):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(ROWS, columns=["größe"])
    model = fusem.GaussianHMM(2, random_state=0, tol=1e9).fit(table, LENGTHS)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert list(loaded.feature_names_in_) == ["größe"]
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(table.rename(columns={"größe": "height"}))


def test_a_generator_is_left_out(tmp_path):
    fitted(random_state=np.random.RandomState(0)).save(tmp_path / "model.npz")
    assert fusem.load(tmp_path / "model.npz").random_state is None


def test_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="not fitted yet"):
        fusem.PoissonHMM(2).save(tmp_path / "model.npz")
    model = assembled("poisson")[0]
    model.transmat_ = [[0.9, 0.2], [0.5, 0.5]]
    with pytest.raises(ValueError, match="transmat_ rows must sum to 1"):
        model.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file(tmp_path):
    path = tmp_path / "model.npz"
    fitted().save(path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(fusem.FusemFileError, match=r"model\.npz"):
            fusem.load(path)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("model", "FooHMM", "FooHMM.*does not know"),
        ("model", 3, "does not know"),
        ("parameters", {"n_components": 3}, "startprob_ must have shape"),
        ("parameters", {"n_components": "2"}, "n_components"),
        ("parameters", {"n_components": 2, "colour": "red"}, "colour"),
        ("fitted", {"n_features_in_": 2}, "for 2 columns, the states for 1"),
        ("fitted", {"feature_names_in_": ["a", "b"]}, "for 2 columns, the states for 1"),
        ("fitted", {"n_iter_": "many"}, "no whole number"),
        ("fitted", {"monitor_": {"tol": 1.0}}, "converged"),
        ("startprob_", np.array([1.0]), "startprob_ must have shape"),
        ("transmat_", np.array([[0.5, 0.6], [0.5, 0.5]]), "must sum to 1"),
        ("means_", np.array([[np.nan], [0.0]]), "means_ holds what is no finite number"),
        ("means_", np.array([["a"], ["b"]]), "means_ holds what is no finite number"),
        ("means_", np.zeros((2, 0)), "covars_ must have shape"),
        ("covars_", np.ones((2, 2)), "covars_ must have shape"),
        ("covars_", np.zeros((0, 1, 1)), "covars_ must have shape"),
        ("covars_", np.array([[-1.0], [1.0]]), "not positive definite"),
        ("covars_", None, "covars_"),
        ("monitor/history", np.zeros((2, 2)), "no model that can be used"),
        ("history/change", np.zeros(7), "no model that can be used"),
    ],
)  # fmt: skip
def test_a_file_whose_parts_do_not_fit(part, value, message, tmp_path):
    check_refused(fitted(), part, value, message, tmp_path / "model.npz")


def test_what_is_no_hidden_markov_model_is_refused_by_name(tmp_path):
    header = json.loads('{"model": "GaussianHMM"}')
    save_model(tmp_path / "model.npz", header, {})
    with pytest.raises(fusem.FusemFileError, match=r"'parameters'.*Save the model again"):
        fusem.load(tmp_path / "model.npz")
