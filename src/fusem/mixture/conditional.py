"""Parts of a Gaussian mixture: some columns alone, or the others given the values of some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fusem.data import open_rows
from fusem.mixture.engine import Model
from fusem.mixture.parametrised import Parametrised
from fusem.mixture.regression import conditional_moments, regression

Array = NDArray[np.float64]


class Conditional(Parametrised):
    """Part of Gaussian mixtures; uses their parameters."""

    def marginal(self, columns: Sequence[int] | Sequence[str]) -> Any:
        """The mixture of some columns alone.

        Parameters
        ----------
        columns : sequence of int or of str
            Columns to keep, in this order: numbers from 0, or names where the model knows them.

        Returns
        -------
        model : GaussianMixture
            A model of its own with `weights_`, `means_` and `covariances_` of these columns.

        Raises
        ------
        ValueError
            For a column that is not there, or one named twice.

        Examples
        --------
        >>> import numpy as np, fusem
        >>> X = np.random.default_rng(0).normal(size=(500, 3))
        >>> fusem.GaussianMixture(2, random_state=0).fit(X).marginal([0, 2]).means_.shape
        (2, 2)
        """
        check_is_fitted(self)
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            raise TypeError(f"columns must be a list of columns, such as [0, 2], not {columns!r}.")
        model = self._model()
        chosen = self._numbers(columns, model.n_columns)
        if not chosen.size:
            raise ValueError("columns is empty: name at least one column to keep.")
        return self._part(
            Model(model.weights, self._family.marginal(model.components, chosen)), chosen
        )

    def condition(self, values: Mapping[int, float] | Mapping[str, float]) -> Any:
        """The mixture of the other columns, given values of some: Gaussian mixture regression.

        Parameters
        ----------
        values : mapping of int or str to float
            Column numbers, or names where the model knows them, and their values in units of the data.

        Returns
        -------
        model : GaussianMixture
            A model of its own of the columns not in `values`, in their order.

        Raises
        ------
        ValueError
            For a column that is not there, a value that is not finite, or if no column is left.

        Examples
        --------
        >>> import numpy as np, fusem
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=1000)
        >>> X = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=1000)])
        >>> given = fusem.GaussianMixture().fit(X).condition({0: 1.5})
        >>> given.means_.round(1), given.covariances_.round(2)
        (array([[3.]]), array([[[0.01]]]))
        """
        check_is_fitted(self)
        if not isinstance(values, Mapping):
            raise TypeError(f"values must be a mapping, such as {{0: 1.5}}, not {values!r}.")
        model = self._model()
        some = self._numbers(tuple(values), model.n_columns)
        try:
            row = np.array([float(value) for value in values.values()])
        except (TypeError, ValueError):
            raise ValueError(
                f"Cannot condition on values that are no numbers: {dict(values)}."
            ) from None
        if not np.isfinite(row).all():
            raise ValueError(
                f"Cannot condition on values that are not finite: {dict(values)}. Leave missing ones out."
            )
        rest = np.setdiff1d(np.arange(model.components.means.shape[1]), some)
        if not rest.size:
            raise ValueError("values names every column: there is none left.")
        if not some.size:
            return self._part(model, rest)
        weights = self.marginal(some.tolist()).predict_proba(open_rows(row[None]))[0]
        slopes, within = regression(self._family.whitening_matrices(model.components), some, rest)
        offset = row - model.components.means[:, some]
        means = model.components.means[:, rest] + np.einsum("kij,kj->ki", slopes, offset)
        if self._family.MATRICES:
            shape = self._family.covariance_shape(*means.shape)
            components = self._family.from_covariances(means, np.resize(within, shape))
        else:
            components = self._family.marginal(model.components, rest)
        return self._part(Model(np.asarray(weights, dtype=np.float64), components), rest)

    def predict_missing(self, X: Any) -> tuple[Array, Array]:
        """Mean and covariance of missing values given the observed ones of the same row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN is missing. In memory: the covariances take n_samples · n_features² numbers.

        Returns
        -------
        means : ndarray of shape (n_samples, n_features)
            Observed values as they were, conditional means in place of missing ones.
        covariances : ndarray of shape (n_samples, n_features, n_features)
            Conditional covariance of the missing values, 0 in rows and columns of observed ones.

        Examples
        --------
        >>> import numpy as np, fusem
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=1000)
        >>> X = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=1000)])
        >>> mean, covariance = fusem.GaussianMixture().fit(X).predict_missing([[1.5, np.nan]])
        >>> mean.round(1), covariance.round(2)
        (array([[1.5, 3. ]]), array([[[0.  , 0.  ],
                [0.  , 0.01]]]))
        """
        given, model = self._ready(X)
        rows = given.to_array().astype(np.float64)
        mixture: Any = self
        return conditional_moments(
            self._family, model, rows, mixture.predict_proba(open_rows(rows))
        )

    def _numbers(self, columns: Iterable[Any], d: int) -> NDArray[np.intp]:
        """Numbers of some of d columns that are given by number or by name."""
        names = getattr(self, "feature_names_in_", None)
        numbers: list[int] = []
        for column in columns:
            if isinstance(column, str):
                if names is None or column not in names:
                    known_names = "it knows no names" if names is None else ", ".join(names)
                    raise ValueError(f"This model has no column {column!r} ({known_names}).")
                numbers.append(int(np.flatnonzero(names == column)[0]))
            elif _is_number(column) and 0 <= column < d:
                numbers.append(int(column))
            else:
                raise ValueError(f"This model has columns 0 to {d - 1}, but not {column!r}.")
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"Columns are named twice: {numbers}.")
        return np.array(numbers, dtype=np.intp)

    def _part(self, model: Model, columns: NDArray[np.intp]) -> Any:
        """A mixture like this one of some of its columns."""
        part: Any = clone(self)
        part.set_params(weights_init=None, means_init=None, precisions_init=None, warm_start=False)
        part._set_model(model)
        part.n_features_in_ = len(columns)
        if hasattr(self, "feature_names_in_"):
            part.feature_names_in_ = self.feature_names_in_[columns]
        return part


def _is_number(column: Any) -> bool:
    """Whether something is the number of a column; a boolean, as of a mask, is none."""
    return isinstance(column, (int, np.integer)) and not isinstance(column, bool)
