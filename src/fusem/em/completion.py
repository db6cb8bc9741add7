"""Rows for a start: missing values filled in at random, so that clusters and spreads come out about right.

Means alone would leave too small variances, from which EM frees itself slowly, and no correlation where two
columns are rarely seen together: that can be a saddle of the likelihood. A start with other numbers is a
start somewhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from fusem.em.start import of_ordinary_size

Array = NDArray[np.float64]
ROUNDS = 3  # of k-means with missing values at their cluster's centre


def completed(
    X: NDArray[Any],
    weights: Array | None,
    n_components: int,
    clusters: bool,
    rng: np.random.RandomState,
    number: int,
) -> Array:
    """The rows with missing values drawn around those of their cluster.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows, each with some value.
    clusters : bool
        Whether to look for `n_components` clusters first (k-POD: Chi, Chi and Baraniuk 2016).
    rng : RandomState
        For the clusters.
    number : int
        Of the start: other numbers are drawn for another one.
    """
    X = np.array(X, dtype=np.float64)
    w = np.ones(len(X)) if weights is None else weights
    labels = np.zeros(len(X), dtype=np.int64)
    missing = np.isnan(X)
    centres, spreads = moments(X, missing, w, labels, 1)
    if clusters and n_components > 1:
        for _ in range(ROUNDS):
            filled = np.where(missing, centres[labels], X)
            means = KMeans(n_components, n_init=1, random_state=rng)
            before, labels = labels, means.fit(of_ordinary_size(filled), sample_weight=w).labels_
            centres, spreads = moments(X, missing, w, labels, n_components)
            if np.array_equal(before, labels):
                break
    row, column = np.nonzero(missing)
    noise = np.random.RandomState(number).standard_normal(len(row))
    X[row, column] = centres[labels[row], column] + spreads[labels[row], column] * noise
    return X


def moments(
    X: Array, missing: NDArray[np.bool_], w: Array, labels: NDArray[np.int64], n_labels: int
) -> tuple[Array, Array]:
    """Means and standard deviations (n_labels, d) of observed values; those of all where there are none."""
    known = np.where(missing, 0.0, w[:, None])
    guess = np.nanmedian(X, axis=0)
    offset = np.where(missing, 0.0, X - guess)
    total = known.sum(axis=0)
    mean = (known * offset).sum(axis=0) / total
    spread = np.sqrt((known * (offset - mean) ** 2).sum(axis=0) / total)
    centres, spreads = np.tile(mean, (n_labels, 1)), np.tile(spread, (n_labels, 1))
    for label in range(n_labels if n_labels > 1 else 0):
        own = labels == label
        mass = known[own].sum(axis=0)
        some = mass > 0.0
        own_mean = (known[own] * offset[own]).sum(axis=0)[some] / mass[some]
        square = (known[own][:, some] * (offset[own][:, some] - own_mean) ** 2).sum(axis=0)
        centres[label, some], spreads[label, some] = own_mean, np.sqrt(square / mass[some])
    return centres + guess, spreads
