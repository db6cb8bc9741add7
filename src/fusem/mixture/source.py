"""What an estimator is given: rows and weights from anywhere, held against what it was fitted with."""

from __future__ import annotations

import os
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import _check_feature_names, _get_feature_names

from fusem.data import Rows, open_rows, open_weights
from fusem.data.columns import enumerated

ONE_DIMENSION = (
    "Expected 2D array, got 1D array instead. Reshape your data either using array.reshape(-1, 1) if it "
    "has a single column or array.reshape(1, -1) if it is one row."
)


def rows_to_fit(X: Any, y: Any, before: Any = None) -> Rows:
    """Rows to fit; `before` is a fitted estimator that the fit goes on from, whose columns they must be.

    A 1-D array is one column; given together with `y`, as scikit-learn's meta-estimators do, it is
    taken for the mistake that it is there.
    """
    if y is not None and getattr(X, "ndim", 2) == 1:
        raise ValueError(f"{ONE_DIMENSION} (Without y a 1-D array is taken as one column.)")
    return _named_alike(X, getattr(before, "feature_names_in_", None))


def column_names(X: Any, rows: Rows) -> np.ndarray | None:
    """Names of the columns if all are strings, as scikit-learn keeps them."""
    if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
        return cast("np.ndarray | None", _get_feature_names(X))
    return None if rows.names is None else np.asarray(rows.names, dtype=object)


def rows_to_use(estimator: Any, X: Any, d: int) -> Rows:
    """Rows for a fitted estimator: the same width, names in the same order; files by column name."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None or hasattr(X, "columns"):
        in_memory = not (isinstance(X, (str, os.PathLike, Rows)) or callable(X))
        if in_memory:
            _check_feature_names(estimator, X, reset=False)
    rows = _named_alike(X, names)
    if d != 1 and getattr(X, "ndim", 2) == 1:
        raise ValueError(f"{ONE_DIMENSION} The model was fitted with {d} columns.")
    if rows.n_columns != d:
        known = "" if names is None else f" ({', '.join(map(str, names))})"
        raise ValueError(
            f"X has {rows.n_columns} features, but {type(estimator).__name__} is expecting "
            f"{d} features as input{known}."
        )
    return rows


def _named_alike(X: Any, names: np.ndarray | None) -> Rows:
    """Rows whose columns have these names in this order, where both have names.

    A file is asked for them. Rows that were opened by hand may be called otherwise, but no column may
    stand in another's place.
    """
    if names is None:
        return open_rows(X)
    expected = list(names)
    if isinstance(X, (str, os.PathLike)) and not os.fspath(X).endswith(".npy"):
        return open_rows(X, columns=expected)
    rows = open_rows(X)
    given = expected if rows.names is None else list(rows.names)
    if given != expected and (not isinstance(X, Rows) or sorted(given) == sorted(expected)):
        raise ValueError(
            f"The feature names should match those that were passed during fit: {rows.label} has "
            f"{enumerated(given)}, the model {enumerated(expected)}. Give these columns in this order."
        )
    return rows


def weights_of(sample_weight: Any) -> Rows | None:
    """Sample weights as rows of one column."""
    if sample_weight is None:
        return None
    if np.ndim(getattr(sample_weight, "shape", ()) and sample_weight) > 1:
        raise ValueError(
            f"sample_weight must be 1D, one weight per row, but its shape is {sample_weight.shape}."
        )
    return open_weights(sample_weight)
