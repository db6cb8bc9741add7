"""Parameters of priors as users give them, numbers or arrays that broadcast: checked, and broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STATES = ("n_components",)
MOVES = ("n_components", "n_components")


def prior_values(
    name: str, value: Any, shape: tuple[int, ...], axes: tuple[str, ...], least: float = -np.inf
) -> Array:
    """Finite numbers, broadcast to a shape.

    Parameters
    ----------
    name : str
        What the parameter is called.
    value : float or array
        As a user gives it.
    shape : tuple of int
        What it is to broadcast to; (1,) is a number.
    axes : tuple of str
        What these numbers are called.
    least : float
        The least number that has a meaning.
    """
    accepted = f"{name} must be a number"
    if shape != (1,):
        names = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        accepted += f", or an array that broadcasts to {names} = {shape}"
    given = np.asarray(value)
    if given.dtype.kind not in "biufO" or value is None:
        raise ValueError(f"{accepted}, not {value!r}.")
    try:
        given = given.astype(np.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{accepted}, not {value!r}.") from problem
    try:
        values = np.broadcast_to(given, shape)
    except ValueError as problem:
        raise ValueError(f"{accepted}; its shape is {given.shape}.") from problem
    check_finite(name, given, least)
    return np.asarray(values)


def mean_and_weight(mean: Any, weight: Any) -> tuple[Any, Any]:
    """Parameters of a normal prior of means as users give them; without one of the two there is no prior."""
    return 0.0 if mean is None else mean, 0.0 if mean is None or weight is None else weight


def prior_matrices(name: str, value: Any, shape: tuple[int, ...], axes: tuple[str, ...]) -> Array:
    """The same of matrices, the last two axes, that are added to scatter: no variance is negative."""
    values = prior_values(name, value, shape, axes)
    diagonal = np.broadcast_to(np.eye(shape[-1], dtype=bool), shape)
    check_finite(name, np.where(diagonal, values, 0.0), 0.0)
    return values


def concentration(
    name: str, value: Any, shape: tuple[int, ...], axes: tuple[str, ...]
) -> Array | None:
    """Parameters of Dirichlet distributions; None, maximum likelihood, is left."""
    return None if value is None else prior_values(name, value, shape, axes, 0.0)


def check_finite(name: str, values: Array, least: float = -np.inf) -> None:
    """Raise where a number is not finite, or less than has a meaning: it is named."""
    right = np.isfinite(values) & (values >= least)
    if right.all():
        return
    index = tuple(int(i) for i in np.argwhere(~right)[0])
    where = f"[{', '.join(map(str, index))}]" if index else ""
    meant = "finite" if least == -np.inf else f"finite and at least {least:g}"
    raise ValueError(f"{name}{where} is {values[index]:g}: it must be {meant}.")
