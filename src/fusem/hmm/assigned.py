"""Covariances that a user has assigned: errors that say which are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import diagonals
from fusem.families.registry import FAMILIES

Array = NDArray[np.float64]
TRAILING = {"full": 2, "tied": 2, "diag": 1, "spherical": 0}  # axes of one covariance
ABSOLUTE, RELATIVE = 1e-8, 1e-5  # tolerances of symmetry, those of np.allclose, which hmmlearn uses


def assigned(covariance_type: str, n_components: int, given: Any) -> Array:
    """Covariances in the shape of the type, from those or from matrices (K, d, d), as the getter gives them.

    Raises
    ------
    ValueError
        Another shape, complex numbers, or matrices that are more than the type can hold.
    """
    if np.iscomplexobj(given):
        raise ValueError("covars_ must hold real numbers, not complex ones.")
    if isinstance(given, np.ma.MaskedArray):
        given = np.ma.filled(given.astype(np.float64), np.nan)
    covariances = np.array(given, dtype=np.float64)
    shape, shape_of = covariances.shape, FAMILIES[f"gaussian_{covariance_type}"].covariance_shape
    d = shape[-1] if shape else 0
    own, matrices = shape_of(n_components, d), (n_components, d, d)
    columns = (n_components, d) if covariance_type == "spherical" else own
    if shape not in (matrices, own, columns) or not covariances.size:
        kinds = dict.fromkeys([shape_of(n_components, "d"), (n_components, "d", "d")])
        named = " or ".join(map(str, kinds)).replace("'", "")
        raise ValueError(
            f"covars_ must have shape {named} for covariance_type={covariance_type!r}, not {shape}."
        )
    if shape == own or covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        if (covariances != covariances[0]).any():
            raise ValueError(
                "covars_ must hold one matrix for all states: covariance_type is 'tied'."
            )
        return np.array(covariances[0])
    if covariances.ndim == 3:
        off = np.where(np.eye(d, dtype=bool), 0.0, covariances)
        _refuse(
            off.any(axis=(1, 2)), f"is no diagonal matrix: covariance_type is {covariance_type!r}."
        )
        covariances = np.array(diagonals(covariances))
    if covariance_type == "spherical":
        unequal = (covariances != covariances[:, :1]).any(axis=1)
        _refuse(unequal, "has several variances: covariance_type is 'spherical'.")
        covariances = np.array(covariances[:, 0])
    return covariances


def _refuse(wrong: Any, what: str) -> None:
    """ValueError that names the first of those that are wrong, if any is."""
    if wrong.any():
        raise ValueError(f"{_name(wrong)} {what}")


def check_assigned(covariances: Array, covariance_type: str) -> None:
    """Raise where a matrix is not symmetric, or a value not finite.

    Parameters
    ----------
    covariances : array of shape (…), (…, d) or (…, d, d)
        Of states, or of the Gaussians of states, in the form of the type.
    """
    axes = tuple(range(-TRAILING[covariance_type], 0))
    finite = np.isfinite(covariances)
    if not finite.all():
        _refuse(~finite.all(axis=axes), f"holds NaN or infinity: {wanted(covariance_type)}.")
    turned = covariances.swapaxes(-1, -2) if len(axes) == 2 else covariances
    if (covariances == turned).all():
        return
    wrong = (np.abs(covariances - turned) > ABSOLUTE + RELATIVE * np.abs(turned)).any(axis=axes)
    _refuse(
        wrong,
        f"is not symmetric: {wanted(covariance_type)}. If it is to be, assign the mean of it and its "
        "transpose.",
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
