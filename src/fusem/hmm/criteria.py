"""Information criteria of hidden Markov models: log-likelihood against the number of free parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from fusem.hmm.decoding import Decoding


class Criteria(Decoding):
    """Akaike's and the Bayesian information criterion."""

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.

        Returns
        -------
        aic : float
            −2 log-likelihood + 2 · number of free parameters.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.
        """
        return -2.0 * self.score(X, lengths=lengths) + 2.0 * self._n_parameters()

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Bayesian information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.

        Returns
        -------
        bic : float
            −2 log-likelihood + number of free parameters · log(n_samples).

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.
        """
        evidence, _, observations = self._smoothed(X, lengths, what=None)
        penalty = self._n_parameters() * float(np.log(observations.n_rows))
        return -2.0 * float(evidence.sum()) + penalty

    @abstractmethod
    def _n_emission_parameters(self, components: Any) -> int: ...

    def _n_parameters(self) -> int:
        model = self._model()
        chain = self.n_components - 1 + self._constraints().n_parameters
        return chain + self._n_emission_parameters(model.components)
