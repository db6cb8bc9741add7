"""Checks of `weights_init`, `means_init` and `precisions_init`, worded as in scikit-learn."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

Array = NDArray[np.float64]


def _array(values: Any, shape: tuple[int, ...], name: str) -> Array:
    array: Array = check_array(values, dtype=np.float64, ensure_2d=False, allow_nd=True)
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    return np.array(array, dtype=np.float64)


def check_array_of(values: Any, shape: tuple[int, ...], name: str) -> Array:
    """Parameters of components in the shape of the family."""
    return _array(values, shape, name)


def check_weights(given: Any, n_components: int) -> Array:
    """Mixing weights (K,): in [0, 1], sum 1."""
    single = getattr(given, "dtype", None) == np.float32
    weights = _array(given, (n_components,), "weights")
    if (weights < 0.0).any() or (weights > 1.0).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{weights.max():.5f}, min value {weights.min():.5f}"
        )
    if abs(1.0 - weights.sum()) > (1e-6 if single else 1e-8):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}"
        )
    return weights


def check_means(means: Any, n_components: int, d: int) -> Array:
    """Means (K, d)."""
    return _array(means, (n_components, d), "means")


def check_precisions(
    given: Any, family: ModuleType, covariance_type: str, n_components: int, d: int
) -> Array:
    """Precisions in the shape of the family: positive, or symmetric positive definite."""
    shape = family.covariance_shape(n_components, d)
    precisions = _array(given, shape, f"{covariance_type} precision")
    if covariance_type in ("diag", "spherical"):
        if (precisions <= 0.0).any():
            raise ValueError(f"'{covariance_type} precision' should be positive")
        return precisions
    for matrix in precisions.reshape(-1, d, d):
        scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(np.float64).tiny))
        unit = matrix / scale[:, None] / scale  # columns of very different units are no obstacle
        if not (np.allclose(unit, unit.T) and (np.linalg.eigvalsh(unit) > 0.0).all()):
            raise ValueError(
                f"'{covariance_type} precision' should be symmetric, positive-definite"
            )
    return precisions
