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
from fusem.kernels.pairs import LEAF, LONG_LEAF, MOST, neighbours_per_row
from fusem.kernels.posterior import NEGLIGIBLE
from fusem.kernels.pruned_sweep import Neighbourhood

Array = NDArray[np.float64]

BATCH = 8  # components that are looked at together
COLUMNS_TO_GUESS = 16  # or a quarter of them, where columns are independent
# What a row, and each neighbour of one, cost beside their densities; in operations of `Engine.operations`.
ROW, ROW_COLUMN, ROW_COMPONENT, ROW_GUESS = 300.0, 40.0, 8.0, 0.7
NEIGHBOUR, NEIGHBOUR_COLUMN = 300.0, 12.0
MOST_OPERATIONS = 1e6  # per row: a leaf that is dense after all still answers Ctrl-C soon
PAIR, PAIR_COLUMN = 600.0, 120.0  # operations that look at a pair of components
ROWS = 1 << 17  # that are assumed where their number is not known
ROOM = 0.75  # share of the lists that the rows tried first may fill, in proportion
LISTED = 4 * MOST  # neighbours of a component that are kept
# Long leaves only where there are enough for many threads, their rows fit the second cache or nearly, and one
# that is dense after all takes no longer than a short one may.
MANY = 8 * LONG_LEAF
LONG_BYTES = 8 * 1024 * 1024


def most_neighbours(
    family: ModuleType,
    operations: float,
    K: int,
    d: int,
    dtype: np.dtype[Any],
    n_rows: int | None = None,
    share: float = 1.0,
) -> float:
    """Neighbours per row up to which pruning pays for K components of d columns; less than 0: never.

    Parameters
    ----------
    operations : float
        Arithmetic of the dense sweep per row, in lanes of float64: lists gain nothing by float32.
    share : float
        What part of it a dense sweep takes that need not whiten about every mean.
    """
    dense = operations * dtype.itemsize / 8.0
    before = K * K * (PAIR + PAIR_COLUMN * d)  # the sweep, by one thread
    worth = 4.0 * before < share * dense * (ROWS if n_rows is None else n_rows)
    possible = family.kernels.sweep_pruned is not None and K >= BATCH
    if not (possible and worth and operations <= MOST_OPERATIONS):
        return -math.inf
    search = K * (ROW_COMPONENT + ROW_GUESS * columns_to_guess(family, d))
    pruned = ROW + ROW_COLUMN * d + search + 1.3 * dense / K
    paying = (share * dense - pruned) / (NEIGHBOUR + NEIGHBOUR_COLUMN * d + 0.5 * dense / K)
    # a leaf whose lists overflow is dense after all, and its pairs were in vain
    return min(paying, ROOM * neighbours_per_row(K))


def leaf_rows(operations: float, row_bytes: int, n_rows: int | None) -> int:
    """Rows of a leaf of the pruned sweep; depends on model and rows alone, as results do on it."""
    dear = operations * LONG_LEAF > MOST_OPERATIONS * LEAF or row_bytes * LONG_LEAF > LONG_BYTES
    return LEAF if dear or n_rows is None or n_rows < MANY else LONG_LEAF


def columns_to_guess(family: ModuleType, d: int) -> int:
    """How many columns the guess reads: all where their covariances have to be known anyway."""
    return d if family.MATRICES else min(d, max(COLUMNS_TO_GUESS, d // 4))


def neighbourhood(
    family: ModuleType, weights: Array, components: Any, dtype: np.dtype[Any], most: float
) -> Neighbourhood | None:
    """What the pruned sweep has to know of a model; None where a row has too many neighbours.

    Looked at are rows that are rather far from their mean, as far as one in 40 of the model's own, and a few
    components first: overlap is seen at little cost.

    Parameters
    ----------
    most : float
        Neighbours of a row up to which pruning pays.
    """
    K, d = components.means.shape
    with np.errstate(all="ignore"):  # what is no number is a neighbour
        level = np.log(weights) + family.operands(components, np.float64).constant
        far = d + 2.0 * np.sqrt(2.0 * d)
        some = reaches(family, components, level, range(0, K, K // BATCH))
        if K * (weights @ (some <= far)).mean() > most:
            return None
        batches = (range(k, min(k + BATCH, K)) for k in range(0, K, BATCH))
        reach = np.hstack([reaches(family, components, level, batch) for batch in batches])
        guess = discriminant(family, weights, components, dtype)
    return Neighbourhood(most, guess, *nearest(reach))


def nearest(reach: Array) -> tuple[Array, NDArray[Any]]:
    """The neighbours with the shortest reach, in order; −1 ends a list that is cut off there.

    Rows beyond the end are few: their guess was wrong, and they are neighbours of all.
    """
    K, last = len(reach), min(len(reach), LISTED) - 1
    order = np.argpartition(reach, last, axis=1)[:, : last + 1]
    kept = np.take_along_axis(reach, order, axis=1)
    places = np.lexsort((order, kept), axis=1)
    order = np.take_along_axis(order, places, axis=1).astype(np.int32)
    if last + 1 < K:
        order[:, -1] = -1
    return np.take_along_axis(kept, places, axis=1).ravel(), order.ravel()


@np.errstate(all="ignore")
def reaches(family: ModuleType, components: Any, level: Array, chosen: range) -> Array:
    """Squared distances from each mean beyond which the chosen components may have a share, (K, chosen).

    The smallest δ with (D − V δ)² ≤ δ² + g or D ≤ V δ; `level` is log weight + log normalisation.
    """
    distance, width = family.separations(components, chosen)
    k = np.asarray(chosen)
    gap = 2.0 * (level[k, None] - level - NEGLIGIBLE)
    excess = distance**2 - gap
    cross = distance * width
    root = excess / (cross + np.sqrt(cross**2 + (1.0 - width**2) * excess))
    # past the mean of k, and wherever there is no root, δ² > −g is needed whatever the distance from it
    met = np.where(root * width <= distance, root**2, -gap)
    reach = np.where(excess > 0.0, met, -1.0)
    reach[np.arange(len(k)), k] = np.inf
    return np.asarray(reach.T)


def discriminant(
    family: ModuleType, weights: Array, components: Any, dtype: np.dtype[Any]
) -> Discriminant:
    """The linear functions that tell components of equal covariance apart (Fisher 1936)."""
    K, d = components.means.shape
    within = family.within(components, weights)
    centre = weights @ components.means
    offsets = components.means - centre
    if family.MATRICES:
        columns, scale = np.arange(d), np.sqrt(np.diag(within))
        slope = np.linalg.solve(within / np.outer(scale, scale), (offsets / scale).T).T / scale
    else:
        between = weights @ (offsets / np.sqrt(within)) ** 2
        columns = np.sort(np.argsort(-between)[: columns_to_guess(family, d)])
        centre, offsets = centre[columns], offsets[:, columns]
        slope = offsets / within[columns]
    intercept = np.log(weights) - 0.5 * (slope * offsets).sum(axis=1)
    padding = -K % BLOCK
    return Discriminant(
        columns,
        *in_two_parts(centre, dtype),
        np.pad(slope, ((0, padding), (0, 0))).astype(dtype).ravel(),
        np.pad(intercept, (0, padding), constant_values=-np.inf),
    )
