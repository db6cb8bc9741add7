"""What comes after the end of a sequence: states, and mean and covariance of the observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.hmm.decoding import Decoding
from fusem.hmm.engine import ChainModel
from fusem.hmm.observations import is_list_of_sequences
from fusem.hmm.sequence_filter import filtered, refuse_impossible
from fusem.hmm.whole_numbers import whole_number

Array = NDArray[np.float64]


class Forecast(NamedTuple):
    """What a model expects 1, 2, … rows after the end of a sequence; with several, one after the other first.

    Attributes
    ----------
    proba : ndarray of shape (steps, n_components)
        Probabilities of the states.
    mean : ndarray of shape (steps, n_features) or None
        Mean of the observations; of symbols (`CategoricalHMM`) the probability of each. None of families
        that do not say what their means are.
    covariance : ndarray of shape (steps, n_features, n_features) or None
        Covariance of the observations within a row, over states too.
    """

    proba: Array
    mean: Array | None
    covariance: Array | None

    def of(self, sequence: int) -> Forecast:
        """That of one sequence, of several."""
        mean, covariance = self.mean, self.covariance
        return Forecast(
            self.proba[sequence],
            None if mean is None else mean[sequence],
            None if covariance is None else covariance[sequence],
        )


class Forecasting(Decoding):
    """Forecasts of a fitted hidden Markov model."""

    def _moments(self, components: Any) -> tuple[Array, Array] | None:
        """Means (K, d) and covariances (K, d, d) of the observations in every state; None if not known."""
        moments = getattr(self._family_of(components), "moments", None)
        return None if moments is None else moments(components)

    def forecast(
        self, X: Any, steps: int = 1, lengths: Any = None, *, states: Any = None
    ) -> Forecast:
        """States and observations of the rows that follow a sequence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows so far, of all sequences, one sequence after the other.
        steps : int, default=1
            How many rows to look ahead.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not.

        Returns
        -------
        forecast : Forecast
            `proba`, `mean` and `covariance`, all with the rows ahead first: element 0 is the next row. With
            lengths, or a list of sequences, they have a first axis more, that of the sequences.

        Raises
        ------
        ValueError
            Where a sequence is impossible, steps that are no whole number.
        """
        steps = whole_number("steps", steps, 1, "rows")
        model, observations, engine = self._ready(X, lengths, states)
        now = np.empty((len(observations.lengths), self.n_components))

        def take(number: int, first: int, part: Array) -> None:
            now[number] = part[-1]

        refuse_impossible(filtered(engine, model, observations, self.n_jobs, take), observations)
        ahead = self._ahead(model, np.exp(now), steps)
        if lengths is not None or is_list_of_sequences(X):
            return ahead
        return ahead.of(0)

    def _ahead(self, model: ChainModel, now: Array, steps: int) -> Forecast:
        """Forecasts (sequences, steps, …) from the probabilities of the states at the last rows."""
        proba = np.empty((len(now), steps, self.n_components))
        for step in range(steps):
            now = now @ model.transitions
            proba[:, step] = now
        moments = self._moments(model.components)
        if moments is None:
            return Forecast(proba, None, None)
        means, covariances = moments
        mean = proba @ means
        off = means - mean[..., None, :]  # (sequences, steps, K, d)
        between = np.einsum("ntk,ntki,ntkj->ntij", proba, off, off)
        within = np.einsum("ntk,kij->ntij", proba, covariances)
        return Forecast(proba, mean, within + between)
