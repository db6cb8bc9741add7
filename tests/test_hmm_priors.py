"""Parameters of priors: of every shape that has a meaning, and what has none is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from fusem import GMMHMM, CategoricalHMM, GaussianHMM, PoissonHMM
from tests.models import fit_quietly

ROWS = np.where(np.arange(60) % 20 < 9, 0.0, 4.0)[:, None] + np.sin(np.arange(120)).reshape(60, 2)
COUNTS = np.arange(60)[:, None] * [3, 5] % 7
CODES = COUNTS[:, :1] % 4
DATA = {GaussianHMM: ROWS, GMMHMM: ROWS, PoissonHMM: COUNTS, CategoricalHMM: CODES}
ATTRIBUTES = {
    "diag": np.ones((2, 2)),
    "full": np.repeat(np.eye(2)[None], 2, axis=0),
    "tied": np.eye(2),
    "spherical": np.ones(2),
}


def fitted(cls, **options):
    return fit_quietly(cls(2, random_state=0, n_iter=3, tol=0.0, **options), DATA[cls])


def steps(covariance_type, **options):
    """A few exact steps of a GaussianHMM from known parameters."""
    model = GaussianHMM(
        2, covariance_type=covariance_type, init_params="", n_iter=4, tol=0.0, **options
    )
    model.startprob_, model.transmat_ = np.array([0.4, 0.6]), np.array([[0.7, 0.3], [0.2, 0.8]])
    model.means_, model.covars_ = np.array([[0.0, 0.0], [4.0, 4.0]]), ATTRIBUTES[covariance_type]
    return fit_quietly(model, ROWS)


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_priors_of_states_are_those_of_each(kind):
    """Equal priors of all states are one prior; others move the state that they are of."""
    matrix = kind in ("full", "tied")
    given = 0.5 * np.eye(2) if matrix else np.full(2, 0.5)
    options = {"covars_weight": 4.0, "means_weight": 3.0, "means_prior": 1.0}
    once = steps(kind, covars_prior=given, **options)
    each = given if kind == "tied" else np.repeat(given[None], 2, axis=0)
    more = {"means_weight": np.full((2, 1), 3.0), "means_prior": np.full((2, 2), 1.0)}
    same = steps(kind, covars_prior=each, **{**options, **more})
    np.testing.assert_allclose(same.covars_, once.covars_, rtol=1e-13)
    np.testing.assert_allclose(same.history_["log_likelihood"], once.history_["log_likelihood"])
    options["means_weight"] = [1e9, 0.0]
    if kind != "tied":
        each = each * np.array([1.0, 9.0]).reshape(2, *[1] * (each.ndim - 1))
    other = steps(kind, covars_prior=each, **options)
    np.testing.assert_allclose(other.means_[0], 1.0, rtol=1e-6)
    assert abs(other.means_[1] - 1.0).max() > 1.0
    assert np.diff(other.history_["log_likelihood"]).min() > -1e-6


@pytest.mark.parametrize("shape", [(), (4,), (2, 4), (2, 1)])
def test_priors_of_symbols_broadcast(shape):
    prior = np.broadcast_to(1.0 + np.arange(4.0), (2, 4))
    given = {(): 2.0, (4,): prior[0], (2, 4): prior, (2, 1): [[2.0], [3.0]]}[shape]
    model = fitted(CategoricalHMM, emissionprob_prior=given)
    assert model.emissionprob_.shape == (2, 4)
    assert np.diff(model.history_["log_likelihood"]).min() > -1e-9


@pytest.mark.parametrize("cls", [GaussianHMM, GMMHMM, PoissonHMM])
def test_none_is_maximum_likelihood(cls):
    names = {
        GaussianHMM: ("means_prior", "means_weight", "covars_prior"),
        GMMHMM: ("means_prior", "means_weight", "weights_prior"),
        PoissonHMM: ("lambdas_prior", "lambdas_weight"),
    }[cls]
    plain = {"covars_prior": None, "means_weight": 0.0} if cls is GaussianHMM else {}
    without = fitted(cls, **dict.fromkeys(names))
    np.testing.assert_array_equal(
        without.history_["log_likelihood"], fitted(cls, **plain).history_["log_likelihood"]
    )
    if cls is not PoissonHMM:  # without a mean there is nothing to be near to
        alone = fitted(cls, means_prior=None, means_weight=5.0)
        np.testing.assert_array_equal(alone.means_, fitted(cls).means_)


@pytest.mark.parametrize("prior", [0.5, 0.0])
def test_a_prior_that_draws_probabilities_to_zero_does_not_lower_the_objective(prior):
    codes = np.random.default_rng(0).integers(6, size=(500, 1))
    model = CategoricalHMM(3, transmat_prior=prior, random_state=1, n_iter=40, tol=-np.inf)
    fit_quietly(model, codes)  # a fall is told, and any warning is an error
    assert (model.transmat_ == 0.0).any()
    assert np.diff(model.history_["log_likelihood"]).min() > -1e-8


@pytest.mark.parametrize("value", [None, 1, 1.0, True, np.float32(1.0), np.ones(1)])
def test_what_means_no_prior_is_taken(value):
    plain = fitted(CategoricalHMM)
    names = "startprob_prior", "transmat_prior", "emissionprob_prior"
    same = fitted(CategoricalHMM, **dict.fromkeys(names, value))
    np.testing.assert_array_equal(same.emissionprob_, plain.emissionprob_)
    assert fitted(GMMHMM, n_mix=2, covars_prior=-1.5, weights_prior=value).converged_ is False


NOT_FINITE = "is nan: it must be finite"
WRONG = [
    *((cls, name, np.nan, NOT_FINITE) for cls in DATA for name in ("startprob_prior", "transmat_prior")),
    *((cls, "startprob_prior", [1.0, -1.0], r"\[1\] is -1.* at least 0") for cls in DATA),
    *((cls, "transmat_prior", np.ones(3), r"= \(2, 2\); its shape is \(3,\)") for cls in DATA),
    *((GMMHMM, name, np.nan, NOT_FINITE) for name in ("covars_prior", "covars_weight")),
    *((cls, "means_prior", np.nan, NOT_FINITE) for cls in (GaussianHMM, GMMHMM)),
    *((cls, "means_prior", "one", "must be a number, or an array") for cls in (GaussianHMM, GMMHMM)),
    *((cls, "means_weight", -1.0, "is -1.* at least 0") for cls in (GaussianHMM, GMMHMM)),
    *((cls, "means_weight", np.inf, "is inf") for cls in (GaussianHMM, GMMHMM)),
    (GaussianHMM, "means_prior", "a", "not 'a'"),
    (GaussianHMM, "means_prior", [[0.0], [np.nan]], r"\[1, 0\] is nan"),
    (GaussianHMM, "means_prior", [0.0, 1.0, 2.0], r"\(n_components, n_features\) = \(2, 2\)"),
    (GaussianHMM, "covars_prior", np.nan, NOT_FINITE),
    (GaussianHMM, "covars_prior", -1.0, "is -1"),
    (GaussianHMM, "covars_prior", np.ones((2, 3)), r"\(2, 2\); its shape is \(2, 3\)"),
    (GaussianHMM, "covars_weight", [1.0, 2.0], r"must be a number; its shape is \(2,\)"),
    (GaussianHMM, "covars_weight", -3.0, "is -3"),
    (GMMHMM, "weights_prior", -2.0, "is -2"),
    (GMMHMM, "covars_weight", -1.0, "is -1"),
    (PoissonHMM, "lambdas_prior", -1.0, "is -1"),
    (PoissonHMM, "lambdas_prior", "one", "not 'one'"),
    (PoissonHMM, "lambdas_weight", np.nan, NOT_FINITE),
    (PoissonHMM, "lambdas_weight", np.ones(3), r"\(n_components, n_features\) = \(2, 2\)"),
    (CategoricalHMM, "emissionprob_prior", np.ones(3), r"\(n_components, n_symbols\) = \(2, 4\)"),
    (CategoricalHMM, "emissionprob_prior", [1.0, 1.0, np.inf, 1.0], r"\[2\] is inf"),
    (CategoricalHMM, "n_features", -1, "-1"),
    (CategoricalHMM, "n_features", 2.5, "2.5"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "name", "value", "said"), WRONG)
def test_what_has_no_meaning_is_refused(cls, name, value, said):
    with pytest.raises(ValueError, match=f"{name}.*{said}"):
        fitted(cls, **{name: value})


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("cls", [GaussianHMM, GMMHMM])
def test_matrices_have_no_negative_variance(cls, kind):
    with pytest.raises(ValueError, match=r"covars_prior\[.*1, 1\] is -1"):
        fitted(cls, covariance_type=kind, covars_prior=[[1.0, -0.5], [-0.5, -1.0]])
    prior = [[1.0, -0.5], [-0.5, 1.0]]
    model = fitted(cls, covariance_type=kind, covars_prior=prior, covars_weight=5.0)
    assert np.isfinite(model.covars_).all()
