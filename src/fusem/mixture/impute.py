"""Missing values filled in from a fitted mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from fusem.em.workers import Workers
from fusem.mixture.completion import Completion
from fusem.mixture.draws import draws
from fusem.mixture.engine import Engine
from fusem.mixture.output import Table, check_output
from fusem.mixture.parametrised import Parametrised, Ready


class Impute(Parametrised):
    """Part of every mixture; uses its parameters."""

    def impute(
        self,
        X: Any,
        *,
        sample_posterior: bool = False,
        random_state: Any = None,
        out: Any = None,
    ) -> NDArray[Any]:
        """Fill in missing values (NaN): their means given the observed ones, or draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`. A row without any value gets the mixture's mean.
        sample_posterior : bool, default=False
            Draw from the distribution given the observed values instead of taking its mean: means alone
            have too small a spread.
        random_state : int, RandomState or None, default=None
            Seeds the draws; None means the mixture's own `random_state`. The same numbers belong to the
            same rows, whatever the chunks and the number of threads.
        out : ndarray of shape (n_samples, n_features) or path ending in ``.npy``, optional
            Where to write. A file is written with bounded memory and appears when it is complete.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Observed values as they were, missing ones filled in, in the units of the data; float32 for
            float32 rows, else float64. `out` itself, or the file as a read-only memory map, where given.

        Raises
        ------
        ValueError
            At an infinity, naming its row and column; where `out` cannot hold the result.

        Examples
        --------
        >>> import numpy as np, fusem
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=1000)
        >>> X = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=1000)])
        >>> X[5] = 1.5, np.nan
        >>> fusem.GaussianMixture().fit(X).impute(X)[5].round(1)
        array([1.5, 3. ])
        """
        ready = self._ready(X)
        check_output(out, X)
        seed = self._seed(random_state) if sample_posterior else None
        with Table(out, ready.rows, ready.model.n_columns) as table:
            self._complete(ready, seed, table.put, table.room)
        return table.whole()

    def _seed(self, random_state: Any) -> int:
        rng = check_random_state(self.random_state if random_state is None else random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _complete(self, ready: Ready, seed: int | None, put: Any, room: Any = None) -> None:
        """Give ``put(first_row, segment)`` every segment of the rows without missing values, in any order.

        ``room(first_row, n_rows, dtype)`` is memory to write a segment to.
        """
        rows, model = ready
        engine = Engine(self._family, len(model.weights), model.n_columns, rows.dtype)
        completion = Completion(engine, model)

        def work(segment: tuple[int, NDArray[Any], Any]) -> None:
            first, X, _ = segment
            values = np.empty_like(X, order="C") if room is None else room(first, len(X), X.dtype)
            some = None
            if seed is not None and (missing := np.isnan(X)).any():
                some = draws(seed, first, missing)
            completion.complete(rows, first, X, some, values)
            put(first, values)

        workers = Workers(self.n_jobs)
        copies = (room is None) + (seed is not None)  # of a row: the result, what it is drawn with
        made = 8 * (1 + engine.d * copies)
        workers.run(engine.segments(rows, None, workers, made), work)
