"""Log-likelihood of rows under a fitted mixture, and the criteria made of it: AIC, BIC, ICL."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.tile import LEAF
from fusem.mixture.evaluation import Outcome
from fusem.mixture.parametrised import Parametrised, Ready

Array = NDArray[np.float64]


class Totals(NamedTuple):
    """Sums over rows; those without any value count as nothing but in `n_empty`."""

    log_likelihood: float  # Σ w log density
    weight: float  # Σ w
    log_certainty: float  # Σ w log of the largest responsibility, where wanted
    n_rows: int  # rows with any value
    n_empty: int  # rows without


class Criteria(Parametrised):
    """Part of every mixture; uses its parameters and its E-step."""

    @abstractmethod
    def _evaluate(
        self, ready: Ready, sample_weight: Any, wanted: str, consume: Callable[..., None]
    ) -> None:
        """Run the E-step over rows."""

    def _totals(self, X: Any, sample_weight: Any, entropy: bool = False) -> Totals:
        """Sums over rows, leaf by leaf, exactly rounded."""
        likelihoods: list[float] = []
        weights: list[float] = []
        certainties: list[float] = []
        counts: list[tuple[int, int]] = []

        def consume(first: int, w: Array | None, o: Outcome) -> None:
            n = len(o.evidence)
            counts.append((n, int(np.count_nonzero(o.blank))))
            v = np.ones(n) if w is None else w
            if o.blank.size:
                v = np.where(o.blank, 0.0, v)
            likelihoods.extend(_by_leaf(_weighted(o.evidence, v)))
            weights.extend(_by_leaf(v))
            if entropy:
                largest = o.proba.max(axis=1).astype(np.float64)
                certainties.extend(_by_leaf(_weighted(np.log(largest), v)))

        wanted = "evidence proba" if entropy else "evidence"
        self._evaluate(self._ready(X), sample_weight, wanted, consume)
        if not weights:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        total = math.fsum(weights)
        n_rows, n_empty = (sum(kind) for kind in zip(*counts, strict=True))
        if total <= 0.0:
            raise ValueError(
                "No row has a value and a positive sample_weight: there is nothing to score."
                if n_empty
                else "sample_weight is zero for every row: at least one must be positive."
            )
        return Totals(_sum(likelihoods), total, _sum(certainties), n_rows - n_empty, n_empty)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        log_likelihood : float
            Log-likelihood per row (per unit of weight). Rows without any value do not count; `score_samples`
            says 0 of them.
        """
        totals = self._totals(X, sample_weight)
        return totals.log_likelihood / totals.weight

    def _n_parameters(self) -> int:
        model = self._model()
        K = len(model.weights)
        return int(K - 1 + self._family.n_parameters(K, model.n_columns))

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike's information criterion on X; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        aic : float
            −2 log L + 2 p.
        """
        totals = self._totals(X, sample_weight)
        return -2.0 * totals.log_likelihood + 2.0 * self._n_parameters()

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion on X; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows; their sum is the number of rows.

        Returns
        -------
        bic : float
            −2 log L + p log n.
        """
        likelihood, weight, *_ = self._totals(X, sample_weight)
        return -2.0 * likelihood + self._n_parameters() * math.log(weight)

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """Integrated completed likelihood criterion on X; lower is better.

        BIC with the rows assigned to their most probable components: it asks for separated clusters
        (Biernacki, Celeux and Govaert 2000).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows; their sum is the number of rows.

        Returns
        -------
        icl : float
            BIC − 2 Σ log of each row's largest responsibility.
        """
        likelihood, weight, certainty, *_ = self._totals(X, sample_weight, entropy=True)
        return -2.0 * (likelihood + certainty) + self._n_parameters() * math.log(weight)


def _weighted(values: Array, weights: Array) -> Array:
    """Products in which a weight of 0 hides even an infinite value."""
    return np.asarray(np.where(weights > 0.0, values, 0.0) * weights)


def _by_leaf(values: Array) -> list[float]:
    """Sums of every LEAF values, zeros after the last: NumPy adds fewer in another order."""
    rest = -len(values) % LEAF
    whole = np.pad(values, (0, rest)) if rest else values
    sums: list[float] = whole.reshape(-1, LEAF).sum(axis=1).tolist()
    return sums


def _sum(values: list[float]) -> float:
    return math.fsum(values) if np.isfinite(values).all() else float(np.sum(values))
