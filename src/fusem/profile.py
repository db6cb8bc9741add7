"""The log-likelihood along one parameter of a model, from one pass over the data."""

from __future__ import annotations

import copy
import math
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusem.data import open_rows, segments
from fusem.em.values import check_weights, not_finite
from fusem.kernels.tile import LEAF
from fusem.mixture.source import rows_to_use, weights_of

Array = NDArray[np.float64]

# Log-likelihoods are summed over fixed leaves of rows, so the result does not depend on chunks.
SEGMENT_ROWS = 64 * LEAF

FORMS = (
    'Write "weights[component]", "means[component, column]", "covariances[component, column]" '
    '(a variance) or "sd[component, column]"; numbers count from 0, and the column may be left '
    "out when there is only one."
)
_SYNTAX = re.compile(r"\s*(weights|means|covariances|sd)\s*\[\s*(\d+)\s*(?:,\s*(\d+)\s*)?\]\s*")


class Place(NamedTuple):
    """One scalar parameter of a mixture; `column` is None for a weight."""

    kind: str
    component: int
    column: int | None


def profile_loglik(
    model: Any,
    X: Any,
    parameter: str,
    grid: ArrayLike,
    sample_weight: Any = None,
) -> Array:
    """Scan the mean log-likelihood per row over values of one parameter, the others held fixed.

    Parameters
    ----------
    model : GaussianMixture
        A fitted model; it is not changed.
    X : data of shape (n_rows, n_columns)
        Anything that `fusem.rows` accepts. It is read once, whatever the length of the grid.
    parameter : str
        One scalar parameter, numbers counting from 0:

        - ``"weights[0]"``: the weight of component 0; the other weights are rescaled so that
          all sum to 1.
        - ``"means[0, 1]"``: the mean of component 0 along column 1.
        - ``"covariances[0, 1]"``: the variance of component 0 along column 1. Correlations
          with the other columns are held. A tied covariance changes for all components,
          a spherical one for all columns.
        - ``"sd[0, 1]"``: the same by the standard deviation, the variance's square root.

        The column may be left out when the model has only one.
    grid : array-like of shape (n_values,)
        Values to try, in the units of the parameter: weights within 0 and 1 (both included),
        variances and standard deviations above 0.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows; the result is then the weighted mean.

    Returns
    -------
    ndarray of shape (n_values,), float64
        Mean log-likelihood per row, in nats, at each value of the grid.

    Raises
    ------
    ValueError
        When the parameter is not one of these forms or the model has no such component or
        column, when a value of the grid is out of range, or when the weights of the rows are
        negative, all zero or of another length.

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal([[1.0]] * 300 + [[9.0]] * 700, 2.0)
    >>> model = fusem.GaussianMixture(2, means_init=[[1.0], [9.0]]).fit(x)
    >>> grid = np.linspace(0.0, 1.0, 11)
    >>> loglik = fusem.profile_loglik(model, x, "weights[0]", grid)
    >>> print(f"{grid[loglik.argmax()]:.1f}")
    0.3
    """
    place = parse_parameter(parameter, *np.shape(model.means_))
    values = _checked_grid(place, parameter, grid)
    models = [_changed(model, place, parameter, float(value)) for value in values]
    return _mean_log_likelihoods(models, X, sample_weight)


def parse_parameter(parameter: object, n_components: int, n_columns: int) -> Place:
    """Read a parameter such as ``"means[0, 1]"`` and check that the model has it.

    Raises
    ------
    ValueError
        When it is not one of the accepted forms, or names no component or column there is.
    """
    match = _SYNTAX.fullmatch(parameter) if isinstance(parameter, str) else None
    if match is None:
        raise ValueError(f"parameter={parameter!r} is not a parameter of a mixture. {FORMS}")
    kind, component, column = match[1], int(match[2]), match[3]
    if component >= n_components:
        raise ValueError(
            f"parameter={parameter!r}: the model has components 0 to {n_components - 1}."
        )
    if kind == "weights":
        if column is not None:
            raise ValueError(f"parameter={parameter!r}: a weight has no column. {FORMS}")
        return Place(kind, component, None)
    if column is None:
        if n_columns > 1:
            raise ValueError(
                f"parameter={parameter!r} lacks the column, one of 0 to {n_columns - 1}. {FORMS}"
            )
        return Place(kind, component, 0)
    if int(column) >= n_columns:
        raise ValueError(f"parameter={parameter!r}: the model has columns 0 to {n_columns - 1}.")
    return Place(kind, component, int(column))


def _checked_grid(place: Place, parameter: str, grid: ArrayLike) -> Array:
    values = np.asarray(grid, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"grid must be a 1-D array of at least one value; it has shape {values.shape}."
        )
    if place.kind == "weights":
        bad, accepted = ~((values >= 0) & (values <= 1)), "within 0 and 1"
    elif place.kind == "means":
        bad, accepted = ~np.isfinite(values), "finite"
    else:
        bad, accepted = ~((values > 0) & np.isfinite(values)), "above 0 and finite"
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"grid[{first}] = {values[first]:g}, but values of {parameter} must be {accepted}."
        )
    return values


def _changed(model: Any, place: Place, parameter: str, value: float) -> Any:
    """Copy the model with one parameter set; arrays are replaced, never written into."""
    changed = copy.copy(model)
    if place.kind == "weights":
        changed.weights_ = _reweighted(model.weights_, place.component, parameter, value)
    elif place.kind == "means":
        means = np.array(model.means_, dtype=np.float64)
        means[place.component, place.column] = value
        changed.means_ = means
    else:
        variance = value * value if place.kind == "sd" else value
        changed.covariances_ = _with_variance(model, place, variance)
    return changed


def _reweighted(weights: ArrayLike, component: int, parameter: str, value: float) -> Array:
    """Set one weight and share the rest among the others in their old proportions."""
    new = np.array(weights, dtype=np.float64)
    new[component] = 0.0
    others = float(new.sum())
    if others > 0:
        new *= (1.0 - value) / others
    elif value < 1:
        raise ValueError(
            f"{parameter} = {value:g}: no other component has a weight that could grow to fill "
            f"up to 1; the only value possible is 1."
        )
    new[component] = value
    return new


def _with_variance(model: Any, place: Place, variance: float) -> Array:
    """Set one variance of the covariances, correlations held."""
    covariances = np.array(model.covariances_, dtype=np.float64)
    k, j = place.component, place.column
    if model.covariance_type == "spherical":
        covariances[k] = variance
        return covariances
    if model.covariance_type == "diag":
        covariances[k, j] = variance
        return covariances
    # A view: the one matrix of a tied covariance, or the component's own.
    matrix = covariances if model.covariance_type == "tied" else covariances[k]
    ratio = math.sqrt(variance / matrix[j, j])
    matrix[j, :] *= ratio
    matrix[:, j] *= ratio
    matrix[j, j] = variance
    return covariances


def _mean_log_likelihoods(models: list[Any], X: Any, sample_weight: Any) -> Array:
    """Mean log-likelihood per row under each of several models, from one pass over the rows."""
    rows = rows_to_use(models[0], X, models[0].means_.shape[1])
    # One exactly rounded sum per model over the sums of its leaves.
    leaves: list[list[float]] = [[] for _ in models]
    masses: list[float] = []
    for first, segment, weight in segments(rows, weights_of(sample_weight), SEGMENT_ROWS):
        # A sum is finite only if all values are; squares may overflow where values do not.
        if not np.isfinite(segment.sum(dtype=np.float64)):
            if np.isinf(segment).any():
                raise not_finite(rows)
            known = ~np.isnan(segment).all(axis=1)  # a row without any value says nothing
            weight = np.where(known, 1.0 if weight is None else weight, 0.0)
        if weight is None:
            masses.append(float(len(segment)))
        else:
            check_weights(weight, first)
            masses.append(float(weight.sum()))
        starts = np.arange(0, len(segment), LEAF)
        for sums, model in zip(leaves, models, strict=True):
            scores = model.score_samples(open_rows(segment))
            if weight is not None:
                # A row of weight 0 is absent even where its log-likelihood is -inf.
                scores = np.where(weight > 0, weight * scores, 0.0)
            sums.append(math.fsum(np.add.reduceat(scores, starts)))
    mass = math.fsum(masses)
    if not mass > 0:
        raise ValueError("sample_weight is zero for every row: at least one must be positive.")
    return np.array([math.fsum(sums) / mass for sums in leaves])
