"""Gaussian components seen from a centre that they share: what `kernels.linear` reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families.gaussian import Array, scaled_operands
from fusem.kernels.policy import helper

# Largest |ν|² of components that are seen so: as many digits as this has are lost.
NEAR = {"float64": 1024.0, "float32": 128.0}
MOST_RATIO = 1e6  # ρ beyond which squares of float32 might overflow


class SharedCentre(NamedTuple):
    """z = ρ x − ν is whitened, x = (row − centre) · scale; flat, in the dtype of the rows or float64."""

    high: NDArray[Any]  # (d) centre
    shift: NDArray[Any]  # (d) −scale · what rounding the centre lost
    scale: NDArray[Any]  # (d)
    ratio: NDArray[Any]  # ρ: (K), or (K · d) where columns differ in it
    coefficients: NDArray[
        Any
    ]  # (K · d) −2 ρ ν of x; where columns differ each followed by ρ² of x²
    times: NDArray[Any]  # (K) −2 ρ², of −|x|² / 2, where they do not
    centres: Array  # (K · d) ν
    norms: Array  # (K) |ν|²
    near: bool  # whether so little is lost that the components may be seen so


def common_scale(whitening: Array) -> Array:
    """The geometric mean of the components' 1 / σ."""
    return np.asarray(np.exp(np.log(whitening).mean(axis=0)))


def common_centre(means: Array) -> Array:
    """The median of the means, so that a far component does not draw it away."""
    return np.asarray(np.median(means, axis=0))


def shared_centre(
    centre: Array, scale: Array, ratio: Array, centres: Array, dtype: DTypeLike
) -> SharedCentre:
    """Operands for a centre (d,), scales (d,), ρ of shape (K,) or (K, d), and ν (K, d)."""
    norms = (centres**2).sum(axis=1)
    near = norms.max() <= NEAR[np.dtype(dtype).name] and ratio.max() <= MOST_RATIO
    if ratio.ndim == 2:
        coefficients, times = (
            np.stack([-2.0 * ratio * centres, ratio**2], axis=2),
            np.zeros(len(ratio)),
        )
    else:
        coefficients, times = -2.0 * ratio[:, None] * centres, -2.0 * ratio**2
    return SharedCentre(
        *scaled_operands(centre, scale, dtype),
        ratio.astype(dtype).ravel(),
        coefficients.astype(dtype).ravel(),
        times.astype(dtype),
        centres.ravel(),
        norms,
        bool(near),
    )


def added(constant: Array, seen: SharedCentre) -> Array:
    """What the kernels add to a component's log-densities."""
    return constant - 0.5 * seen.norms if seen.near else constant


@helper
def alone(seen):
    """For one component, which has no centre to share."""
    return SharedCentre(
        seen.high, seen.shift, seen.scale, seen.ratio, seen.coefficients, seen.times, seen.centres,
        seen.norms, False,
    )  # fmt: skip
