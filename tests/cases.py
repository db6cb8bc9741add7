"""One row per family: what every contract test, and every benchmark, runs over.

Gaussian families have a row in `CASES`, those of counts and codes in `COUNT_CASES`: other data and other
parameters, the same contract.

A new family adds one row (and a file in `fusem/families`, a line in its registry, and a
twin in `tests/reference.py`). This file imports nothing of fusem, so that a benchmark can time it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.reference import TWINS, CountParameters, CountTwin, Parameters, Twin

DTYPES = (np.float64, np.float32)


def scatter_matrix(rng: np.random.Generator, n_features: int, spread: float = 1.0) -> np.ndarray:
    """Draw a well-conditioned covariance matrix with standard deviations near `spread`."""
    noise = rng.standard_normal((n_features, 2 * n_features + 2))
    matrix: np.ndarray = 0.5 * np.eye(n_features) + 0.5 * noise @ noise.T / noise.shape[1]
    return spread**2 * matrix


def full_matrices(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw K covariance matrices, (K, d, d)."""
    return np.array([scatter_matrix(rng, n_features) for _ in range(n_components)])


def one_matrix(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw the covariance matrix that all components share, (d, d)."""
    return scatter_matrix(rng, n_features)


def variance_rows(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw the variances of K components, (K, d)."""
    return rng.uniform(0.5, 2.0, size=(n_components, n_features))


def variance_scalars(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw one variance for each of K components, (K,)."""
    return rng.uniform(0.5, 2.0, size=n_components)


def invert_matrices(covariances: np.ndarray) -> np.ndarray:
    """Invert covariance matrices into exactly symmetric precision matrices."""
    inverse = np.linalg.inv(covariances)
    return 0.5 * (inverse + np.swapaxes(inverse, -1, -2))


@dataclass(frozen=True)
class Case:
    """A family at a size, with a maker of data and of start parameters.

    Attributes
    ----------
    family : str
        The family's name in the registry and in `tests.reference.TWINS`.
    covariance_type : str
        What the estimator's constructor calls it.
    draw_covariances : callable
        ``(rng, n_components, n_features)`` -> covariances in the family's own shape.
    invert : callable
        Covariances -> precisions, both in the family's own shape.
    n_components, n_features, n_rows : int
        The usual size; methods that take a size have these as defaults.
    """

    family: str
    covariance_type: str
    draw_covariances: Callable[[np.random.Generator, int, int], np.ndarray]
    invert: Callable[[np.ndarray], np.ndarray]
    n_components: int = 3
    n_features: int = 4
    n_rows: int = 2501

    @property
    def twin(self) -> Twin:
        """The slow reference of the family."""
        return TWINS[self.family]

    def start(self, n_components: int = 0, n_features: int = 0, seed: int = 1) -> Parameters:
        """Draw start parameters: overlapping components, no weight small."""
        K, d = n_components or self.n_components, n_features or self.n_features
        rng = np.random.default_rng([seed, K, d])
        weights = rng.uniform(1.0, 2.0, size=K)
        means = rng.standard_normal((K, d)) * (3.0 / np.sqrt(d)) * np.sqrt(K)
        return Parameters(weights / weights.sum(), means, self.draw_covariances(rng, K, d))

    def data(
        self,
        n_rows: int = 0,
        n_components: int = 0,
        n_features: int = 0,
        dtype: Any = np.float64,
        seed: int = 2,
    ) -> np.ndarray:
        """Draw rows (n, d) from Gaussians placed near, not at, the start parameters."""
        n, d = n_rows or self.n_rows, n_features or self.n_features
        start = self.start(n_components, d)
        rng = np.random.default_rng([seed, d])
        labels = rng.integers(len(start.weights), size=n)
        X = rng.standard_normal((n, d))
        for k, mean in enumerate(start.means):
            mine = labels == k
            X[mine] = X[mine] @ scatter_matrix(rng, d) + mean + 0.3 * rng.standard_normal(d)
        return X.astype(dtype, copy=False)

    def start_arguments(self, start: Parameters) -> dict[str, Any]:
        """Return constructor arguments that make fusem's or scikit-learn's mixture start there."""
        return {
            "n_components": len(start.weights),
            "covariance_type": self.covariance_type,
            "weights_init": start.weights,
            "means_init": start.means,
            "precisions_init": self.invert(start.covariances),
        }


CASES = [
    Case("gaussian_full", "full", full_matrices, invert_matrices),
    Case("gaussian_tied", "tied", one_matrix, invert_matrices),
    Case("gaussian_diag", "diag", variance_rows, np.reciprocal),
    Case("gaussian_spherical", "spherical", variance_scalars, np.reciprocal),
]


def draw_rates(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw Poisson rates, (K, d)."""
    return rng.gamma(2.0, 3.0, size=(n_components, n_features))


def draw_chances(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw probabilities of the columns, (K, d)."""
    return rng.dirichlet(np.full(n_features, 2.0), size=n_components)


def draw_code_chances(rng: np.random.Generator, n_components: int, n_features: int) -> np.ndarray:
    """Draw probabilities of 5 codes in every column, (K, d, 5)."""
    return rng.dirichlet(np.full(5, 0.7), size=(n_components, n_features))


def poisson_rows(rng: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """Draw a row for each row of rates."""
    return rng.poisson(rates)


def multinomial_rows(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """Draw a row of 1 to 29 counts for each row of probabilities."""
    return rng.multinomial(rng.integers(1, 30, size=len(chances)), chances)


def code_rows(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """Draw a row of codes for each (d, M) of probabilities."""
    edges = chances.cumsum(axis=2)[:, :, :-1]
    return (rng.random(chances.shape[:2])[:, :, None] > edges).sum(axis=2)


@dataclass(frozen=True)
class CountCase:
    """A family of counts or codes, with a maker of data and of start parameters.

    Attributes
    ----------
    family : str
        The family's name in the registry and in `tests.reference.TWINS`.
    estimator, parameter : str
        Names in fusem of the mixture, and of the attribute with its components.
    draw : callable
        ``(rng, n_components, n_features)`` -> parameters of the components.
    rows : callable
        ``(rng, parameters of each row)`` -> rows (n, d).
    missing : bool
        Whether values may be missing.
    """

    family: str
    estimator: str
    parameter: str
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    rows: Callable[[np.random.Generator, np.ndarray], np.ndarray]
    missing: bool
    n_components: int = 3
    n_features: int = 4
    n_rows: int = 2501

    @property
    def twin(self) -> CountTwin:
        """The slow reference of the family."""
        return TWINS[self.family]

    def start(self, n_components: int = 0, n_features: int = 0, seed: int = 1) -> CountParameters:
        """Draw start parameters."""
        K, d = n_components or self.n_components, n_features or self.n_features
        rng = np.random.default_rng([seed, K, d])
        weights = rng.uniform(1.0, 2.0, size=K)
        return CountParameters(weights / weights.sum(), self.draw(rng, K, d))

    def data(
        self,
        n_rows: int = 0,
        n_components: int = 0,
        n_features: int = 0,
        dtype: Any = np.float64,
        seed: int = 2,
        missing: float = 0.0,
    ) -> np.ndarray:
        """Draw rows (n, d) from other parameters than those of the start; a share of the values is NaN."""
        n, d = n_rows or self.n_rows, n_features or self.n_features
        truth = self.start(n_components, d, seed=7).values
        rng = np.random.default_rng([seed, d])
        X = self.rows(rng, truth[rng.integers(len(truth), size=n)]).astype(dtype)
        X[rng.random(X.shape) < missing] = np.nan
        return X


COUNT_CASES = [
    CountCase("poisson", "PoissonMixture", "rates", draw_rates, poisson_rows, True),
    CountCase(
        "categorical", "CategoricalMixture", "probabilities", draw_code_chances, code_rows, True
    ),
    CountCase(
        "multinomial", "MultinomialMixture", "probabilities", draw_chances, multinomial_rows, False
    ),
]
