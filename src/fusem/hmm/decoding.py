"""Using a hidden Markov model: log-likelihood, probabilities of the states, most probable paths, samples."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fusem.em.workers import ALONE, Workers
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.hmm.forward_backward import swept
from fusem.hmm.impossible import impossible, zero_impossible
from fusem.hmm.known_states import check_possible, check_states
from fusem.hmm.missing import begins_complete, check_missing, has_missing
from fusem.hmm.observations import Observations, n_rows_of
from fusem.hmm.path import best_paths
from fusem.hmm.transitions import Constraints
from fusem.hmm.whole_numbers import whole_number
from fusem.mixture.output import Table, check_output

Array = NDArray[np.float64]
ALGORITHMS = ("viterbi", "map")


class Decoding:
    """Methods of a fitted hidden Markov model."""

    algorithm: str
    n_components: int
    n_jobs: int | None
    random_state: Any
    n_features_in_: int
    _drawn: ClassVar[type] = np.float64  # what `sample` gives
    # Whether no path has a finite density with a row that holds NaN or infinity. To look for them is then
    # only necessary where there is none.
    _shows_missing: ClassVar[bool] = False

    @abstractmethod
    def _family_of(self, components: Any) -> Any: ...

    @abstractmethod
    def _model(self) -> ChainModel: ...

    @abstractmethod
    def _observe(self, X: Any, lengths: Any, d: int) -> Observations: ...

    @abstractmethod
    def _check_values(
        self, observations: Observations, components: Any, workers: Workers
    ) -> bool | None: ...

    @abstractmethod
    def _n_columns(self, components: Any) -> int: ...

    @abstractmethod
    def _constraints(self) -> Constraints: ...

    @abstractmethod
    def __sklearn_is_fitted__(self) -> bool: ...

    def _check_fitted(self) -> None:
        """Raise where parameters are missing; scikit-learn's own way to ask takes as long as a small call."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def _ready(
        self,
        X: Any,
        lengths: Any,
        states: Any = None,
        workers: Workers = ALONE,
        complete: bool = False,
    ) -> tuple[ChainModel, Observations, ChainEngine]:
        """What every method needs; of rows that are taken to be `complete` only the first are looked at."""
        self._check_fitted()
        model = self._model()
        d = self._n_columns(model.components)
        observations = self._observe(X, lengths, d)
        complete = complete and begins_complete(observations)
        missing = not complete and self._has_missing(observations, model, workers)
        observations.states = check_states(states, observations.n_rows, self.n_components)
        check_possible(observations.states, observations, model)
        return model, observations, self._engine(model, observations, missing)

    def _engine(self, model: ChainModel, observations: Observations, missing: bool) -> ChainEngine:
        family, d = self._family_of(model.components), observations.n_columns
        return ChainEngine(family, self.n_components, d, observations.dtype, missing)

    def _has_missing(self, observations: Observations, model: ChainModel, workers: Workers) -> bool:
        """Whether values are missing; an error for those that the emissions cannot have made."""
        missing = self._check_values(observations, model.components, workers)
        if missing is None:
            missing = has_missing(observations, workers)
        check_missing(missing, self._family_of(model.components))
        return missing

    def _smoothed(
        self,
        X: Any,
        lengths: Any,
        states: Any = None,
        what: str | None = "probabilities",
        out: Any = None,
    ) -> tuple[Array, NDArray[Any], Observations]:
        """Log-likelihood of every sequence, probabilities of the states at every row.

        Those of impossible sequences are 0; a warning says `what` they are for, None leaves them out.
        """
        workers = Workers(self.n_jobs)
        model, observations, engine = self._ready(X, lengths, states, workers)
        layout = engine.layout(observations.lengths)
        ones = np.ones(len(observations.lengths))
        given = engine, model, observations, layout, ones, workers
        if what is None:
            evidence = layout.of_sequences(swept(*given, sums=False)[1])
            return evidence, np.empty((0, self.n_components)), observations
        with Table(out, observations.rows, self.n_components) as proba:
            evidence = layout.of_sequences(swept(*given, proba.put, sums=False)[1])
            zero_impossible(proba.whole(), what, evidence, observations)
        return evidence, proba.whole(), observations

    def score(self, X: Any, y: Any = None, *, lengths: Any = None, states: Any = None) -> float:
        """Log-likelihood of all sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        y : array-like of int, optional
            `lengths`, as in `fit`, else ignored.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not: everything else is given them.

        Returns
        -------
        log_likelihood : float
            Natural logarithm of the density; −inf where a sequence is impossible. With `states` the density
            of rows and known states together.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have, known states that are none.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.
        """
        return float(self._smoothed(X, positional(y, lengths, X), states, what=None)[0].sum())

    def score_samples(
        self, X: Any, lengths: Any = None, *, states: Any = None
    ) -> tuple[float, NDArray[Any]]:
        """Log-likelihood of all sequences, and probabilities of the states.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not: everything else is given them.

        Returns
        -------
        log_likelihood : float
            Natural logarithm of the density; −inf where a sequence is impossible.
        posteriors : ndarray of shape (n_samples, n_components), float64 or float32
            As of `predict_proba`.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have, known states that are none.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.

        Examples
        --------
        >>> import numpy as np
        >>> from fusem import PoissonHMM
        >>> model = PoissonHMM(2)
        >>> model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]
        >>> model.lambdas_ = [[1.0], [9.0]]
        >>> log_likelihood, posteriors = model.score_samples([[0], [2], [8]])
        >>> posteriors.round(2).tolist()
        [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
        """
        evidence, proba, _ = self._smoothed(X, lengths, states)
        return float(evidence.sum()), proba

    def predict_proba(
        self, X: Any, lengths: Any = None, *, states: Any = None, out: Any = None
    ) -> NDArray[Any]:
        """Probability of every state at every row, given its whole sequence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not: everything else is given them.
        out : ndarray of shape (n_samples, n_components) or path ending in ``.npy``, optional
            Where to write. A file is written block by block, with bounded memory, and appears under its name
            when it is complete.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_components), float64 or float32
            In the dtype of the rows. They sum to 1; those of an impossible sequence are 0, with an
            `ImpossibleSequenceWarning`. `out` itself, or the file as a read-only memory map, where given.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have, known states that are none; an `out` of another shape or dtype, or where
            rows are read from.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.
        """
        check_output(out, X)
        return self._smoothed(X, lengths, states, out=out)[1]

    def predict(self, X: Any, lengths: Any = None, *, states: Any = None) -> NDArray[np.int64]:
        """Most probable states: of the whole path ("viterbi"), or row by row ("map").

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not: everything else is given them.

        Returns
        -------
        states : ndarray of shape (n_samples,), int64
            State numbers, from 0; 0 in all of an impossible sequence, with an `ImpossibleSequenceWarning`.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have, known states that are none.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.
        """
        return self.decode(X, lengths, states=states)[1]

    def decode(
        self, X: Any, lengths: Any = None, algorithm: str | None = None, *, states: Any = None
    ) -> tuple[float, NDArray[np.int64]]:
        """Most probable states and how probable they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list of such arrays, or another source
            Rows of all sequences, one sequence after the other.
        lengths : array-like of int of shape (n_sequences,), optional
            Rows of each sequence.
        algorithm : {"viterbi", "map"}, optional
            The most probable path, or the most probable state of every row; the model's own by default.
        states : array-like of int of shape (n_samples,), optional
            States that are known, −1 where not: everything else is given them.

        Returns
        -------
        log_prob : float
            Log-density of path and rows; for "map" the sum of the states' probabilities. −inf where a
            sequence is impossible.
        states : ndarray of shape (n_samples,), int64
            State numbers, from 0; 0 in all of an impossible sequence, with an `ImpossibleSequenceWarning`.

        Raises
        ------
        ValueError
            Another number of columns, lengths that do not sum to the rows, infinity, values that the
            emissions cannot have, known states that are none, an unknown algorithm.
        sklearn.exceptions.NotFittedError
            No parameters yet, neither fitted nor assigned.

        Examples
        --------
        >>> import numpy as np
        >>> from fusem import PoissonHMM
        >>> model = PoissonHMM(2)
        >>> model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]
        >>> model.lambdas_ = [[1.0], [9.0]]
        >>> log_prob, states = model.decode([[0], [2], [8], [11], [1]])
        >>> states.tolist()
        [0, 0, 1, 1, 0]
        >>> round(log_prob, 2)
        -13.56
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {ALGORITHMS}, not {algorithm!r}.")
        if algorithm == "map":
            evidence, proba, _ = self._smoothed(X, lengths, states, "states")
            found = proba.argmax(axis=1).astype(np.int64)
            possible = not impossible(evidence).size
            return float(proba.max(axis=1).sum()) if possible else -np.inf, found
        workers = Workers(self.n_jobs)
        sees = self._shows_missing
        model, observations, engine = self._ready(X, lengths, states, workers, complete=sees)
        evidence, path = best_paths(engine, model, observations, workers)
        doubtful = sees and not np.isfinite(evidence).all()
        if doubtful and self._has_missing(observations, model, workers):
            del path
            engine = self._engine(model, observations, missing=True)
            evidence, path = best_paths(engine, model, observations, workers)
        zero_impossible(path, "states", evidence, observations)
        return float(evidence.sum()), path

    def sample(
        self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Draw a sequence from the model.

        Parameters
        ----------
        n_samples : int
            Its rows.
        random_state : int, RandomState or None
            Seeds the draws; None means the model's own.
        currstate : int, optional
            State of the first row; by default it is drawn from `startprob_`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64 or int64
            The rows; counts and symbols are whole numbers.
        states : ndarray of shape (n_samples,), int64
            The state of each.

        Raises
        ------
        ValueError
            `n_samples` less than 1, or a state that there is not.
        """
        self._check_fitted()
        n_samples = whole_number("n_samples", n_samples, 1, "rows")
        if currstate is not None and currstate not in range(self.n_components):
            raise ValueError(
                f"currstate={currstate!r}: the model has states 0 to {self.n_components - 1}."
            )
        model = self._model()
        rng = check_random_state(self.random_state if random_state is None else random_state)
        states = np.empty(n_samples, dtype=np.int64)
        below = np.cumsum(model.transitions, axis=1)
        start = model.start if currstate is None else np.eye(self.n_components)[int(currstate)]
        before = np.cumsum(start)
        last = self.n_components - 1
        for t, u in enumerate(rng.random_sample(n_samples)):
            states[t] = min(int(np.searchsorted(before, u, side="right")), last)
            before = below[states[t]]
        X: NDArray[Any] | None = None
        for k in range(self.n_components):
            chosen = np.flatnonzero(states == k)
            drawn = self._draw(model.components, k, len(chosen), rng)
            if X is None:
                X = np.empty((n_samples, drawn.shape[1]), dtype=self._drawn)
            X[chosen] = drawn
        assert X is not None
        return X, states

    def _draw(self, components: Any, k: int, n: int, rng: np.random.RandomState) -> Array:
        """Rows of one state."""
        return np.asarray(self._family_of(components).sample(components, k, n, rng))


def positional(y: Any, lengths: Any, X: Any) -> Any:
    """Lengths given by name, or in place of y: what is no label for each row, or an integer 1 for each."""
    if lengths is not None or y is None:
        return lengths
    given, n_rows = np.asarray(y), n_rows_of(X)
    if given.ndim == 0 or len(given) != n_rows:
        return given
    ones = given.ndim == 1 and np.issubdtype(given.dtype, np.integer) and (given == 1).all()
    return given if given.size and ones else None
