"""Filtering: probabilities of the states given the rows so far, of arrays and of rows as they come."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fusem.em.workers import ALONE
from fusem.hmm.decoding import Decoding
from fusem.hmm.engine import ChainEngine
from fusem.hmm.forecast import Forecast
from fusem.hmm.sequence_filter import Filter, RowDensities, filtered, flat_chain
from fusem.hmm.whole_numbers import whole_number

Array = NDArray[np.float64]


class Filtering(Decoding):
    """Methods of a fitted hidden Markov model that look at rows up to now."""

    def filter_proba(self, X: Any, lengths: Any = None, *, states: Any = None) -> Array:
        """Probability of every state at every row, given the rows of its sequence up to there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_components), float64
            Rows sum to 1; they are 0 from the first row on that is impossible after those before.

        See Also
        --------
        predict_proba : The same given the whole sequence.
        online : One row at a time.
        """
        model, observations, engine = self._ready(X, lengths, states)
        proba = np.empty((observations.n_rows, self.n_components))

        def put(number: int, first: int, part: Array) -> None:
            np.exp(part, out=proba[first : first + len(part)])

        filtered(engine, model, observations, self.n_jobs, put)
        return proba

    def online(self, lag: int = 0) -> OnlineFilter:
        """Follow a sequence row by row, as it comes.

        Parameters
        ----------
        lag : int, default=0
            How many rows back `smoothed` looks.

        Returns
        -------
        online : OnlineFilter
            Call its ``filter(x)`` with every new row.
        """
        return OnlineFilter(self, lag)


class OnlineFilter:
    """A sequence that is followed row by row; made by ``model.online()``.

    A step takes the same time and memory however long the sequence is. The model's parameters are those of
    the moment it was made.

    Parameters
    ----------
    model : hidden Markov model
        Fitted.
    lag : int, default=0
        How many rows back `smoothed` looks.

    Attributes
    ----------
    proba : ndarray of shape (n_components,)
        Probability of every state at the last row, given all rows so far; before the first, `startprob_`.
    log_likelihood : float
        Log-likelihood of all rows so far; −inf from an impossible row on.
    n_rows : int
        Rows so far.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem import PoissonHMM
    >>> model = PoissonHMM(2)
    >>> model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]])
    >>> model.lambdas_ = np.array([[2.0], [9.0]])
    >>> online = model.online(lag=2)
    >>> [int(online.filter([count]).argmax()) for count in (1, 3, 8, 11)]
    [0, 0, 1, 1]
    >>> online.smoothed().argmax(axis=1)  # of the last three rows, given all four
    array([0, 1, 1])
    """

    def __init__(self, model: Any, lag: int = 0) -> None:
        check_is_fitted(model)
        self._model, self.lag = model, whole_number("lag", lag, 0, "rows")
        self._parameters = model._model()
        self._chain = flat_chain(self._parameters)
        self._d = model._n_columns(self._parameters.components)
        self._family = model._family_of(self._parameters.components)
        self._densities: dict[bool, RowDensities] = {}
        self.reset()

    def reset(self) -> OnlineFilter:
        """Begin a new sequence.

        Returns
        -------
        self : OnlineFilter
            The same, as it was made.
        """
        self._filter, self.n_rows = Filter(self._chain), 0
        self._recent: deque[tuple[Array, Array]] = deque(maxlen=self.lag + 1)
        return self

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of all rows so far."""
        return float(self._filter.log_likelihood)

    @property
    def proba(self) -> Array:
        """Probability of every state at the last row, given all rows so far."""
        return np.exp(self._chain.log_start if self._filter.opens else self._filter.last)

    def filter(self, x: Any) -> Array:
        """Take the next row, or several.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n, n_features)
            The row, or the next n rows in order. Values may be missing (NaN) where the model takes them.

        Returns
        -------
        proba : ndarray of shape (n_components,) or (n, n_components)
            Probability of every state at the row, given all rows up to it.

        Raises
        ------
        ValueError
            Another number of columns, infinity, values that the emissions cannot have. Nothing is taken then.
        """
        rows = np.asarray(x, dtype=np.float64)
        single = rows.ndim <= 1
        X = np.ascontiguousarray(rows.reshape(1, -1) if single else rows)
        if X.ndim != 2 or X.shape[1] != self._d:
            raise ValueError(
                f"x must be a row of {self._d} values, shape ({self._d},), or rows (n, {self._d}), not "
                f"{rows.shape}."
            )
        if len(X) == 0:
            return np.empty((0, self._model.n_components))
        logp = self._checked_densities(X)
        out = self._filter(logp)
        self.n_rows += len(X)
        self._recent.extend(zip(out[-self.lag - 1 :], logp[-self.lag - 1 :], strict=True))
        proba = np.exp(out)
        return proba[0] if single else proba

    def _checked_densities(self, X: Array) -> Array:
        observations = self._model._observe(X, None, self._d)
        missing = self._model._has_missing(observations, self._parameters, ALONE)
        if missing not in self._densities:
            given = self._family, self._model.n_components, self._d, X.dtype, missing
            self._densities[missing] = RowDensities(ChainEngine(*given), self._parameters)
        return self._densities[missing](X)

    def forecast(self, steps: int = 1) -> Forecast:
        """States and observations of the next rows, given all rows so far.

        Parameters
        ----------
        steps : int, default=1
            How many rows to look ahead.

        Returns
        -------
        forecast : Forecast
            As of the model's own `forecast`; element 0 is the next row.
        """
        if self.n_rows == 0:
            raise ValueError("There is no row yet to look ahead from: call filter first.")
        steps = whole_number("steps", steps, 1, "rows")
        ahead: Forecast = self._model._ahead(self._parameters, self.proba[None], steps)
        return ahead.of(0)

    def smoothed(self) -> Array:
        """Probabilities of the states at the last rows, given all rows so far (fixed-lag smoothing).

        Returns
        -------
        proba : ndarray of shape (min(lag + 1, n_rows), n_components)
            The oldest first: row 0 is `lag` rows ago, the last row is `proba`.
        """
        log_moves = self._chain.log_moves.reshape(self._parameters.transitions.shape)
        after, smoothed = np.zeros(self._model.n_components), []
        for log_filtered, logp in reversed(self._recent):
            both = log_filtered + after
            mass = log_sum(both)
            smoothed.append(np.exp(both - mass) if mass > -np.inf else np.zeros_like(both))
            after = log_sum(log_moves + (logp + after))
        return np.array(smoothed[::-1]).reshape(-1, self._model.n_components)


def log_sum(values: Array) -> Array:
    """log Σ exp over the last axis; SciPy's takes ten times as long for so few values."""
    top = values.max(axis=-1, keepdims=True)
    top = np.where(top > -np.inf, top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(top[..., 0] + np.log(np.exp(values - top).sum(axis=-1)))
