"""Covariances that a user has assigned: errors that say which are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TRAILING = {"full": 2, "tied": 2, "diag": 1, "spherical": 0}  # axes of one covariance
ABSOLUTE, RELATIVE = 1e-8, 1e-5  # tolerances of symmetry, those of np.allclose, which hmmlearn uses


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
