"""The twins equal SciPy's density and scikit-learn's EM step; families have all their places."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as Peer

from fusem import families
from fusem.families.registry import FAMILIES
from tests.cases import CASES, COUNT_CASES
from tests.comparison import assert_same_parameters, covariance_matrices, parameters_of
from tests.reference import TWINS, Parameters

by_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.covariance_type)
by_size = pytest.mark.parametrize(("d", "K"), [(1, 1), (1, 3), (2, 2), (5, 7), (16, 3)])


def peer_at(case, params):
    """Return scikit-learn's mixture with the given parameters (its `max_iter=0` needs k-means)."""
    peer = Peer(len(params.weights), covariance_type=case.covariance_type)
    peer.weights_, peer.means_, peer.covariances_ = params
    if case.covariance_type in ("full", "tied"):
        factor = np.linalg.inv(np.linalg.cholesky(params.covariances))
        peer.precisions_cholesky_ = np.swapaxes(factor, -1, -2)
    else:
        peer.precisions_cholesky_ = 1.0 / np.sqrt(params.covariances)
    peer.n_features_in_ = params.means.shape[1]
    return peer


@by_type
@by_size
def test_log_density_equals_scipy(case, d, K):
    start, X = case.start(K, d), case.data(101, K, d)
    ours = case.twin.log_density(X, start)
    for k, covariance in enumerate(covariance_matrices(start, case.covariance_type)):
        theirs = multivariate_normal(start.means[k], covariance).logpdf(X)
        np.testing.assert_allclose(ours[:, k], theirs, rtol=1e-12)


@by_type
@by_size
def test_posterior_equals_scikit_learn(case, d, K):
    start, X = case.start(K, d), case.data(101, K, d)
    peer = peer_at(case, start)
    np.testing.assert_allclose(
        case.twin.log_likelihoods(X, start), peer.score_samples(X), rtol=1e-11
    )
    np.testing.assert_allclose(
        case.twin.responsibilities(X, start), peer.predict_proba(X), rtol=1e-9, atol=1e-15
    )


@by_type
@by_size
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 0.1])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_em_step_equals_scikit_learn(case, d, K, reg_covar):
    start, X = case.start(K, d), case.data(60 * d * K + 13, K, d)
    peer = Peer(**case.start_arguments(start), max_iter=1, reg_covar=reg_covar).fit(X)
    log_likelihood, *params = case.twin.em_step(X, None, *start, reg_covar)
    assert log_likelihood == pytest.approx(peer.lower_bound_, rel=1e-12)
    assert_same_parameters(Parameters(*params), parameters_of(peer), case.covariance_type, 1e-11)


@by_type
def test_integer_weights_are_repeated_rows(case):
    start, X = case.start(), case.data(301)
    weights = np.arange(len(X)) % 4
    once = case.twin.em_step(X, weights.astype(float), *start, 1e-3)
    repeated = case.twin.em_step(np.repeat(X, weights, axis=0), None, *start, 1e-3)
    assert once[0] == pytest.approx(repeated[0], rel=1e-13)
    assert_same_parameters(
        Parameters(*once[1:]), Parameters(*repeated[1:]), case.covariance_type, 1e-12
    )


@by_type
def test_empty_component_keeps_its_parameters(case):
    start = case.start()
    start.means[1] = 1e6  # so far away that its responsibilities are exactly zero
    _, *after = case.twin.em_step(case.data(301), None, *start, 1e-6)
    after = Parameters(*after)
    assert after.weights[1] == 0.0
    np.testing.assert_array_equal(after.means[1], start.means[1])
    if case.covariance_type != "tied":
        np.testing.assert_array_equal(after.covariances[1], start.covariances[1])


@by_type
def test_number_of_parameters_equals_scikit_learn(case):
    peer = peer_at(case, case.start())
    # BIC - AIC = p (log n - 2) leaves scikit-learn's count without reading anything private.
    X = case.data(101)
    count = (peer.bic(X) - peer.aic(X)) / (np.log(len(X)) - 2.0)
    assert case.twin.n_parameters(case.n_components, case.n_features) == pytest.approx(count)


def family_files() -> set[str]:
    """Names of the families that have a file; `gaussian.py`, which they share, names none."""
    modules = (import_module(f"fusem.families.{m.name}") for m in iter_modules(families.__path__))
    return {module.NAME for module in modules if hasattr(module, "NAME")}


def missing_places(registered, files, twins, cases) -> set[str]:
    """Names that do not stand in all four places that a family has."""
    places = [set(registered), set(files), set(twins), set(cases)]
    return set.union(*places) - set.intersection(*places)


def test_every_family_has_its_four_places():
    cases = [case.family for case in (*CASES, *COUNT_CASES)]
    assert not missing_places(FAMILIES, family_files(), TWINS, cases)


@pytest.mark.parametrize("place", range(4))
def test_a_missing_place_is_seen(place):
    places = [{"a", "b"}, {"a", "b"}, {"a", "b"}, {"a", "b"}]
    assert not missing_places(*places)
    places[place] = {"a"}
    assert missing_places(*places) == {"b"}
