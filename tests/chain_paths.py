"""Hidden Markov models by brute force: every path of a short sequence, one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.special import logsumexp


class EveryPath:
    """All paths of one sequence with the logarithm of p(path, rows).

    Attributes
    ----------
    paths : array of shape (K^n, n)
    logs : array of shape (K^n,)
    """

    def __init__(self, start, transitions, log_densities, states=None) -> None:
        n, self.K = log_densities.shape
        with np.errstate(divide="ignore"):
            begin, move = np.log(start), np.log(transitions)
        self.paths = np.array(list(product(range(self.K), repeat=n)))
        self.logs = begin[self.paths[:, 0]] + move[self.paths[:, :-1], self.paths[:, 1:]].sum(
            axis=1
        )
        self.logs = self.logs + log_densities[np.arange(n), self.paths].sum(axis=1)
        if states is not None:
            wrong = ((self.paths != states) & (np.asarray(states) >= 0)).any(axis=1)
            self.logs[wrong] = -np.inf

    @property
    def log_likelihood(self) -> float:
        """log p(rows)."""
        return float(logsumexp(self.logs))

    @property
    def chances(self):
        """p(path | rows)."""
        return np.exp(self.logs - self.log_likelihood)

    @property
    def proba(self):
        """p(state | rows) of every row, (n, K)."""
        return np.array(
            [
                [self.chances[self.paths[:, t] == k].sum() for k in range(self.K)]
                for t in range(self.paths.shape[1])
            ]
        )

    @property
    def moves(self):
        """Expected transitions, (K, K)."""
        counts = np.zeros((self.K, self.K))
        for path, chance in zip(self.paths, self.chances):
            np.add.at(counts, (path[:-1], path[1:]), chance)
        return counts

    @property
    def best(self):
        """The most probable path."""
        return self.paths[self.logs.argmax()]

    @property
    def margins(self):
        """Best path against the best one elsewhere, of every row."""
        elsewhere = self.paths != self.best
        rivals = [self.logs[other].max(initial=-np.inf) for other in elsewhere.T]
        return self.logs.max() - np.array(rivals)


def gaussian_logs(X, means, variances):
    """Log-densities (n, K) of independent normal columns; missing values are left out."""
    z = (X[:, None, :] - means) ** 2 / variances
    return -0.5 * np.nansum(z + np.log(2.0 * np.pi * variances) + 0.0 * X[:, None, :], axis=2)


def constrained(log_densities, states):
    """Log-densities with −∞ in the states that are not the known one (−1: not known)."""
    others = np.arange(log_densities.shape[1]) != np.asarray(states)[:, None]
    return np.where(others & (np.asarray(states)[:, None] >= 0), -np.inf, log_densities)


def step_by_step(start, transitions, log_densities):
    """Log-likelihood, p(state | rows) (n, K) and best path of one sequence of any length, in logarithms."""
    n, K = log_densities.shape
    with np.errstate(divide="ignore"):
        move, alpha, best = np.log(transitions), np.empty((n, K)), np.empty((n, K))
        alpha[0] = best[0] = np.log(start) + log_densities[0]
    beta, origin = np.zeros((n, K)), np.zeros((n, K), dtype=int)
    for t in range(1, n):
        alpha[t] = logsumexp(alpha[t - 1][:, None] + move, axis=0) + log_densities[t]
        origin[t] = (best[t - 1][:, None] + move).argmax(axis=0)
        best[t] = (best[t - 1][:, None] + move).max(axis=0) + log_densities[t]
    path = np.full(n, best[-1].argmax())
    for t in range(n - 1, 0, -1):
        beta[t - 1] = logsumexp(move + log_densities[t] + beta[t], axis=1)
        path[t - 1] = origin[t, path[t]]
    evidence = logsumexp(alpha[-1])
    return evidence, np.exp(alpha + beta - evidence), path
