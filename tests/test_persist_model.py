"""A model that is saved and loaded gives the same bits."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fusem
from tests.cases import CASES, DTYPES
from tests.comparison import assert_bit_identical, assert_same_model
from tests.models import fit_quietly, stepped

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@by_type
@by_dtype
def test_round_trip(case, dtype, tmp_path):
    X = case.data(900, dtype=dtype)
    model = stepped(case, X)
    path = tmp_path / "model.npz"
    model.save(path)
    loaded = fusem.load(path)
    assert type(loaded) is fusem.GaussianMixture
    assert_same_model(loaded, model)
    for method in ("score_samples", "predict", "predict_proba"):
        assert_bit_identical(getattr(loaded, method)(X), getattr(model, method)(X), method)
    for method in ("score", "aic", "bic", "icl"):
        assert getattr(loaded, method)(X) == getattr(model, method)(X)
    assert_bit_identical(loaded.history_, model.history_)
    assert loaded.starts_ == model.starts_


@by_type
def test_parameters_come_back(case, tmp_path):
    X = case.data(900)
    model = fusem.GaussianMixture(
        2,
        covariance_type=case.covariance_type,
        reg_covar="auto",
        random_state=3,
        n_jobs=2,
        tol=1e-2,
    ).fit(X)
    model.save(str(tmp_path / "model.npz"))
    assert fusem.load(str(tmp_path / "model.npz")).get_params() == model.get_params()


@by_type
def test_start_arrays_come_back(case, tmp_path):
    model = stepped(case, case.data(900))
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    for name in ("weights_init", "means_init", "precisions_init"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


@by_type
def test_loaded_model_goes_on(case, tmp_path):
    """A warm start from a file is the warm start of the model that was saved."""
    X = case.data(900)
    model = stepped(case, X, steps=2, warm_start=True)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert_same_model(fit_quietly(loaded, X), fit_quietly(model, X))


@by_type
def test_statistic_of_a_loaded_model_adds(case, tmp_path):
    X = case.data(900)
    model = stepped(case, X)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    both = model.statistics(X[:400]) + loaded.statistics(X[400:])
    assert both.n_rows == 900


def test_names_come_back(tmp_path):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(CASES[0].data(900, n_features=2), columns=["height", "größe"])
    model = fusem.GaussianMixture(2, random_state=0).fit(table)
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    assert list(loaded.feature_names_in_) == ["height", "größe"]
    assert_bit_identical(loaded.predict(table), model.predict(table))


def test_model_with_assigned_attributes(tmp_path):
    case = CASES[0]
    model = fusem.GaussianMixture(case.n_components)
    model.weights_, model.means_, model.covariances_ = case.start()
    model.save(tmp_path / "model.npz")
    loaded = fusem.load(tmp_path / "model.npz")
    X = case.data(100)
    assert_bit_identical(loaded.score_samples(X), model.score_samples(X))


@by_type
def test_truncated_file(case, tmp_path):
    path = tmp_path / "model.npz"
    stepped(case, case.data(900)).save(path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(fusem.FusemFileError, match=r"model\.npz"):
            fusem.load(path)


def test_foreign_files(tmp_path):
    np.savez(tmp_path / "foreign.npz", means=np.zeros((2, 2)))
    np.save(tmp_path / "foreign.npy", np.zeros(3))
    (tmp_path / "foreign.txt").write_text("weights", encoding="utf-8")
    for name in ("foreign.npz", "foreign.npy", "foreign.txt"):
        with pytest.raises(fusem.FusemFileError, match=name):
            fusem.load(tmp_path / name)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        fusem.load(tmp_path / "missing.npz")


def test_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    case = CASES[0]
    model = stepped(case, case.data(900))
    model.save(path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        stepped(case, case.data(900), steps=1).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.npz"]
