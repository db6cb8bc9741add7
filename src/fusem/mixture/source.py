"""What an estimator is given: rows and weights from anywhere, held against what it was fitted with."""

from __future__ import annotations

import os
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import _check_feature_names, _get_feature_names

from fusem.data import Rows, open_rows, open_weights

ONE_DIMENSION = (
    "Expected 2D array, got 1D array instead. Reshape your data either using array.reshape(-1, 1) if it "
    "has a single column or array.reshape(1, -1) if it is one row."
)


def rows_to_fit(X: Any, y: Any) -> Rows:
    """Rows to fit.

    A 1-D array is one column; given together with `y`, as scikit-learn's meta-estimators do, it is
    taken for the mistake that it is there.
    """
    if y is not None and getattr(X, "ndim", 2) == 1:
        raise ValueError(f"{ONE_DIMENSION} (Without y a 1-D array is taken as one column.)")
    return open_rows(X)


def column_names(X: Any, rows: Rows) -> np.ndarray | None:
    """Names of the columns if all are strings, as scikit-learn keeps them."""
    if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
        return cast("np.ndarray | None", _get_feature_names(X))
    return None if rows.names is None else np.asarray(rows.names, dtype=object)


def rows_to_use(estimator: Any, X: Any, d: int) -> Rows:
    """Rows for a fitted estimator: the same width, names in the same order; files by column name."""
    names = getattr(estimator, "feature_names_in_", None)
    path = isinstance(X, (str, os.PathLike))
    if path and names is not None and not os.fspath(X).endswith(".npy"):
        rows = open_rows(X, columns=list(names))
    else:
        in_memory = not (path or callable(X) or isinstance(X, Rows))
        if in_memory and (names is not None or hasattr(X, "columns")):
            _check_feature_names(estimator, X, reset=False)
        rows = open_rows(X)
    if d != 1 and getattr(X, "ndim", 2) == 1:
        raise ValueError(f"{ONE_DIMENSION} The model was fitted with {d} columns.")
    if rows.n_columns != d:
        known = "" if names is None else f" ({', '.join(map(str, names))})"
        raise ValueError(
            f"X has {rows.n_columns} features, but {type(estimator).__name__} is expecting "
            f"{d} features as input{known}."
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
