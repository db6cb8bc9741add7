"""Covariances that a user has assigned: errors that say which are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TRAILING = {"full": 2, "tied": 2, "diag": 1, "spherical": 0}  # axes of one covariance
ABSOLUTE, RELATIVE = 1e-8, 1e-5  # tolerances of symmetry, those of np.allclose, which hmmlearn uses


def in_the_shape_of(covariance_type: str, given: Array) -> Array:
    """Covariances as the family has them, from those or from matrices (K, d, d).

    Raises
    ------
    ValueError
        Matrices that are more than the type can hold.
    """
    matrices = given.ndim == 3
    if covariance_type == "tied" and matrices and len(given):
        if (given != given[0]).any():
            raise ValueError(
                "covars_ must hold one matrix for all states: covariance_type is 'tied'."
            )
        return np.array(given[0])
    if covariance_type in ("diag", "spherical") and matrices:
        wrong = np.where(np.eye(given.shape[-1], dtype=bool), 0.0, given).any(axis=(1, 2))
        if wrong.any():
            raise ValueError(
                f"{_name(wrong)} is no diagonal matrix: covariance_type is {covariance_type!r}."
            )
        given = np.array(np.einsum("kii->ki", given))
    if covariance_type == "spherical" and given.ndim == 2:
        wrong = ~(given > 0.0).all(axis=1)
        if wrong.any():
            raise ValueError(f"{_name(wrong)} is not positive: {wanted(covariance_type)}.")
        return np.asarray(given.mean(axis=1))
    return given


def check_assigned(covariances: Array, covariance_type: str) -> None:
    """Raise where a matrix is not symmetric, or a value not finite.

    Parameters
    ----------
    covariances : array of shape (…), (…, d) or (…, d, d)
        Of states, or of the Gaussians of states, in the form of the type.
    """
    axes = tuple(range(-TRAILING[covariance_type], 0))
    wrong = ~np.isfinite(covariances).all(axis=axes)
    if wrong.any():
        raise ValueError(f"{_name(wrong)} holds NaN or infinity: {wanted(covariance_type)}.")
    if len(axes) < 2:
        return
    turned = np.swapaxes(covariances, -1, -2)
    wrong = (np.abs(covariances - turned) > ABSOLUTE + RELATIVE * np.abs(turned)).any(axis=axes)
    if wrong.any():
        raise ValueError(
            f"{_name(wrong)} is not symmetric: {wanted(covariance_type)}. If it is to be, assign the mean of "
            "it and its transpose."
        )


def wanted(covariance_type: str) -> str:
    """What must have been assigned, for a message."""
    if TRAILING[covariance_type] < 2:
        return "covars_ must hold variances, positive and finite"
    return "covars_ must hold symmetric, positive-definite matrices"


def _name(wrong: Any) -> str:
    """The first of those that are wrong: "covars_[1] (state 1)"; of one for all states "covars_"."""
    if wrong.ndim == 0:
        return "covars_"
    where = [int(i) for i in np.argwhere(wrong)[0]]
    return f"covars_[{', '.join(map(str, where))}] (state {where[0]})"
