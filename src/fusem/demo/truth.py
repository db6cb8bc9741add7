"""The mixture that the demo draws from, and whose parameters it finds again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """A mixture of two normal distributions: p·N(mean1, sd1²) + (1 - p)·N(mean2, sd2²)."""

    p: float
    mean1: float
    sd1: float
    mean2: float
    sd2: float

    @property
    def formula(self) -> str:
        """The mixture as a formula."""
        return (
            f"{self.p:g}·N({self.mean1:g}, {self.sd1:g}²) + "
            f"{1 - self.p:g}·N({self.mean2:g}, {self.sd2:g}²)"
        )


TRUTH = Parameters(p=0.3, mean1=1.0, sd1=2.0, mean2=9.0, sd2=3.0)
NAMES = Parameters._fields


def draw(n_values: int, seed: int, *, stream: int = 0) -> Array:
    """Draw values from the true mixture: shape (n_values,). Streams of a seed are independent."""
    rng = np.random.default_rng([seed, stream])
    first = rng.random(n_values) < TRUTH.p
    return np.where(first, TRUTH.mean1, TRUTH.mean2) + rng.standard_normal(n_values) * np.where(
        first, TRUTH.sd1, TRUTH.sd2
    )


def as_model(parameters: Parameters) -> Any:
    """Make a model with these parameters, without any data."""
    import fusem

    model = fusem.GaussianMixture(n_components=2)
    model.weights_ = np.array([parameters.p, 1 - parameters.p])
    model.means_ = np.array([[parameters.mean1], [parameters.mean2]])
    model.covariances_ = np.array([[[parameters.sd1**2]], [[parameters.sd2**2]]])
    return model


def of_model(model: Any) -> Parameters:
    """Read the parameters of a model of two components, the one with the lower mean first."""
    means = model.means_[:, 0]
    sd = np.sqrt(model.covariances_[:, 0, 0])
    first, second = (int(k) for k in np.argsort(means))
    return Parameters(
        p=float(model.weights_[first]),
        mean1=float(means[first]),
        sd1=float(sd[first]),
        mean2=float(means[second]),
        sd2=float(sd[second]),
    )
