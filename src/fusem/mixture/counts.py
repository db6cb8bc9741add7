"""What mixtures of counts and of codes share: whole numbers as rows, rates or probabilities as parameters."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fusem.data import Rows
from fusem.em.values import first_infinite
from fusem.em.workers import Workers
from fusem.mixture import diagnose, diagnose_missing
from fusem.mixture.assigned import as_numbers, check_weights_of
from fusem.mixture.base import BaseMixture
from fusem.mixture.count_fitting import CountFit, CountSettings, Values
from fusem.mixture.engine import Check, Engine, Model
from fusem.mixture.fitting import Fit, Fitted
from fusem.mixture.start_parameters import check_array_of, check_weights

Array = NDArray[np.float64]

CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0.0, None, closed="left")],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
    "weights_init": ["array-like", None],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
}


class CountMixture(BaseMixture):
    """Mixture whose components are one array of rates or probabilities."""

    _fitting: ClassVar[type[Fit]] = CountFit
    _what: ClassVar[str] = "count"  # what a value of a row is called
    _missing_one_by_one: ClassVar[bool] = True

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init_params: str
    weights_init: Any

    @abstractmethod
    def _check_components(self, values: Array, name: str) -> None:
        """Refuse rates or probabilities that are none."""

    def _values(self, rows: Rows, limits: NDArray[np.int64] | None = None) -> Values:
        return Values(rows, self._what, limits, self._missing_one_by_one)

    def _check(self, rows: Rows) -> Check | None:
        return self._values(rows).check

    def _examined(self, rows: Rows, workers: Workers) -> Any:
        self._values(rows).largest_codes(workers)
        return self._family

    def _components_shape(self, family: Any, d: int) -> tuple[int, ...]:
        return (self.n_components, d)

    def _settings(self, family: Any, d: int) -> CountSettings:
        name = f"{self._components_name}init"
        weights, values = self.weights_init, getattr(self, name)
        if weights is not None:
            weights = check_weights(weights, self.n_components)
        if values is not None:
            values = check_array_of(values, self._components_shape(family, d), name)
            self._check_components(values, name)
        return CountSettings(
            self.n_components, self.tol, self.max_iter, self.n_init, self.init_params,
            check_random_state(self.random_state), weights, values,
        )  # fmt: skip

    def _diagnose(
        self, fitted: Fitted, support: Array | None, names: NDArray[np.object_] | None
    ) -> None:
        model, summary = fitted.run.params, fitted.summary
        diagnose.convergence(fitted.run)
        diagnose.likelihood(fitted.run, "The source may not yield the same rows at every pass.")
        diagnose_missing.missing_values(fitted.family, summary, names)
        diagnose.rows_per_component(summary, len(model.weights), names)
        diagnose.few_rows(fitted.counts, summary, fitted.family.rows_needed(model.n_columns))

    # ---- the parameters as attributes ----

    def _model(self) -> Model:
        name = self._components_name
        weights = as_numbers(self.weights_, "weights_")
        values = np.array(as_numbers(getattr(self, name), name))  # writeable, one type for numba
        check_weights_of(weights, values, name)
        self._check_components(values, name)
        return Model(weights, self._family.Params(values))

    def _set_model(self, model: Model) -> None:
        self.weights_ = model.weights
        setattr(self, self._components_name, model.components[0])

    def _saved(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {"components": np.asarray(getattr(self, self._components_name))}

    def _restore(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        setattr(self, self._components_name, arrays["components"])

    # ---- by hand ----

    def _sums(
        self, engine: Engine, model: Model, rows: Rows, weights: Rows | None, workers: Workers
    ) -> Array | None:
        return engine.statistic(model, rows, weights, workers, missing=True)

    def _not_finite(self, rows: Rows) -> ValueError:
        return first_infinite(rows) or ValueError(
            f"A row of {rows.label} has probability 0 under every component of this model."
        )


def check_probabilities(values: Array, axis: int, name: str) -> None:
    """Refuse probabilities that are negative or do not sum to 1 along an axis."""
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise ValueError(f"{name} must be finite and not negative.")
    off = np.abs(values.sum(axis=axis) - 1.0)
    if (off > 1e-6).any():
        place = ", ".join(str(int(i)) for i in np.argwhere(off > 1e-6)[0])
        raise ValueError(
            f"{name} must sum to 1 along its last axis, but those at [{place}] sum to "
            f"{values.sum(axis=axis)[tuple(np.argwhere(off > 1e-6)[0])]:.6g}: divide them by their sum."
        )
