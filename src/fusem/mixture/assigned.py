"""Checks of parameters as they stand in a mixture's attributes, where users may have assigned them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import diagonals

Array = NDArray[np.float64]

# How far from 1 a sum of mixing weights may be: float32 passes, and six digits of any number of weights.
NORMALISED, ROUNDED = 1e-5, 5e-7
SKEW = 1e-8  # of a matrix, in units of its diagonal


def as_numbers(values: Any, name: str) -> Array:
    """A float64 array of an attribute's values, which may be a copy; NaN for what is masked."""
    try:
        if isinstance(values, np.ma.MaskedArray):
            return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers, not {values!r}.") from None


def check_weights_of(weights: Array, components: Array, name: str) -> None:
    """Mixing weights: one for each of the components, not negative, sum 1."""
    if components.ndim < 2 or weights.shape != components.shape[:1]:
        raise ValueError(
            f"weights_ of shape {weights.shape} and {name} of shape {components.shape} do not belong "
            "together: they must be (n_components,) and (n_components, n_features)."
        )
    total = weights.sum()
    if not (np.isfinite(weights).all() and (weights >= 0.0).all() and total > 0.0):
        raise ValueError(f"weights_ must be finite, not negative and not all zero, not {weights}.")
    if abs(total - 1.0) > max(NORMALISED, ROUNDED * len(weights)):
        raise ValueError(f"weights_ must sum to 1, not {total:.6g}: divide them by their sum.")


def check_symmetric(matrices: Array, name: str) -> None:
    """Raise where a matrix is not, but for rounding."""
    scale = np.sqrt(np.abs(diagonals(matrices)))
    skew = np.abs(matrices - np.swapaxes(matrices, -1, -2))
    if (skew > SKEW * scale[..., :, None] * scale[..., None, :]).any():
        raise ValueError(f"{name} must be symmetric.")


def check_positive(values: Array, name: str, matrices: bool) -> None:
    """Raise where a number, of matrices of their diagonals, is not positive and finite."""
    right = np.isfinite(values) & (values > 0.0)
    if not right.all():
        where = " on its diagonal" if matrices else ""
        raise ValueError(f"{name} must be positive and finite{where}, not {values[~right][0]:g}.")
