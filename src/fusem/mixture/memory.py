"""Memory that kernels work in: made by the first thread that asks for it, then lent from thread to thread."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from fusem.em.spaces import Spaces
from fusem.kernels.missing import MissingSpace, missing_space
from fusem.kernels.pairs import pairs
from fusem.kernels.pruned_sweep import PrunedSpace
from fusem.kernels.tile import Workspace, levels_of, workspace


class Memory:
    """Workspaces of the kernels of one family for K components and d columns of one dtype.

    Parameters
    ----------
    family : module or object
        One of `fusem.families`.
    n_components, d : int
        Components and columns.
    dtype : dtype
        That of the rows.
    size : int
        Elements of a statistic.
    longest : int
        Rows of the longest segment.
    pruned_leaf : int
        Rows of a leaf of the pruned sweep.
    """

    def __init__(
        self,
        family: Any,
        n_components: int,
        d: int,
        dtype: np.dtype[Any],
        size: int,
        longest: int,
        pruned_leaf: int,
    ) -> None:
        self.family, self.n_components, self.d, self.dtype = family, n_components, d, dtype
        self.size, self.longest, self.pruned_leaf = size, longest, pruned_leaf
        self._spaces = Spaces()

    def space(self, logp_dtype: np.dtype[Any]) -> AbstractContextManager[Workspace]:
        """Memory for the thread that asks, given back afterwards.

        Sweeps compute log-densities in the dtype of the rows, evaluations return them in float64.
        """
        columns, room = self.family.tile_columns(self.n_components, self.d), 0
        if self.family.kernels.sweep_near is not None:
            room = self.family.near_columns(self.n_components, self.d)
        shape = self.d, self.n_components, columns, self.size, levels_of(self.longest)
        sizes = *shape, self.dtype, np.dtype(logp_dtype), room
        return self._spaces.lent(self._key(*sizes), lambda: workspace(*sizes))

    @contextmanager
    def space_and_pairs(self, dtype: np.dtype[Any]) -> Iterator[PrunedSpace]:
        """`space` with the lists of a pruned sweep."""
        each = self.family.statistic_size(1, self.d)
        levels = levels_of(self.longest, self.pruned_leaf)
        sizes = self.pruned_leaf, self.n_components, each, self.size, levels, np.dtype(dtype)
        with (
            self.space(dtype) as space,
            self._spaces.lent(("pairs", *sizes), lambda: pairs(*sizes), lambda _: False) as lists,
        ):
            yield PrunedSpace(space, lists)

    @contextmanager
    def space_for_missing(
        self, logp_dtype: np.dtype[Any], fill: bool = False
    ) -> Iterator[MissingSpace]:
        """`space` for rows with missing values; with `fill` also for what stands in their place."""
        n_bases, columns = self.family.missing_needs(self.n_components, self.d)
        with self.space(logp_dtype) as space:
            sizes = self.d, self.n_components, n_bases, columns, self.size, self.dtype, fill
            key = self._key("missing", len(space.w), *sizes)
            with self._spaces.lent(key, lambda: missing_space(space, *sizes)) as memory:
                yield memory._replace(space=space)

    def _key(self, *sizes: Hashable) -> Hashable:
        """What memory is for: kernels of this family, of these sizes."""
        return self.family.kernels.sweep, *sizes
