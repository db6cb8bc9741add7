"""A small hidden Markov model with Gaussian states that the tests of its methods share."""

from __future__ import annotations

import numpy as np

from fusem import GaussianHMM
from tests.chain_paths import EveryPath, gaussian_logs

START = np.array([0.5, 0.3, 0.2])
MOVES = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6]])
MEANS = np.array([[0.0, 1.0], [1.5, 0.0], [3.0, 2.0]])
VARIANCES = np.array([[1.0, 2.0], [0.5, 1.0], [1.5, 0.7]])


def model(start=START, moves=MOVES, **options) -> GaussianHMM:
    """Return the model, with another chain if one is given."""
    made = GaussianHMM(3, random_state=0, **options)
    made.startprob_, made.transmat_ = np.asarray(start, float), np.asarray(moves, float)
    made.means_, made.covars_ = MEANS.copy(), VARIANCES.copy()
    return made


def rows(n, seed=0):
    """Draw n rows, two columns."""
    return np.random.default_rng(seed).normal(1.5, 1.5, size=(n, 2))


def logs(X):
    """Log-densities (n, 3)."""
    return gaussian_logs(X, MEANS, VARIANCES)


def every_path(X, start=START, moves=MOVES, states=None) -> EveryPath:
    """Return all paths of one sequence."""
    return EveryPath(np.asarray(start), np.asarray(moves), logs(X), states)
