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
from sklearn.utils import check_random_state

from fusem.em.start import of_ordinary_size

Array = NDArray[np.float64]
SEED = 17  # apart from the numbers that others seed their data with
ROUNDS = 3  # of k-means with missing values at their cluster's centre


def completed(
    X: NDArray[Any],
    weights: Array | None,
    n_components: int,
    clusters: bool,
    centre: Array,
    scale: Array,
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
    centre, scale : arrays of shape (d,)
        Mean and standard deviation of each column.
    rng : RandomState
        Advanced by the draws, unless it is NumPy's global one: then missing values are the same in every fit,
        so that one component, which needs no clusters, is fitted alike.
    number : int
        Of the start.
    """
    X = np.array(X, dtype=np.float64)
    w = np.ones(len(X)) if weights is None else weights
    labels = np.zeros(len(X), dtype=np.int64)
    missing = np.isnan(X)
    centres, spreads = centre[None], scale[None]
    if clusters and n_components > 1:
        for _ in range(ROUNDS):
            filled = np.where(missing, centres[labels], X)
            means = KMeans(n_components, n_init=1, random_state=rng)
            before, labels = labels, means.fit(of_ordinary_size(filled), sample_weight=w).labels_
            centres, spreads = moments(X, missing, w, labels, centre, scale)
            if np.array_equal(before, labels):
                break
    row, column = np.nonzero(missing)
    if rng is not check_random_state(None):
        number = int(rng.randint(np.iinfo(np.int32).max))
    noise = np.random.RandomState([SEED, number]).standard_normal(len(row))
    X[row, column] = centres[labels[row], column] + spreads[labels[row], column] * noise
    return X


def moments(
    X: Array,
    missing: NDArray[np.bool_],
    w: Array,
    labels: NDArray[np.int64],
    centre: Array,
    scale: Array,
) -> tuple[Array, Array]:
    """Means and standard deviations (labels, d) of observed values; those of all rows where too few are."""
    n_labels = int(labels.max()) + 1
    centres, spreads = np.tile(centre, (n_labels, 1)), np.tile(scale, (n_labels, 1))
    for label in range(n_labels):
        own = labels == label
        mass = np.where(missing[own], 0.0, w[own, None])
        total = np.maximum(mass.sum(axis=0), np.finfo(np.float64).tiny)
        offset = np.where(missing[own], 0.0, X[own] - centre)
        mean = (mass * offset).sum(axis=0) / total
        spread = np.sqrt((mass * (offset - mean) ** 2).sum(axis=0) / total)
        enough = spread > 0.0
        centres[label, enough] += mean[enough]
        spreads[label, enough] = spread[enough]
    return centres, spreads
