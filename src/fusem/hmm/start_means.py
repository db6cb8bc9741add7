"""Means of the states to begin with: of clusters, of stretches of time, of rows whose state is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from fusem.em.start import exponent_of
from fusem.hmm.known_states import means_of_known
from fusem.hmm.observations import PART, Observations, start_rows

Array = NDArray[np.float64]


def start_means(
    observations: Observations, n_states: int, rng: np.random.RandomState, in_order: bool
) -> Array:
    """Means of the states, (K, d).

    Parameters
    ----------
    in_order : bool
        Whether no state goes back to one before it. Then state k has the k-th of K equal stretches of every
        sequence; else states are clusters of k-means.
    """
    if in_order:
        means = stretch_means(observations, n_states)
    else:
        rows = start_rows(observations)
        if n_states > 1:
            means = means_of_clusters(rows, n_states, rng)
        else:
            means = rows.mean(axis=0, keepdims=True)
    if observations.states is None:
        return means
    known = means_of_known(observations, n_states)
    if not in_order:
        means = means[nearest_distinct(known, means)]
    return np.where(np.isnan(known), means, known)


def means_of_clusters(rows: Array, n_clusters: int, rng: np.random.RandomState) -> Array:
    """Means (n_clusters, d) of the clusters of k-means, whatever the unit of the rows."""
    exponent = exponent_of(rows)
    found = KMeans(n_clusters, n_init=1, random_state=rng).fit(np.ldexp(rows, -exponent))
    return np.asarray(np.ldexp(found.cluster_centers_, exponent))


def nearest_mean(rows: Array, means: Array) -> NDArray[np.intp]:
    """Number of the mean that is nearest to each row."""
    exponent = exponent_of(rows)
    rows, means = np.ldexp(rows, -exponent), np.ldexp(means, -exponent)
    return np.asarray(np.argmin([((rows - mean) ** 2).sum(axis=1) for mean in means], axis=0))


def covariance_of(rows: Array) -> Array:
    """Covariance matrix of the rows (d, d)."""
    exponent, d = exponent_of(rows), rows.shape[1]
    scaled = np.cov(np.ldexp(rows, -exponent).T, bias=False).reshape(d, d)
    return np.asarray(np.ldexp(scaled, 2 * exponent))


def nearest_distinct(known: Array, means: Array) -> NDArray[np.intp]:
    """A cluster for every state, each once: the nearest to the known means, for the others what is left."""
    scale = np.maximum(means.std(axis=0), np.finfo(np.float64).tiny)
    off = (known[:, None, :] - means[None, :, :]) / scale
    return np.asarray(linear_sum_assignment(np.nansum(off**2, axis=2))[1])


def stretch_means(observations: Observations, n_states: int) -> Array:
    """Means of K equal stretches of every sequence, of all sequences together."""
    shape = n_states, observations.n_columns
    total, counts = np.zeros(shape), np.zeros(shape)
    ends, lengths = observations.ends, observations.lengths
    for first in range(0, observations.n_rows, PART):
        last = min(first + PART, observations.n_rows)
        rows = np.arange(first, last)
        sequence = np.searchsorted(ends, rows, side="right")
        place = rows - (ends - lengths)[sequence]
        stretch = place * n_states // lengths[sequence]
        X = observations.part(first, last).astype(np.float64)
        seen = ~np.isnan(X)
        for k in np.unique(stretch):
            chosen = stretch == k
            total[k] += np.where(seen, X, 0.0)[chosen].sum(axis=0)
            counts[k] += seen[chosen].sum(axis=0)
    overall = total.sum(axis=0) / np.maximum(counts.sum(axis=0), 1.0)
    return np.where(counts > 0.0, total / np.maximum(counts, 1.0), overall)
