"""Memory that kernels work in: made by the first thread that asks for it, then lent from thread to thread."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fusem.kernels.missing import MissingSpace, missing_space
from fusem.kernels.pairs import Pairs, pairs
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
        # sweeps compute log-densities in the dtype of the rows, evaluations return them in float64
        self._spaces: dict[np.dtype[Any], queue.SimpleQueue[Workspace]] = {
            np.dtype(kind): queue.SimpleQueue() for kind in (np.float64, np.float32)
        }
        self._lists: queue.SimpleQueue[Pairs] = queue.SimpleQueue()
        self._missing: dict[bool, queue.SimpleQueue[MissingSpace]] = {
            fill: queue.SimpleQueue() for fill in (False, True)
        }

    @contextmanager
    def space(self, logp_dtype: np.dtype[Any]) -> Iterator[Workspace]:
        """Memory for the thread that asks, given back afterwards."""
        spaces = self._spaces[logp_dtype]
        try:
            space = spaces.get_nowait()
        except queue.Empty:
            columns, room = self.family.tile_columns(self.n_components, self.d), 0
            if self.family.kernels.sweep_near is not None:
                room = self.family.near_columns(self.n_components, self.d)
            shape = self.d, self.n_components, columns, self.size, levels_of(self.longest)
            space = workspace(*shape, self.dtype, logp_dtype, room)
        try:
            yield space
        finally:
            spaces.put(space)

    @contextmanager
    def space_and_pairs(self, dtype: np.dtype[Any]) -> Iterator[PrunedSpace]:
        """`space` with the lists of a pruned sweep."""
        try:
            lists = self._lists.get_nowait()
        except queue.Empty:
            each = self.family.statistic_size(1, self.d)
            levels = levels_of(self.longest, self.pruned_leaf)
            lists = pairs(self.pruned_leaf, self.n_components, each, self.size, levels, dtype)
        with self.space(dtype) as space:
            try:
                yield PrunedSpace(space, lists)
            finally:
                self._lists.put(lists)

    @contextmanager
    def space_for_missing(
        self, logp_dtype: np.dtype[Any], fill: bool = False
    ) -> Iterator[MissingSpace]:
        """`space` for rows with missing values; with `fill` also for what stands in their place."""
        with self.space(logp_dtype) as space:
            try:
                memory = self._missing[fill].get_nowait()._replace(space=space)
            except queue.Empty:
                n_bases, columns = self.family.missing_needs(self.n_components, self.d)
                shape = self.d, self.n_components, n_bases, columns, self.size
                memory = missing_space(space, *shape, self.dtype, fill)
            try:
                yield memory
            finally:
                self._missing[fill].put(memory)
