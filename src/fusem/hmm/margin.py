"""How sure the most probable path is: the best path against the best through another state, row by row.

Source: max-marginals, Koller, Friedman 2009, section 13.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.hmm.decoding import Decoding
from fusem.hmm.sequence_filter import (
    CALL_ROWS,
    RowDensities,
    each_sequence,
    flat_chain,
    refuse_impossible,
)
from fusem.kernels.chain_rows import path_margins

Array = NDArray[np.float64]


class Margins(Decoding):
    """Margins of the most probable path."""

    def path_margin(self, X: Any, lengths: Any = None, *, states: Any = None) -> Array:
        """How much more probable the best path is than the best with another state at a row.

        The most probable path ("viterbi") is a single guess. Its margin at a row is
        ``log p(best path, X) − log p(best path that is elsewhere at this row, X)``: with a margin of 0
        another path is as good, with 7 the best one is some 1100 times as probable as any that differs there.

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
        margins : ndarray of shape (n_samples,)
            Natural logarithms, at least 0; infinite where no other state is possible. The least of a
            sequence is the margin to its second best path.

        Raises
        ------
        ValueError
            Where a sequence is impossible.
        """
        model, observations, engine = self._ready(X, lengths, states)
        densities, chain = RowDensities(engine, model), flat_chain(model)
        kernel, K = path_margins[np.float64], self.n_components
        given, nothing = (chain.log_start, chain.log_moves), np.empty(0)
        kernel(nothing, *given, nothing, np.empty(K), np.empty(K), nothing)
        margins = np.empty(observations.n_rows)
        evidence = np.empty(len(observations.lengths))

        def work(number: int, begin: int, end: int) -> None:
            logp, best = np.empty((end - begin, K)), np.empty((end - begin) * K)
            for first in range(begin, end, CALL_ROWS):
                last = min(first + CALL_ROWS, end)
                X = observations.part(first, last)
                part = densities(X, observations.known(first, last))
                # a far row's largest would leave no digit of the others
                top = part.max(axis=1, keepdims=True)
                logp[first - begin : last - begin] = part - np.where(np.isfinite(top), top, 0.0)
            flat = logp.reshape(-1), *given, best, np.empty(K), np.empty(K)
            kernel(*flat, margins[begin:end])
            evidence[number] = best[-K:].max()

        each_sequence(observations, self.n_jobs, work)
        refuse_impossible(evidence, observations)
        return margins
