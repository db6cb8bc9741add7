"""Draws of whole paths of states given the rows: forth by filtering, back by sampling.

Source: Chib 1996, Journal of Econometrics 75; Frühwirth-Schnatter 2006, section 11.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from fusem.hmm.decoding import Decoding
from fusem.hmm.sequence_filter import filtered, flat_chain, refuse_impossible
from fusem.hmm.whole_numbers import whole_number
from fusem.kernels.chain_rows import draw_paths

Array = NDArray[np.float64]


class PathSampling(Decoding):
    """Draws of paths from a fitted hidden Markov model."""

    def sample_posterior(
        self,
        X: Any,
        lengths: Any = None,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        states: Any = None,
    ) -> NDArray[np.int64]:
        """Draw paths of states from their distribution given the rows.

        `predict_proba` says how probable each state is at each row; draws hang together over rows, so that
        anything of a path can be averaged over them: how often it changes, how long it stays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        n_samples : int, default=1
            How many paths to draw of every sequence.
        random_state : int, RandomState or None
            Seeds the draws; None means the model's own. They do not depend on the number of threads.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not.

        Returns
        -------
        paths : ndarray of shape (n_samples, n_rows), int64
            Independent draws, each with the states of all rows.

        Raises
        ------
        ValueError
            Where a sequence is impossible.
        """
        n_samples = whole_number("n_samples", n_samples, 1, "paths")
        model, observations, engine = self._ready(X, lengths, states)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        chain, K = flat_chain(model), self.n_components
        paths = np.empty((n_samples, observations.n_rows), dtype=np.int64)
        draw, ends = draw_paths[np.float64], observations.ends
        kept: dict[int, list[Array]] = {}

        def take(number: int, first: int, part: Array) -> None:
            parts = kept.setdefault(number, [])
            parts.append(part)
            if first + len(part) < ends[number]:
                return
            log_filtered = np.concatenate(kept.pop(number))
            rows = len(log_filtered)
            own = np.empty((len(paths), rows), dtype=np.int64)
            uniforms = np.random.default_rng([seed, number]).random((rows, len(paths)))
            flat = log_filtered.reshape(-1), chain.moves, chain.log_moves, uniforms.reshape(-1)
            draw(*flat, np.empty(K), np.empty(K * K), own.reshape(-1))
            paths[:, ends[number] - rows : ends[number]] = own

        nothing = np.empty(0)
        draw(
            nothing,
            chain.moves,
            chain.log_moves,
            nothing,
            np.empty(K),
            np.empty(K * K),
            paths[0, :0],
        )
        refuse_impossible(filtered(engine, model, observations, self.n_jobs, take), observations)
        return paths
