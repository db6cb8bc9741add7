"""One sweep against the same sums in 50 digits, at exactly the parameters that the kernels are given.

Moments are of y = W (x − μ), W the precision factor in float64. An error is measured in units of the sum
of the absolute values of what is summed, for the log-likelihood in units of itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from mpmath import mp

from fusem.data import open_rows
from fusem.em.workers import Workers
from fusem.families.registry import FAMILIES
from fusem.mixture.engine import HEADER, Engine, Model
from tests.cases import CASES
from tests.reference import Parameters

CASE = {case.family: case for case in CASES}
BOUND = {"float64": 1e-13, "float32": 1e-5}
# Tied components whose means lie this far apart (in every column) are summed each about its own mean.
FAR = 60.0
# Means further apart: too far for products of matrices in float32, just near enough in float64.
BEYOND = 5.0, 16.0
FORMS = [
    *((family, 0.0) for family in CASE),
    *(("gaussian_tied", apart) for apart in (*BEYOND, FAR)),
]
USUAL = 200, 3, 3  # rows, components, columns
# Two tiles; the exp of two components; blocks of four columns and what is left of them.
OTHER = 300, 2, 7

exact = np.frompyfunc(mp.mpf, 1, 1)
exp = np.frompyfunc(mp.exp, 1, 1)
log = np.frompyfunc(mp.log, 1, 1)

# The family's form of second moments (K, d, d) about each component's mean.
SECOND = {
    "gaussian_full": lambda moments: moments,
    "gaussian_tied": lambda moments: moments.sum(axis=0),
    "gaussian_diag": lambda moments: np.diagonal(moments, axis1=1, axis2=2),
    "gaussian_spherical": lambda moments: np.trace(moments, axis1=1, axis2=2),
}


class Sums(NamedTuple):
    """What a sweep adds up."""

    log_likelihood: Any
    counts: Any  # (K,)
    first: Any  # (K, d)
    second: Any  # in the family's form; where tied components lie close, that about their centre


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def problem(family, dtype, offset, apart, shape=USUAL):
    """Rows and a mixture near them, both moved by an offset; one component may lie apart."""
    n, K, d = shape
    start, X = CASE[family].start(K, d), CASE[family].data(n, K, d)
    start.means[0] += apart
    X[::K] += apart
    components = FAMILIES[family].from_covariances(start.means + offset, start.covariances)
    return (X + offset).astype(dtype), Model(start.weights, components)


def swept(family, X, model, sample_weight=None):
    """The sums of the compiled sweep."""
    engine = Engine(FAMILIES[family], *model.components.means.shape, X.dtype)
    weights = None if sample_weight is None else open_rows(sample_weight)
    workers = Workers(1)
    statistic = engine.statistic(model, open_rows(X), weights, workers)
    stats = FAMILIES[family].stats_of(statistic[HEADER:], *model.components.means.shape)
    assert getattr(stats, "apart", True) == lies_apart(family, model)
    return Sums(statistic[0], stats.counts, stats.first, stats[-1])


def lies_apart(family, model):
    """Whether second moments are about each component's own mean: always, unless tied ones lie close."""
    return family != "gaussian_tied" or np.ptp(model.components.means) > FAR / 2


def triangles(family, model):
    """W of every component, (K, d, d), in 50 digits, whatever the family keeps of it."""
    means, _, whitening = model.components
    K, d = means.shape
    if family == "gaussian_tied":
        whitening = np.broadcast_to(whitening, (K, d, d))
    elif family != "gaussian_full":
        whitening = whitening.reshape(K, -1, 1) * np.eye(d)
    return exact(whitening)


def moments(mass, y):
    """Σ r, Σ r y and Σ r y yᵀ."""
    weighted = mass[:, None] * y
    return mass.sum(), weighted.sum(axis=0), weighted.T @ y


def moments_of_all(masses, ys):
    return map(np.array, zip(*map(moments, masses, ys)))


def density(weight, W, y):
    """Weight times density of a component at rows."""
    d = len(W)
    scale = weight * np.prod(np.diagonal(W)) / mp.sqrt((2 * mp.pi) ** d)
    return scale * exp(-(y * y).sum(axis=1) / 2)


def exact_sums(family, X, model, sample_weight=None):
    """The sums in 50 digits, and the units of their errors."""
    X, means, Ws = exact(X), exact(model.components.means), triangles(family, model)
    w = exact(np.ones(len(X)) if sample_weight is None else sample_weight)
    ys = [(X - mean) @ W.T for mean, W in zip(means, Ws)]
    densities = np.array([density(*each) for each in zip(exact(model.weights), Ws, ys)])
    evidence = densities.sum(axis=0)
    log_likelihood, masses = (w * log(evidence)).sum(), w * densities / evidence
    centre = np.median(model.components.means, axis=0)  # rounded, as the kernel has it
    z, apart = (X - exact(centre)) @ Ws[0].T, lies_apart(family, model)
    answers = []
    for part in (np.positive, np.abs):
        counts, first, own = moments_of_all(masses, list(map(part, ys)))
        second = SECOND[family](own) if apart else moments(w, part(z))[2]
        answers.append(Sums(part(log_likelihood), counts, first, second))
    return answers


def errors(found, expected, units):
    """Largest error of each of the sums."""
    return Sums(
        *(float(np.max(np.abs(exact(f) - e) / u)) for f, e, u in zip(found, expected, units))
    )


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize(("family", "apart"), FORMS)
def test_a_sweep(family, apart, offset, dtype):
    X, model = problem(family, dtype, offset, apart)
    worst = errors(swept(family, X, model), *exact_sums(family, X, model))
    assert max(worst) <= BOUND[dtype], worst


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("family", "apart"), FORMS)
def test_a_sweep_with_weights_at_another_size(family, apart, dtype):
    X, model = problem(family, dtype, 1e4, apart, OTHER)
    weights = np.random.default_rng(0).exponential(size=len(X))
    found = swept(family, X, model, weights)
    worst = errors(found, *exact_sums(family, X, model, weights))
    assert max(worst) <= BOUND[dtype], worst


@pytest.mark.parametrize("family", CASE)
def test_the_exact_sums_are_those_of_the_reference(family):
    X, model = problem(family, "float64", 0.0, 0.0)
    sums, _ = exact_sums(family, X, model)
    twin, params = CASE[family].twin, Parameters(model.weights, *model.components[:2])
    evidence, resp = twin.log_likelihoods(X, params), twin.responsibilities(X, params)
    assert float(sums.log_likelihood) == pytest.approx(evidence.sum(), rel=1e-12)
    np.testing.assert_allclose(sums.counts.astype(float), resp.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("field", Sums._fields)
def test_an_error_just_over_the_bound_is_seen(field):
    family = "gaussian_full"
    X, model = problem(family, "float64", 1e8, 0.0, (20, 3, 3))
    expected, units = exact_sums(family, X, model)
    rounded = Sums(*(np.asarray(sums, dtype=float) for sums in expected))
    assert max(errors(rounded, expected, units)) < 1e-15
    wrong = getattr(rounded, field).copy()
    wrong.flat[-1] += 2e-13 * float(np.ravel(getattr(units, field))[-1])
    worst = errors(rounded._replace(**{field: wrong}), expected, units)
    assert getattr(worst, field) > BOUND["float64"]
    assert max(worst._replace(**{field: 0.0})) < 1e-15
