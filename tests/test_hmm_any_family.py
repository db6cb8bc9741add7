"""Any family as emissions: by name as the classes of their own, and one written outside fusem."""

from __future__ import annotations

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

from fusem import HMM, GaussianHMM, PoissonHMM
from fusem.exceptions import DegenerateComponentWarning
from fusem.families import poisson
from fusem.families.registry import FAMILIES
from fusem.hmm.engine import kernel_name
from tests import exponential
from tests.chain_models import MEANS, MOVES, START, VARIANCES, rows
from tests.chain_paths import EveryPath
from tests.models import fit_quietly

COUNTS = np.random.default_rng(0).poisson([[2.0, 7.0]] * 60 + [[9.0, 1.0]] * 40)


def by_rows(*arguments, **options):
    """A model whose `predict` needs no kernels but those of its fit: they take seconds to compile."""
    return HMM(*arguments, random_state=0, algorithm="map", **options)


def test_poisson_by_name_is_poisson_hmm():
    begun = {"startprob_": [0.4, 0.6], "transmat_": [[0.7, 0.3], [0.2, 0.8]]}
    rates = np.array([[1.0, 5.0], [6.0, 2.0]])
    named, own = (
        HMM(2, "poisson", init_params="", n_iter=5),
        PoissonHMM(2, init_params="", n_iter=5),
    )
    for made in (named, own):
        for name, value in begun.items():
            setattr(made, name, np.array(value))
    named.components_, own.lambdas_ = poisson.Params(rates), rates
    fit_quietly(named, COUNTS, lengths=[60, 40])
    fit_quietly(own, COUNTS, lengths=[60, 40])
    assert named.monitor_.history == own.monitor_.history
    np.testing.assert_array_equal(named.transmat_, own.transmat_)
    np.testing.assert_array_equal(named.components_.rates, own.lambdas_)
    np.testing.assert_array_equal(named.predict(COUNTS), own.predict(COUNTS))
    np.testing.assert_array_equal(named.forecast(COUNTS, 2).mean, own.forecast(COUNTS, 2).mean)
    assert named.bic(COUNTS) == own.bic(COUNTS)
    assert named.sample(5, random_state=0)[0].shape == (5, 2)


def test_gaussian_by_name_is_gaussian_hmm_without_prior():
    X = rows(300)
    named = HMM(3, init_params="", n_iter=4)
    own = GaussianHMM(3, init_params="", n_iter=4, covars_prior=None)
    for made in (named, own):
        made.startprob_, made.transmat_ = START, MOVES
    named.components_ = FAMILIES["gaussian_diag"].from_covariances(MEANS, VARIANCES)
    own.means_, own.covars_ = MEANS, VARIANCES
    fit_quietly(named, X)
    fit_quietly(own, X)
    np.testing.assert_allclose(named.components_.means, own.means_, rtol=1e-12)
    np.testing.assert_allclose(named.components_.covariances, own._covars_, rtol=1e-12)
    assert named.aic(X) == pytest.approx(own.aic(X), rel=1e-12)


def test_starts():
    """By clusters; in the order of time; with the numbers of known states; with fewer rows than states."""
    truth = np.repeat([1, 0], [60, 40])
    fitted = fit_quietly(by_rows(2, "poisson", n_iter=30), COUNTS)
    assert set(zip(fitted.predict(COUNTS), truth)) in ({(0, 0), (1, 1)}, {(0, 1), (1, 0)})
    made = by_rows(2, "poisson", n_iter=30, transmat_mask="left-right")
    fitted = fit_quietly(made, COUNTS)
    np.testing.assert_array_equal(fitted.predict(COUNTS), 1 - truth)
    for first in (0, 1):
        states = np.full(100, -1)
        states[[3, 90]] = first, 1 - first
        fitted = fit_quietly(by_rows(2, "poisson", n_iter=30), COUNTS, states=states)
        assert fitted.predict(COUNTS)[0] == first
    few = fit_quietly(HMM(3, "poisson", random_state=0, n_iter=3), np.repeat(COUNTS[:2], 4, axis=0))
    assert np.isfinite(few.components_.rates).all()


def test_codes_in_several_columns():
    rng = np.random.default_rng(0)
    states = np.repeat(rng.integers(2, size=60), 5)
    X = np.column_stack([rng.integers(2, size=300) + states, (rng.random(300) < 0.2) ^ states])
    fitted = fit_quietly(by_rows(2, "categorical", n_iter=100, tol=1e-6), X)
    assert fitted.components_.probabilities.shape == (2, 2, 3)
    agree = (fitted.predict(X) == states).mean()
    assert max(agree, 1.0 - agree) > 0.95
    assert (np.diff(fitted.monitor_.history) > -1e-9).all()
    with pytest.raises(ValueError, match="code 3 at row 0, column 0: the column has 3 categories"):
        fitted.score(X + 1)


def test_a_family_of_ones_own():
    X = np.random.default_rng(0).exponential(1.0, size=(6, 2))
    rates, moves = np.array([[1.0, 3.0], [0.5, 0.2]]), np.array([[0.8, 0.2], [0.3, 0.7]])
    logs = np.log(rates).sum(axis=1) - X @ rates.T
    twin = EveryPath(np.array([0.5, 0.5]), moves, logs)
    made = HMM(2, exponential, init_params="", n_iter=1, tol=0.0)
    made.startprob_, made.transmat_ = np.array([0.5, 0.5]), moves
    made.components_ = exponential.Params(rates)
    np.testing.assert_allclose(made.filter_proba(X)[-1], twin.proba[-1], atol=1e-12)
    assert made.forecast(X).mean is None
    fitted = fit_quietly(made, X)
    assert fitted.monitor_.history[0] == pytest.approx(twin.log_likelihood, rel=1e-12)
    expected = twin.proba.sum(axis=0)[:, None] / (twin.proba.T @ X)
    np.testing.assert_allclose(fitted.components_.rates, expected, rtol=1e-12)
    fitted = fit_quietly(
        HMM(2, exponential, random_state=0, n_iter=20), np.concatenate([X, 40 * X])
    )
    assert (np.diff(fitted.monitor_.history) > -1e-9).all()
    assert clone(fitted).family is exponential
    again = pickle.loads(pickle.dumps(fitted))
    assert again.family == "tests.exponential"
    assert again.score(X) == fitted.score(X)


def test_kernels_of_other_sources_have_names_of_their_own():
    """An edited family must not find the code of the one before in the cache."""
    assert kernel_name(FAMILIES["poisson"]) == "poisson"
    assert kernel_name(exponential).startswith("exponential_")

    def family(source):
        code = compile(source, "<cell>", "eval")
        tile = SimpleNamespace(log_density=SimpleNamespace(py_func=SimpleNamespace(__code__=code)))
        return SimpleNamespace(NAME="mine", kernels=SimpleNamespace(tile=tile))

    assert kernel_name(family("1 + x")) != kernel_name(family("2 + x"))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("gauss", "one of 'gaussian_full', .* not 'gauss'"),
        (SimpleNamespace(NAME="mine"), "has no kernels, statistic_size, tile_columns"),
    ],
)
def test_what_is_no_family_is_refused(family, message):
    with pytest.raises(ValueError, match=message):
        HMM(2, family).fit(COUNTS)


def test_what_is_not_set_or_cannot_be_is_named():
    with pytest.raises(ValueError, match=r"leaves components_ as they are"):
        HMM(2, "poisson", init_params="st").fit(COUNTS)
    with pytest.raises(ValueError, match="a count is a whole number from 0 on"):
        HMM(2, "poisson").fit(COUNTS - 1)
    lone = {name: getattr(exponential, name) for name in dir(exponential) if name != "estimate"}
    with pytest.raises(ValueError, match="has no function estimate"):
        HMM(2, SimpleNamespace(**lone)).fit(np.abs(rows(9)))
    fitted = fit_quietly(HMM(2, "poisson", random_state=0, n_iter=2), COUNTS)
    with pytest.raises(ValueError, match="parameters of 2 states, but n_components is 3"):
        fitted.set_params(n_components=3)._emission()


@pytest.mark.parametrize("family", [exponential, "tests.exponential"])
def test_a_family_of_ones_own_is_not_saved(family, tmp_path):
    with pytest.raises(TypeError, match="a file cannot say what it is"):
        HMM(2, family).save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["full", "diag", "spherical"])
def test_a_state_that_shrinks_to_equal_rows_keeps_its_covariance(form):
    """The likelihood has no bound there: it is told, and the model stays usable."""
    shrinking = np.concatenate([rows(200), np.full((53, rows(1).shape[1]), 5.0)])
    model = HMM(2, f"gaussian_{form}", random_state=0, n_iter=100)
    with pytest.warns(DegenerateComponentWarning, match="keeps its last value. Increase reg_covar"):
        model.fit(shrinking)
    covariances = model.components_.covariances
    assert (np.linalg.eigvalsh(covariances) if form == "full" else covariances).min() > 0.0
    assert np.isfinite(model.score(shrinking))


@pytest.mark.parametrize("form", ["full", "tied", "diag", "spherical"])
def test_one_row_has_no_covariance(form):
    with pytest.raises(ValueError, match=r"state\(s\) 0 .*n_samples = 1.*Increase reg_covar"):
        HMM(1, f"gaussian_{form}").fit(rows(1))


@pytest.mark.parametrize("n_columns", [1, 2])
@pytest.mark.parametrize("form", ["full", "diag", "spherical"])
def test_a_state_of_equal_rows_is_told_wherever_its_mean_is_rounded(form, n_columns):
    """What is left of its variance may be the square of its mean's last digit."""
    told = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = 5.0 * rng.normal(size=(153, n_columns))
        X[:53] = np.round(rng.normal(size=n_columns), 15 if seed % 2 else 1)
        gaussian = GaussianHMM(2, form, covars_prior=None, random_state=seed, n_iter=200, tol=1e-6)
        for model in (
            gaussian,
            HMM(2, f"gaussian_{form}", random_state=seed, n_iter=200, tol=1e-6),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X)
            known = [w for w in caught if issubclass(w.category, DegenerateComponentWarning)]
            assert known or model.score(X) < 0.0
            told += bool(known)
    assert told > 5
