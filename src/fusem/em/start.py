"""Starts: responsibilities of the rows that EM begins with, as scikit-learn's mixtures draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

Array = NDArray[np.float64]


def responsibilities(
    X: Array, weights: Array | None, n_components: int, how: str, rng: np.random.RandomState
) -> Array:
    """Responsibilities (n, K) of a start; the same draws from `rng` as scikit-learn makes.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows in memory.
    weights : array of shape (n,) or None
        Their weights: they count in "kmeans" and "k-means++".
    n_components : int
        K.
    how : {"kmeans", "k-means++", "random", "random_from_data"}
        Hard clusters, K spread-out rows, random shares, or K random rows.
    rng : RandomState
        Advanced by the draws.
    """
    n = len(X)
    if how == "random":
        resp = rng.uniform(size=(n, n_components))
        return np.asarray(resp / resp.sum(axis=1, keepdims=True))
    X = of_ordinary_size(X)
    resp = np.zeros((n, n_components))
    if how == "kmeans":
        means = KMeans(n_components, n_init=1, random_state=rng).fit(X, sample_weight=weights)
        resp[np.arange(n), means.labels_] = 1.0
        return resp
    if how == "random_from_data":
        chosen = rng.choice(n, size=n_components, replace=False)
    else:
        _, chosen = kmeans_plusplus(X, n_components, sample_weight=weights, random_state=rng)
    resp[chosen, np.arange(n_components)] = 1.0
    return resp


def of_ordinary_size(X: Array) -> Array:
    """Rows scaled by a power of two if their squares might over- or underflow; k-means is the same."""
    largest = max(float(X.max()), -float(X.min()))
    _, exponent = np.frexp(largest)
    return X if abs(exponent) <= 32 else np.ldexp(X, -exponent)
