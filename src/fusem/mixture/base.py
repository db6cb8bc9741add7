"""What every mixture does, whatever its family: fit, predict, densities, samples, files."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fusem.data import Rows
from fusem.em.blas import one_thread
from fusem.em.history import Sweep, as_array
from fusem.em.workers import Workers
from fusem.mixture.by_hand import ByHand
from fusem.mixture.criteria import Criteria
from fusem.mixture.engine import Engine
from fusem.mixture.evaluation import Room, evaluate
from fusem.mixture.fitting import Fit, Fitted, Listener
from fusem.mixture.output import Column, Table, check_output
from fusem.mixture.parametrised import Ready
from fusem.mixture.save import save
from fusem.mixture.source import column_names, rows_to_fit, weights_of

Array = NDArray[np.float64]


class BaseMixture(ByHand, Criteria, DensityMixin, BaseEstimator):
    """Mixture of K components of one family, fitted by expectation-maximisation."""

    warm_start: bool
    verbose: int
    verbose_interval: int
    random_state: Any
    _fitting: ClassVar[type[Fit]] = Fit

    @abstractmethod
    def _settings(self, family: Any, d: int) -> Any:
        """Checked constructor parameters for d columns."""

    def _examined(self, rows: Rows, workers: Workers) -> Any:
        """The family to fit to rows, where these are what it takes."""
        return self._family

    @abstractmethod
    def _diagnose(
        self, fitted: Fitted, support: Array | None, names: NDArray[np.object_] | None
    ) -> None:
        """Warn about what is poor in a fit."""

    # ---- fitting ----

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Estimate the mixture by EM.

        `n_init` starts are run and the one with the highest log-likelihood is kept. If `fit` fails or
        is interrupted, the estimator stays as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), table, path, list of chunks or function
            Rows: a NumPy array (float32 stays float32), a pandas, polars or pyarrow table, a path or
            glob of ``.npy``, Parquet or CSV files, a list or other re-iterable of chunks, or a function
            without arguments that returns an iterator of chunks. A 1-D array is one column.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), optional
            Weights ≥ 0; a row of weight 2 counts as two equal rows.

        Returns
        -------
        self : object
            The fitted mixture.

        Notes
        -----
        NaN means a missing value, missing at random: EM maximises the likelihood of what was observed. Rows
        without any value count as nothing.

        Raises
        ------
        ValueError
            Infinity (naming row and column), a column without any value, too few rows, negative weights, a
            source that changes between passes, or components whose covariance is singular.
        """
        return self._fit(X, sample_weight, y=y)

    def _fit(
        self,
        X: Any,
        sample_weight: Any = None,
        on_iteration: Callable[[Sweep], None] | None = None,
        y: Any = None,
    ) -> Any:
        self._validate_params()
        goes_on = self.warm_start and hasattr(self, "converged_")
        rows = rows_to_fit(X, y, self if goes_on else None)
        weights = weights_of(sample_weight)
        names = column_names(X, rows)
        elements = self.n_components * rows.n_columns**2
        given = self._model() if goes_on else None
        if given is not None and given.n_columns != rows.n_columns:
            raise ValueError(
                f"X has {rows.n_columns} features, but the model to continue from (warm_start=True) has "
                f"{given.n_columns}."
            )
        if given is not None and len(given.weights) != self.n_components:
            raise ValueError(
                f"n_components is {self.n_components}, but the model to continue from (warm_start=True) "
                f"has {len(given.weights)} components: set warm_start=False for a new start."
            )
        workers = Workers(self.n_jobs)
        family = self._examined(rows, workers)
        with one_thread(elements):
            settings = self._settings(family, rows.n_columns)
        listener = Listener(self.verbose, self.verbose_interval, on_iteration)
        fit = self._fitting(family, settings, rows, weights, workers, listener)
        fitted = fit.best_of(given, getattr(self, "lower_bound_", -np.inf))
        support = fit.support(fitted)
        with one_thread(elements):
            if fitted.run.sweeps:
                self._diagnose(fitted, support, names)  # first: a warning may be an error
            self._keep(fitted, rows, names)
        return self

    def _keep(self, fitted: Fitted, rows: Rows, names: NDArray[np.object_] | None) -> None:
        model = fitted.run.params
        total = model.weights.sum()
        if (
            abs(total - 1.0) > 1e-8
        ):  # a start from single rows, as scikit-learn's, that no sweep has followed
            model = model._replace(weights=model.weights / total)
        self._set_model(model)
        self.n_features_in_ = rows.n_columns
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.converged_ = fitted.run.converged
        self.n_iter_ = len(fitted.run.sweeps)
        self.lower_bound_ = float(fitted.run.lower_bound)
        self.lower_bounds_ = [float(sweep.log_likelihood) for sweep in fitted.run.sweeps]
        self.history_ = as_array(fitted.run.sweeps)
        self.starts_ = fitted.starts
        if fitted.reg is not None:
            self._reg = fitted.reg

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int64]:
        """Fit, then label the same rows: ``fit(X).predict(X)``.

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
        labels : ndarray of shape (n_samples,), int64
            Most probable component of every row.
        """
        labels: NDArray[np.int64] = self.fit(X, y, sample_weight).predict(X)
        return labels

    # ---- using a fitted mixture ----

    def _evaluate(
        self,
        ready: Ready,
        sample_weight: Any,
        wanted: str,
        consume: Callable[..., None],
        room: Room | None = None,
    ) -> None:
        rows, model = ready
        shape, check = (len(model.weights), rows.n_columns), self._check(rows)
        engine = Engine(self._family, *shape, rows.dtype, check=check)
        workers = Workers(self.n_jobs)
        weights = weights_of(sample_weight)
        given = engine, model, rows, weights, workers, frozenset(wanted.split())
        evaluate(*given, consume, room)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Most probable component of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Component numbers, from 0.
        """
        ready = self._ready(X)
        column = Column(np.int64, ready.rows)
        self._evaluate(ready, None, "labels", lambda first, w, o: column.put(first, o.labels))
        return column.whole()

    def score_samples(self, X: Any) -> Array:
        """Log-density of the mixture at every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            Natural logarithm of the density, −inf where it is less than float64 holds; of what was observed,
            where values are missing, and 0 of rows without any.
        """
        ready = self._ready(X)
        column = Column(np.float64, ready.rows)
        self._evaluate(ready, None, "evidence", lambda first, w, o: column.put(first, o.evidence))
        return column.whole()

    def predict_proba(self, X: Any, out: Any = None) -> NDArray[Any]:
        """Responsibilities: the probability of each component given the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        out : ndarray of shape (n_samples, n_components) or path ending in ``.npy``, optional
            Where to write. A file is written in tiles, with bounded memory, and appears under its name
            when it is complete.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to 1; float32 for float32 rows, else float64. `out` itself, or the file as a
            read-only memory map, where given.
        """
        ready = self._ready(X)
        check_output(out, X)
        with Table(out, ready.rows, len(ready.model.weights)) as proba:
            put, room = (lambda first, w, o: proba.put(first, o.proba)), proba.room
            self._evaluate(ready, None, "proba", put, room)
        return proba.whole()

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows from the mixture, component by component.

        Parameters
        ----------
        n_samples : int
            How many.
        random_state : int, RandomState or None
            Seeds the draw; None is the `random_state` of the mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows.
        y : ndarray of shape (n_samples,), int64
            The component of each.
        """
        return self._sample(n_samples, random_state)

    def _sample(
        self, n_samples: int, random_state: Any, **options: Any
    ) -> tuple[Array, NDArray[np.int64]]:
        check_is_fitted(self)
        if not isinstance(n_samples, Integral):
            raise TypeError(f"n_samples must be a whole number, not {n_samples!r}.")
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample."
            )
        seed = self.random_state if random_state is None else random_state
        model, rng = self._model(), check_random_state(seed)
        counts = rng.multinomial(n_samples, model.weights / model.weights.sum())
        draw, components = self._family.sample, model.components
        drawn = [draw(components, k, n, rng, **options) for k, n in enumerate(counts)]
        return np.vstack(drawn), np.repeat(np.arange(len(counts)), counts)

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted mixture to a file that `fusem.load` reads back; atomically, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file, by convention ending in ``.npz``.
        """
        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_") and hasattr(self, self._components_name)
