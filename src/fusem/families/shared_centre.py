"""Components of independent columns about a centre that all share: when sums may be taken about it.

As many digits are lost as the squared distance of the centre from a component has, in that component's own
units: of a log-density by the old parameters, of a variance by the new ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float64]

# Largest such distance per column.
NEAR = {"float64": 1024.0, "float32": 64.0}
# Of standard deviations in a column: squares of rows do not overflow much sooner than about their own means.
LEAST_RATIO = 1e-6


class Frame(NamedTuple):
    """The centre c, a unit per column, and the components in both."""

    centre: Array  # (d)
    unit: Array  # (d) or (1), 1 / the smallest standard deviation
    ratio: Array  # (K, d) or (K, 1) ρ = 1 / (σ · unit)
    offsets: Array  # (K, d) ν = (μ − c) / σ


def frame(means: Array, whitening: Array, dtype: DTypeLike = np.float64) -> Frame:
    """The frame of components; c is the middle of the means, so that a far one does not draw it away.

    Parameters
    ----------
    means, whitening : arrays of shape (K, d) and (K, d) or (K, 1)
        Means and 1 / standard deviation.
    dtype : dtype
        That of the unit: rounding it later would stretch all rows.
    """
    with np.errstate(all="ignore"):  # what is no number, or too large, is not near
        unit = whitening.max(axis=0).astype(dtype).astype(np.float64)
        centre = np.sort(means, axis=0)[len(means) // 2]
        return Frame(centre, unit, whitening / unit, (means - centre) * whitening)


@np.errstate(over="ignore")
def squares(shared: Frame) -> Array:
    """Squared distances of the centre from the components, column by column, (K, d)."""
    return np.asarray(shared.offsets**2)


def is_near(shared: Frame, distances: Array, dtype: DTypeLike) -> bool:
    """Whether log-densities and sums about the centre keep their digits.

    Parameters
    ----------
    distances : array
        Of the centre from the components, squared, in the family's measure.
    """
    limits = np.finfo(np.dtype(dtype))
    return bool(
        limits.tiny <= shared.unit.min() <= shared.unit.max() <= limits.max
        and shared.ratio.min() >= LEAST_RATIO
        and distances.max() <= NEAR[np.dtype(dtype).name]
    )
