"""EM by hand: the E-step of some rows as an additive statistic, the M-step from their sum."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fusem.em.values import not_finite
from fusem.em.workers import Workers
from fusem.mixture.engine import Engine, Model
from fusem.mixture.fitting import AUTOMATIC
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
        d = model.components.means.shape[1]
        if getattr(X, "shape", None) == (0, d):  # an empty chunk adds nothing
            nothing = np.zeros(Engine(self._family, len(model.weights), d, np.float64).size)
            return MixtureStatistic(nothing, fingerprint(self._family.NAME, model))
        rows = rows_to_use(self, X, d)
        engine = Engine(self._family, len(model.weights), rows.n_columns, rows.dtype)
        with Workers(self.n_jobs) as workers:
            given = rows, weights_of(sample_weight), workers
            sums = engine.statistic(model, *given)
            if sums is not None and not np.isfinite(sums).all():
                sums = engine.statistic(model, *given, missing=True)
        if sums is None:
            sums = np.zeros(engine.size)
        if not np.isfinite(sums).all():
            raise not_finite(rows)
        return MixtureStatistic(sums, fingerprint(self._family.NAME, model))

    def update(self, statistic: MixtureStatistic) -> float:
        """The M-step: move to the parameters that the statistic of all rows implies.

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
        d = model.components.means.shape[1]
        engine = Engine(self._family, len(model.weights), d, np.float64)
        if self.reg_covar == "auto":
            reg = getattr(self, "_reg", AUTOMATIC * mixture_variances(self._family, model))
        else:
            reg = np.full(d, float(self.reg_covar))
        self._set_model(engine.maximize(model, statistic._sums, reg))
        return statistic.log_likelihood / statistic.weight


def mixture_variances(family: ModuleType, model: Model) -> Array:
    """Variance of each column under the whole mixture, (d,)."""
    weights, means = model.weights / model.weights.sum(), model.components.means
    spread = (means - weights @ means) ** 2
    return np.asarray(weights @ (family.variances(model.components) + spread))
