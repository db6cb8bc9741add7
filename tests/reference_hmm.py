"""Slow float64 twins of hidden Markov models: recursions in logarithms, and every path in turn.

Nothing here is shared with fusem. Each function takes one sequence by the log-densities of its rows, (n, K).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logarithms(probabilities: Array) -> Array:
    """Logarithms, −inf of 0."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def log_sum(values: Array, axis: int) -> Array:
    """log Σ exp along an axis, −inf where all are."""
    top = values.max(axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        summed: Array = np.log(np.exp(values - safe).sum(axis=axis)) + np.squeeze(safe, axis)
    return summed


def smoothed(start: Array, transitions: Array, densities: Array) -> tuple[float, Array, Array]:
    """Log-likelihood, probabilities of the states (n, K), expected transitions (K, K)."""
    n, K = densities.shape
    moves = logarithms(transitions)
    forward, backward = np.empty((n, K)), np.zeros((n, K))
    forward[0] = logarithms(start) + densities[0]
    for t in range(1, n):
        forward[t] = log_sum(forward[t - 1][:, None] + moves, 0) + densities[t]
    for t in range(n - 2, -1, -1):
        backward[t] = log_sum(moves + densities[t + 1] + backward[t + 1], 1)
    both = forward + backward
    mass = log_sum(both, 1)
    expected = np.zeros((K, K))
    for t in range(1, n):
        joint = forward[t - 1][:, None] + moves + densities[t] + backward[t]
        expected += np.exp(joint - mass[t])
    return float(log_sum(forward[-1], 0)), np.exp(both - mass[:, None]), expected


def all_paths(start: Array, transitions: Array, densities: Array) -> tuple[Array, Array]:
    """Every path (K^n, n), and the log-probability of path and rows (K^n)."""
    n, K = densities.shape
    paths = np.array(list(product(range(K), repeat=n)))
    first, moves = logarithms(start), logarithms(transitions)
    total = first[paths[:, 0]] + densities[np.arange(n), paths].sum(axis=1)
    return paths, total + moves[paths[:, :-1], paths[:, 1:]].sum(axis=1)


def best_path(start: Array, transitions: Array, densities: Array) -> tuple[float, Array]:
    """The largest log p(path, rows), and a path that has it."""
    moves, value, origins = logarithms(transitions), logarithms(start) + densities[0], []
    for row in densities[1:]:
        ways = value[:, None] + moves
        origins.append(ways.argmax(axis=0))
        value = ways.max(axis=0) + row
    path = [int(value.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return float(value.max()), np.array(path[::-1])


def best_path_in_whole_numbers(start: Array, transitions: Array, densities: Array) -> Array:
    """The best path where logarithms are multiples of 2⁻⁴⁰, and their sums those of Python's whole numbers.

    Those of densities are taken less the largest of their row, for no less than −2040. Of ways that are
    equally good it is the first state's.
    """

    def whole(x: Array, top: float = 0.0) -> list[int]:
        return [round(max(value - top, -2040.0) * 2**40) if top > -np.inf else 0 for value in x]

    first = logarithms(start) + densities[0]
    moves = [whole(row) for row in logarithms(transitions)]
    value, origins, states = whole(first, first.max()), [], range(len(start))
    for row in densities[1:]:
        own = whole(row, row.max())
        ways = [[value[i] + moves[i][j] for i in states] for j in states]
        origins.append([way.index(max(way)) for way in ways])
        value = [max(way) + own[j] for j, way in enumerate(ways)]
    path = [value.index(max(value))]
    for origin in reversed(origins):
        path.append(origin[path[-1]])
    return np.array(path[::-1])


def way_back(origins: Array, last: Array) -> Array:
    """States (lanes, length) that lead to the last ones, each at a time; origins (length, lanes, states)."""
    length, lanes, _ = origins.shape
    path = np.empty((lanes, length), dtype=np.int64)
    for lane in range(lanes):
        state = last[lane]
        for t in reversed(range(length)):
            path[lane, t] = state
            state = origins[t, lane, state]
    return path
