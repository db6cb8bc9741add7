"""What a picture needs to know: a sample of the rows, and components seen along some columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.data.open import open_rows
from fusem.mixture.source import rows_to_use

Array = NDArray[np.float64]


class Marginal(NamedTuple):
    """A mixture seen along m of its columns: weights (K,), means (K, m), covariances (K, m, m)."""

    weights: Array
    means: Array
    covariances: Array


def check_mixture(model: Any, picture: str) -> None:
    """Raise where a picture of Gaussian components is asked of another model."""
    if not (hasattr(model, "covariance_type") and hasattr(model, "weights_init")):
        raise TypeError(
            f"plot.{picture} draws Gaussian mixtures, not {type(model).__name__}. {alternative(model)}"
        )


def check_chain(model: Any, picture: str) -> None:
    """Raise where a picture of states is asked of a model without."""
    if not hasattr(model, "transmat_prior"):
        raise TypeError(
            f"plot.{picture} draws hidden Markov models, not {type(model).__name__}. {alternative(model)}"
        )


def alternative(model: Any) -> str:
    """Pictures that there are of a model."""
    if hasattr(model, "transmat_prior"):
        return "Of this model there are plot.states, plot.transitions and plot.trace."
    if hasattr(model, "covariance_type"):
        return "Of this model there are plot.density, plot.ellipses and plot.trace, among others."
    return "Of this model there is plot.trace."


def marginal(model: Any, columns: tuple[int, ...]) -> Marginal:
    """Marginalise a fitted Gaussian mixture onto some columns, for every covariance type."""
    means = np.asarray(model.means_, dtype=np.float64)
    covariances = np.asarray(model.covariances_, dtype=np.float64)
    picked = list(columns)
    n_components, m = means.shape[0], len(picked)
    eye = np.eye(m)
    if model.covariance_type == "full":
        blocks = covariances[:, picked][:, :, picked]
    elif model.covariance_type == "tied":
        blocks = np.broadcast_to(covariances[np.ix_(picked, picked)], (n_components, m, m))
    elif model.covariance_type == "diag":
        blocks = covariances[:, picked, None] * eye
    else:
        blocks = covariances[:, None, None] * eye
    return Marginal(np.asarray(model.weights_, dtype=np.float64), means[:, picked], blocks)


def column_names(model: Any) -> tuple[str, ...] | None:
    """Names of the columns the model was fitted with, or None."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def width(model: Any) -> int:
    """Number of columns of a mixture or a hidden Markov model."""
    if hasattr(model, "transmat_"):
        return int(model._n_columns(model._model().components))
    return int(model._model().n_columns)


def column_label(model: Any, column: int) -> str:
    """How an axis calls a column: its name, or "column 3"; "value" when there is just one."""
    names = column_names(model)
    if names is not None:
        return names[column]
    return "value" if width(model) == 1 else f"column {column}"


def column_index(model: Any, column: int | str) -> int:
    """Turn a column's name or number into its number.

    Raises
    ------
    ValueError
        When the model has no such column.
    """
    n_columns = width(model)
    names = column_names(model)
    if isinstance(column, str):
        if names is None:
            raise ValueError(
                f"column={column!r}: the model was fitted without column names; "
                f"give a number from 0 to {n_columns - 1}."
            )
        if column not in names:
            raise ValueError(f"column={column!r} is not one of {', '.join(names)}.")
        return names.index(column)
    if not 0 <= column < n_columns:
        raise ValueError(f"column={column}: the model has columns 0 to {n_columns - 1}.")
    return int(column)


def sampled_rows(
    model: Any, X: Any, max_rows: int, *, sample_weight: Any = None, seed: int = 0
) -> tuple[Array, Array | None]:
    """Read at most `max_rows` rows of `X`, one from each of equally long stretches.

    The columns are those of the model, found as `predict` finds them: from a file by name.

    One random row per stretch keeps the order of the data and, unlike every k-th row, cannot
    fall in step with a period of it. The same rows are taken from the weights.

    Returns
    -------
    rows : ndarray of shape (m, n_columns), float64
    weights : ndarray of shape (m,), float64, or None
    """
    rows = rows_to_use(model, X, model.means_.shape[1])
    n_rows = rows.n_rows
    if n_rows is None:
        n_rows = sum(len(block) for block in rows.blocks())
    if n_rows <= max_rows:
        chosen = np.arange(n_rows)
    else:
        edges = (np.arange(max_rows + 1) * n_rows) // max_rows
        chosen = np.random.default_rng(seed).integers(edges[:-1], edges[1:])
    weights = None if sample_weight is None else _gather(open_rows(sample_weight), chosen)[:, 0]
    return _gather(rows, chosen), weights


def _gather(rows: Any, chosen: NDArray[np.int64]) -> Array:
    """Read the rows with the given (rising) numbers in one pass."""
    parts = [np.empty((0, rows.n_columns))]
    first = 0
    for block in rows.blocks():
        start, stop = np.searchsorted(chosen, (first, first + len(block)))
        if stop > start:
            parts.append(np.asarray(block[chosen[start:stop] - first], dtype=np.float64))
        first += len(block)
    return np.concatenate(parts)


def separating_columns(model: Any) -> tuple[int, int]:
    """Return the two columns along which the components lie farthest apart.

    Apart is measured as the spread of the means in units of the spread within components.
    The lower number comes first. The model must have at least two columns.
    """
    along = marginal(model, tuple(range(model.means_.shape[1])))
    centre = along.weights @ along.means
    between = along.weights @ (along.means - centre) ** 2
    within = along.weights @ np.diagonal(along.covariances, axis1=1, axis2=2)
    order = np.argsort(-between / within, kind="stable")
    first, second = sorted(int(column) for column in order[:2])
    return first, second
