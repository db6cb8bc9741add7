"""Which components can have a share of a row: worked out from the model before a sweep.

A row that is δ from mean j, in units of component j, is at least D − V δ from mean k in those of
component k: D is the distance of mean j, V the width of j in that direction (Cauchy–Schwarz). So each pair of
components has a reach: nearer to j than that, component k has less than 1e-20 of the row.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.families.gaussian import in_two_parts
from fusem.kernels.discriminant import BLOCK, Discriminant
from fusem.kernels.posterior import NEGLIGIBLE
from fusem.kernels.pruned_sweep import Neighbourhood

Array = NDArray[np.float64]

BATCH = 8  # components that are looked at together
COLUMNS_TO_GUESS = 16  # or a quarter of them, where columns are independent
# What a row, and each neighbour of one, cost beside their densities; in operations of `Engine.operations`.
ROW, ROW_COLUMN, ROW_COMPONENT, ROW_GUESS = 300.0, 40.0, 8.0, 0.7
NEIGHBOUR, NEIGHBOUR_COLUMN = 300.0, 12.0


def neighbourhood(
    family: ModuleType,
    weights: Array,
    components: Any,
    dtype: np.dtype[Any],
    operations: float,
) -> Neighbourhood | None:
    """What the pruned sweep has to know of a model; None where it would not pay.

    It pays where few components are near a row that is rather far from its mean, as far as one in 40 of the
    model's own. A few components are looked at first: overlap is seen at little cost.

    Parameters
    ----------
    operations : float
        Arithmetic of the dense sweep, per row.
    """
    K, d = components.means.shape
    most = spare_operations(operations, K, d) / (
        NEIGHBOUR + NEIGHBOUR_COLUMN * d + 0.5 * operations / K
    )
    with np.errstate(divide="ignore"):
        level = np.log(weights) + family.operands(components, np.float64).constant
    far, reach = d + 2.0 * np.sqrt(2.0 * d), np.empty((K, K))
    sample = range(0, K, K // BATCH)
    for part in (sample, *(range(k, min(k + BATCH, K)) for k in range(0, K, BATCH))):
        distance, width = family.separations(components, part)
        reach[:, part] = reaches(distance, width, level, part).T
        if part is sample and K * (weights @ (reach[:, part] <= far)).mean() > most:
            return None
    order = np.argsort(reach, axis=1, kind="stable")
    guess = discriminant(weights, components.means, family.within(components, weights), dtype)
    nearest = np.take_along_axis(reach, order, axis=1)
    return Neighbourhood(guess, nearest.ravel(), order.astype(np.int32).ravel())


def spare_operations(operations: float, n_components: int, d: int) -> float:
    """What pruning saves of the operations per row of a dense sweep, where no row has neighbours."""
    if n_components < BATCH:
        return -math.inf
    columns = min(d, max(COLUMNS_TO_GUESS, d // 4))
    search = n_components * (ROW_COMPONENT + ROW_GUESS * columns)
    return operations - (ROW + ROW_COLUMN * d + search + 1.3 * operations / n_components)


def reaches(distance: Array, width: Array, level: Array, components: range) -> Array:
    """Squared distances from each mean beyond which some components may have a share, (components, K).

    The smallest δ with (D − V δ)² ≤ δ² + g or D ≤ V δ; `level` is log weight + log normalisation.
    """
    chosen = np.asarray(components)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = 2.0 * (level[chosen, None] - level - NEGLIGIBLE)
        excess = distance**2 - gap
        cross = distance * width
        root = excess / (cross + np.sqrt(cross**2 + (1.0 - width**2) * excess))
        # else the row is past the mean of k before k may have a share: its level is far below
        met = np.where(root * width <= distance, root**2, -gap)
        reach = np.where(excess > 0.0, met, -1.0)
    reach[np.arange(len(chosen)), chosen] = np.inf
    return np.asarray(reach)


def discriminant(weights: Array, means: Array, within: Array, dtype: np.dtype[Any]) -> Discriminant:
    """The linear functions that tell components of equal covariance apart (Fisher 1936)."""
    K, d = means.shape
    centre = weights @ means
    offsets = means - centre
    columns = np.arange(d)
    if within.ndim == 2:
        scale = np.sqrt(np.diag(within))
        slope = np.linalg.solve(within / np.outer(scale, scale), (offsets / scale).T).T / scale
    else:
        between = weights @ (offsets / np.sqrt(within)) ** 2
        columns = np.sort(np.argsort(-between)[: max(COLUMNS_TO_GUESS, d // 4)])
        centre, offsets = centre[columns], offsets[:, columns]
        slope = offsets / within[columns]
    with np.errstate(divide="ignore"):
        intercept = np.log(weights) - 0.5 * (slope * offsets).sum(axis=1)
    padding = -K % BLOCK
    return Discriminant(
        columns,
        *in_two_parts(centre, dtype),
        np.pad(slope, ((0, padding), (0, 0))).astype(dtype).ravel(),
        np.pad(intercept, (0, padding), constant_values=-np.inf),
    )
