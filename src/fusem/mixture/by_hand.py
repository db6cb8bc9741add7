"""EM by hand: the E-step of some rows as an additive statistic, the M-step from their sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fusem.data import Rows
from fusem.em.values import not_finite
from fusem.em.workers import Workers
from fusem.mixture.engine import Engine, Model
from fusem.mixture.parametrised import Parametrised
from fusem.mixture.source import rows_to_use, weights_of
from fusem.mixture.statistic import MixtureStatistic, fingerprint

Array = NDArray[np.float64]


class ByHand(Parametrised):
    """Part of every mixture; uses and sets its parameters."""

    def statistics(self, X: Any, sample_weight: Any = None) -> MixtureStatistic:
        """The E-step over some rows: an additive statistic at the current parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or another source
            Rows, as in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        statistic : MixtureStatistic
            Add those of all parts of the data, then call `update`.
        """
        check_is_fitted(self)
        model = self._model()
        d = model.n_columns
        if getattr(X, "shape", None) == (0, d):  # an empty chunk adds nothing
            nothing = np.zeros(Engine(self._family, len(model.weights), d, np.float64).size)
            return MixtureStatistic(nothing, fingerprint(self._family.NAME, model))
        rows = rows_to_use(self, X, d)
        shape, check = (len(model.weights), d), self._check(rows)
        engine = Engine(self._family, *shape, rows.dtype, check=check)
        workers = Workers(self.n_jobs)
        sums = self._sums(engine, model, rows, weights_of(sample_weight), workers)
        if sums is None:
            sums = np.zeros(engine.size)
        if not np.isfinite(sums).all():
            raise self._not_finite(rows)
        return MixtureStatistic(sums, fingerprint(self._family.NAME, model))

    def _sums(
        self, engine: Engine, model: Model, rows: Rows, weights: Rows | None, workers: Workers
    ) -> Array | None:
        sums = engine.statistic(model, rows, weights, workers)
        if sums is not None and not np.isfinite(sums).all():
            sums = engine.statistic(model, rows, weights, workers, missing=True)
        return sums

    def _not_finite(self, rows: Rows) -> ValueError:
        return not_finite(rows)

    def _regularisation(self, model: Model) -> Array | None:
        """What the M-step adds to variances."""
        return None

    def update(self, statistic: MixtureStatistic) -> float:
        """The M-step: move to the parameters that the statistic of all rows implies.

        It counts as an iteration: `n_iter_`, `lower_bound_` and `lower_bounds_` go on, and a model that had
        converged has not any more; `history_` and `starts_` stay those of the fit.

        Where a mean moves by more than 100 of its new standard deviations, a single statistic leaves the
        covariances too few digits: then only weights and means move, and covariances follow at the next
        step. (`fit` passes over the rows once more instead.)

        Parameters
        ----------
        statistic : MixtureStatistic
            Sum of `statistics` over all rows, at the current parameters.

        Returns
        -------
        log_likelihood : float
            Log-likelihood per row *before* the step.

        Raises
        ------
        ValueError
            If the statistic is empty or was taken at other parameters.
        """
        check_is_fitted(self)
        model = self._model()
        if not isinstance(statistic, MixtureStatistic):
            raise TypeError(
                f"update takes a MixtureStatistic, as statistics() returns it, not {statistic!r}."
            )
        if statistic._taken_at != fingerprint(self._family.NAME, model):
            raise ValueError(
                "The statistic was taken at other parameters than the model has now: take it anew with "
                "statistics()."
            )
        if statistic.weight <= 0.0:
            raise ValueError("The statistic is of no rows: nothing to update from.")
        engine = Engine(self._family, len(model.weights), model.n_columns, np.float64)
        self._set_model(engine.maximize(model, statistic._sums, self._regularisation(model)))
        return self._note(statistic.log_likelihood / statistic.weight)

    def _note(self, log_likelihood: float) -> float:
        """Add an iteration to those of the fit, if there was one."""
        if not hasattr(self, "lower_bounds_"):
            self.n_iter_, self.lower_bounds_ = 0, []
        self.n_iter_ += 1
        self.lower_bounds_.append(log_likelihood)
        self.lower_bound_ = log_likelihood
        if hasattr(self, "converged_"):  # without a fit it stays unsaid
            self.converged_ = False
        return log_likelihood
