"""Step 3: does the start matter? EM from many, and how many reach the best optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fusem.demo.truth import TRUTH, Array, Parameters, of_model

# Log-likelihoods per row closer than this are one optimum: the fits stop at a change of 1e-10.
SAME = 1e-6


class Restarts(NamedTuple):
    """Final log-likelihood per row of each start, how many share the best, and the best fit."""

    logliks: list[float]
    n_best: int
    best: Parameters


def random_restarts(x: Array, n_starts: int, seed: int, echo: Callable[[str], None]) -> Restarts:
    """Fit from random weights, means and standard deviations."""
    import fusem

    rng = np.random.default_rng([seed, 2])
    fits = []
    for _ in range(n_starts):
        weight = rng.uniform(0.05, 0.95)
        sd = np.std(x) * rng.uniform(0.05, 1.0, size=2)
        model = fusem.GaussianMixture(
            n_components=2,
            weights_init=[weight, 1 - weight],
            means_init=rng.choice(x, size=(2, 1), replace=False),
            precisions_init=(1 / sd**2).reshape(2, 1, 1),
            tol=1e-10,
            max_iter=5000,
        )
        model.fit(x)
        fits.append((model.score(x), of_model(model)))
    logliks = [loglik for loglik, _ in fits]
    best, parameters = max(fits, key=lambda fit: fit[0])
    n_best = sum(loglik > best - SAME for loglik in logliks)
    echo(f"   {n_best} of {n_starts} reached the best optimum, log-likelihood {best:.6f} per row.")
    for loglik in sorted({round(value, 6) for value in logliks if value <= best - SAME}):
        count = sum(abs(value - loglik) < SAME for value in logliks)
        echo(f"   {count} stopped at a lower one, {loglik:.6f}.")
    echo("   best   " + "  ".join(f"{n} {v:.4f}" for n, v in parameters._asdict().items()))
    echo("   truth  " + "  ".join(f"{n} {v:.4f}" for n, v in TRUTH._asdict().items()))
    return Restarts(logliks, n_best, parameters)
