"""Log-densities of large counts: as exact as those of small ones, next to numbers of sixty digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from fusem import MultinomialMixture, PoissonMixture
from fusem.hmm import PoissonHMM
from fusem.kernels.counts import TABLE, beyond_one, log_ratio

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
SCALES = [300.0, 1e3, 1e6, 1e9, 1e12]


def log_factorial(n: float) -> Decimal:
    """log n!, by the product or by Stirling's series."""
    if n < 3000:
        return sum((Decimal(i).ln() for i in range(2, int(n) + 1)), Decimal(0))
    x = Decimal(n)
    series = 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)
    return x * x.ln() - x + (2 * PI * x).ln() / 2 + series


def poisson(row, rates) -> Decimal:
    return sum(
        Decimal(x) * Decimal(rate).ln() - Decimal(rate) - log_factorial(x)
        for x, rate in zip(row, rates, strict=True)
    )


def multinomial(row, chances) -> Decimal:
    """Of chances divided by their sum."""
    total = sum(map(Decimal, chances))
    terms = (
        Decimal(x) * (Decimal(p) / total).ln() - log_factorial(x)
        for x, p in zip(row, chances, strict=True)
    )
    return log_factorial(sum(row)) + sum(terms)


def exact(density, X, parameters):
    """Log-densities of a mixture of equal weights."""
    found = []
    with localcontext() as context:
        context.prec = 60
        for row in X.tolist():
            each = [
                density([x for x in row if x == x], own[: len(row)]) for own in parameters.tolist()
            ]
            top = max(each)
            found.append(float(top + (sum((one - top).exp() for one in each) / len(each)).ln()))
    return np.array(found)


def near(scale):
    """Rates some standard deviations from each other, and rows of them."""
    rng = np.random.default_rng(1)
    rates = scale + np.sqrt(scale) * np.array([[0.0, 1.0, 0.5], [3.0, -2.0, 0.0]])
    return rates, np.vstack([rng.poisson(own, (4, 3)) for own in rates]).astype(float)


def apart(scale):
    rng = np.random.default_rng(2)
    rates = scale * np.array([[0.7, 3.1, 0.001], [1.3, 2.2, 0.05]])
    return rates, np.vstack([rng.poisson(own, (4, 3)) for own in rates]).astype(float)


def mixture(made, parameters):
    model = made(len(parameters))
    model.weights_ = np.full(len(parameters), 1.0 / len(parameters))
    setattr(model, "rates_" if made is PoissonMixture else "probabilities_", parameters)
    return model


@pytest.mark.parametrize("scale", SCALES)
def test_poisson(scale):
    for rates, X in (near(scale), apart(scale)):
        found = mixture(PoissonMixture, rates).score_samples(X)
        # that of a component far from the others is a sum of terms as large as what tells them apart
        bound = 5e-12 + 5e-16 * np.abs(X - rates.mean(axis=0)).sum(axis=1)
        assert (np.abs(found - exact(poisson, X, rates)) <= bound).all()


@pytest.mark.parametrize("scale", SCALES)
def test_multinomial(scale):
    for rates, X in (near(scale), apart(scale)):
        chances = rates / rates.sum(axis=1, keepdims=True)
        found = mixture(MultinomialMixture, chances).score_samples(X)
        expected = X.sum(axis=1, keepdims=True) * chances.mean(axis=0)
        bound = 5e-12 + 5e-16 * np.abs(X - expected).sum(axis=1)
        assert (np.abs(found - exact(multinomial, X, chances)) <= bound).all()


def test_a_small_error_is_seen():
    rates, X = near(1e9)
    found = mixture(PoissonMixture, rates * (1.0 + 1e-13)).score_samples(X)
    assert np.abs(found - exact(poisson, X, rates)).max() > 1e-9


@pytest.mark.parametrize(
    "row", [[0, TABLE - 1], [TABLE, 0], [TABLE - 1, TABLE], [0, 0], [3, 10**9]]
)
def test_where_the_table_ends(row):
    X, rates = np.array([row], dtype=float), np.array([[900.0, 1100.0], [1e-200, 5.0]])
    for made, density in ((PoissonMixture, poisson), (MultinomialMixture, multinomial)):
        own = rates if made is PoissonMixture else rates / rates.sum(axis=1, keepdims=True)
        found = mixture(made, own).score_samples(X)
        np.testing.assert_allclose(found, exact(density, X, own), atol=1e-12 + 1e-15 * max(row))


def test_missing_values_beside_large_counts():
    rates, X = near(1e9)
    hidden = X.copy()
    hidden[::2, 2] = np.nan
    expected = np.where(
        np.isnan(hidden[:, 2]), exact(poisson, X[:, :2], rates), exact(poisson, X, rates)
    )
    found = mixture(PoissonMixture, rates).score_samples(hidden)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_rows_that_are_missing_whole():
    rates, X = near(1e9)
    chances = rates / rates.sum(axis=1, keepdims=True)
    hidden = X.copy()
    hidden[::2] = np.nan
    expected = np.where(np.isnan(hidden[:, 0]), 0.0, exact(multinomial, X, chances))
    found = mixture(MultinomialMixture, chances).score_samples(hidden)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_float32_rows():
    rates, X = near(1e6)
    for made, density in ((PoissonMixture, poisson), (MultinomialMixture, multinomial)):
        own = rates if made is PoissonMixture else rates / rates.sum(axis=1, keepdims=True)
        found = mixture(made, own).score_samples(X.astype(np.float32))
        np.testing.assert_allclose(found, exact(density, X, own), atol=2e-3)


def test_rates_far_beyond_each_other():
    rates, X = np.array([[1e-200, 3.0], [1e9, 3.0]]), np.array([[0.0, 2.0], [3.0, 2.0], [1e9, 2.0]])
    found = mixture(PoissonMixture, rates).score_samples(X)
    np.testing.assert_allclose(found, exact(poisson, X, rates), atol=1e-6)
    with np.errstate(all="raise"):
        ratios = log_ratio(np.array([1e-200, 1e200, 1e-310]), np.array([1e200, 1e-200, 1.0]))
    np.testing.assert_allclose(ratios, np.log(10.0) * np.array([-400.0, 400.0, -310.0]), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("scale", [1e7, 1e10, 1e12])
@pytest.mark.parametrize("made", [PoissonMixture, MultinomialMixture, PoissonHMM])
def test_the_likelihood_does_not_fall(made, scale):
    rng = np.random.default_rng(1)
    means = 5.0 * scale + np.array([[0.0], [3.0]]) * np.sqrt(5.0 * scale)
    X = rng.permutation(np.vstack([rng.poisson(mean, (100, 2)) for mean in means])).astype(float)
    limit = {"n_iter": 60} if made is PoissonHMM else {"max_iter": 60}
    model = made(2, random_state=0, tol=1e-300, **limit).fit(X)
    history = model.history_["log_likelihood"] / (len(X) if made is PoissonHMM else 1)
    assert np.diff(history).min() >= -1e-9


def test_ratios_of_nearly_equal_numbers():
    centre = np.array([3e9, 3e9, 3e9, 2.0])
    values = np.array([3e9 + 1.0, 1e-300, 0.0, 5.0])
    expected = [1.0 / 3e9 - 0.5 / 9e18, np.log(1e-300 / 3e9), 0.0, np.log(2.5)]
    np.testing.assert_allclose(log_ratio(values, centre), expected, rtol=1e-15)


def test_what_rounding_made_of_a_sum():
    chances = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25 + 2.0**-54]])
    found = beyond_one(chances)
    assert found[0] == 0.0
    if np.finfo(np.longdouble).nmant > 52:
        assert found[1] == 2.0**-54
