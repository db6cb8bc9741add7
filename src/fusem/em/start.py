"""Starts: responsibilities of the rows that EM begins with, as scikit-learn's mixtures draw them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

Array = NDArray[np.float64]
BLOCK = 1024  # rows whose responsibilities are in memory at a time


class Start:
    """Rows and their responsibilities, block by block; can be iterated over again and again.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows in memory.
    weights : array of shape (n,) or None
        Their weights, positive: they count in "kmeans" and "k-means++" and as factors.
    n_components : int
        K.
    how : {"kmeans", "k-means++", "random", "random_from_data"}
        Hard clusters, K spread-out rows, random shares, or K random rows.
    rng : RandomState
        Advanced by the draws; the same draws as scikit-learn makes.

    Attributes
    ----------
    single_rows : bool
        Whether K rows alone have responsibilities, one each.
    spare : array of bool, shape (K,)
        Clusters without a row (fewer distinct rows than components): they take all rows alike.
    """

    def __init__(
        self,
        X: NDArray[Any],
        weights: Array | None,
        n_components: int,
        how: str,
        rng: np.random.RandomState,
    ) -> None:
        n = len(X)
        if weights is not None:  # the unit of weights is nobody's business
            weights = weights * (n / weights.sum())
        self.X, self.weights, self.n_components = X, weights, n_components
        self.single_rows = how in ("random_from_data", "k-means++")
        self.spare = np.zeros(n_components, dtype=bool)
        self._state: Any = None
        self._labels = np.full(n, -1)  # -1: no component
        if how == "random":
            self._state = rng.get_state()
            for _ in self._shares(rng):  # leaves `rng` behind the draws
                pass
        elif how == "kmeans" and n_components == 1:
            self._labels[:] = 0
        elif how == "kmeans":
            means = KMeans(n_components, n_init=1, random_state=rng)
            self._labels = means.fit(of_ordinary_size(X), sample_weight=weights).labels_
            self.spare = np.bincount(self._labels, minlength=n_components) == 0
        elif how == "random_from_data":
            chosen = rng.choice(n, size=n_components, replace=False)
            self._labels[chosen] = np.arange(n_components)
        else:
            _, chosen = kmeans_plusplus(
                of_ordinary_size(X), n_components, sample_weight=weights, random_state=rng
            )
            self._labels[chosen] = np.arange(n_components)

    @property
    def weight(self) -> float:
        """Sum of the weights, scaled to a mean of 1."""
        return float(len(self.X))

    def __iter__(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield rows (m, d) in float64, weighted responsibilities (m, K) and weights (m,)."""
        rng = np.random.RandomState()
        if self._state is not None:
            rng.set_state(self._state)
        for first, resp in self._shares(rng):
            part = slice(first, first + len(resp))
            w = np.ones(len(resp)) if self.weights is None else self.weights[part]
            if not self.single_rows:
                resp *= w[:, None]
            yield np.asarray(self.X[part], dtype=np.float64), resp, w

    def _shares(self, rng: np.random.RandomState) -> Iterator[tuple[int, Array]]:
        components = np.arange(self.n_components)
        for first in range(0, len(self.X), BLOCK):
            labels = self._labels[first : first + BLOCK]
            if self._state is None:
                resp = (labels[:, None] == components).astype(np.float64)
                resp[:, self.spare] = 1.0
            else:
                resp = rng.uniform(size=(len(labels), self.n_components))
                resp /= resp.sum(axis=1, keepdims=True)
            yield first, resp


def of_ordinary_size(X: NDArray[Any]) -> Array:
    """Rows in float64, scaled by a power of two if their squares might over- or underflow.

    In float32 k-means++ compares distances that are rounded otherwise and draws other rows; a start
    should depend on the values alone.
    """
    X = np.asarray(X, dtype=np.float64)
    exponent = exponent_of(X)
    return X if exponent == 0 else np.asarray(np.ldexp(X, -exponent))


def exponent_of(X: NDArray[Any]) -> int:
    """The exponent of 2 to scale rows by; 0 where their squares are no danger. NaN is left out."""
    largest = max(float(np.nanmax(X)), -float(np.nanmin(X)))
    exponent = int(np.frexp(largest)[1])
    return 0 if abs(exponent) <= 32 else exponent
