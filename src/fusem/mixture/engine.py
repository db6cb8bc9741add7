"""A family and the algorithm meet: compiled kernels of one family, run over the rows of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.data import Rows
from fusem.em.blas import one_thread
from fusem.em.sweep import (
    SEGMENT_BYTES,
    Segment,
    longer_segments,
    longest_segment,
    segment_rows,
    sweep,
    tallest,
)
from fusem.em.values import check_weights
from fusem.em.workers import Workers
from fusem.families.gaussian import SingularComponents
from fusem.kernels import mixture_sweep
from fusem.kernels.patterns import LEAF as MISSING_LEAF
from fusem.kernels.tile import LEAF
from fusem.mixture.memory import Memory
from fusem.mixture.pruning import leaf_rows, most_neighbours, neighbourhood

Array = NDArray[np.float64]
HEADER = mixture_sweep.HEADER
Check = Callable[[int, NDArray[Any]], bool]
NO_WEIGHTS = np.empty(0)
# Squared distance of what the sums are about, the old mean or a shared centre, from the new mean, in units of
# the new covariance: as much of the covariance's digits is lost to the difference.
FAR = {"float64": 1e4, "float32": 1e2}
# Components, and rows · components · columns, from which on rows about a shared centre are worth computing.
LEAST_NEAR, LEAST_VALUES = 8, 1e6
NEAR_SHARE = 0.75  # of a sweep's time, about such a centre
UNMOVED = 1e-26  # in units of the old covariance: moved by no more than rounding
_passes = count(1)
MOST_MOVES = 3  # each finds the means to a relative 1e-15 (float32: 1e-7) of what was still missing


class Model(NamedTuple):
    """A mixture: weights of the components and the family's parameters."""

    weights: Array  # (K,)
    components: Any

    @property
    def n_columns(self) -> int:
        """Columns of the rows: the first of a family's parameters has a value for each."""
        return int(self.components[0].shape[1])

    @property
    def log_weights(self) -> Array:
        """Logarithms of the weights, −inf for 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights)


def rows_within(room: int, bytes_per_row: int) -> int:
    """How many rows have room, a power of two."""
    return 1 << (max(1, room // bytes_per_row).bit_length() - 1)


def location(X: NDArray[Any]) -> tuple[int, int, int, int]:
    """Address, strides and number of rows, as kernels take them."""
    (n_rows, _), (row_stride, column_stride) = X.shape, X.strides
    return X.__array_interface__["data"][0], row_stride, column_stride, n_rows


def rounding(constants: Array) -> Array:
    """What rounding the constants of log-densities to float32 loses: every row of a component lacks it."""
    with np.errstate(invalid="ignore"):
        lost = constants - constants.astype(np.float32)
    return np.where(np.isfinite(lost), lost, 0.0)


class Way(NamedTuple):
    """How to sweep."""

    kernel: Any
    given: tuple[Any, ...]  # what it reads of the model
    space_of: Callable[..., Any]  # its memory
    leaf: int = LEAF  # rows of its leaves


class Engine:
    """Kernels of one family for K components and d columns of one dtype.

    Parameters
    ----------
    family : module or object
        One of `fusem.families`, or what has the same attributes.
    n_components, d : int
        Components and columns.
    dtype : dtype
        float64 or float32, that of the rows.
    n_rows : int, optional
        Rows of a sweep, where their number is known from all sources alike.
    check : function, optional
        ``check(first_row, segment)`` refuses values that are none of the family's, and says whether some are
        missing.
    """

    def __init__(
        self,
        family: Any,
        n_components: int,
        d: int,
        dtype: DTypeLike,
        n_rows: int | None = None,
        check: Check | None = None,
    ) -> None:
        self.n_rows, self.check = n_rows, check
        self.family, self.n_components, self.d = family, n_components, d
        self.dtype = np.dtype(dtype)
        # header, the family's sums, the weight of the rows that miss each column
        self.size = HEADER + family.statistic_size(n_components, d) + d
        self.pruned_leaf = leaf_rows(self.operations, self._row_bytes, n_rows)
        memory = Memory(
            family, n_components, d, self.dtype, self.size, self._longest, self.pruned_leaf
        )
        self.space, self.space_and_pairs = memory.space, memory.space_and_pairs
        self.space_for_missing = memory.space_for_missing
        # Until sums about a shared centre had to be taken again: they might have to at every sweep.
        self.may_share_centre = True

    def one_thread(self) -> AbstractContextManager[None]:
        """Hold BLAS to one thread, where the parameters' matrices would wake more."""
        return one_thread(2 * self.size)  # of a matrix it holds one triangle

    def operands(self, components: Any) -> Any:
        """What the kernels read of the parameters."""
        with self.one_thread():
            return self.family.operands(components, self.dtype)

    def near_operands(self, components: Any) -> Any | None:
        """`operands` about a centre that all components share; None where none would do, or not be faster.

        Only where the number of rows is known, in a fit: sums may have to be taken again.
        """
        if not self.may_share_centre:
            return None
        values = (self.n_rows or 0) * self.n_components * self.d
        few = self.n_components < LEAST_NEAR or values < LEAST_VALUES
        if few or self.family.kernels.sweep_near is None:
            return None
        return self.family.near_operands(components, self.dtype)

    @property
    def operations(self) -> float:
        """Arithmetic of one E-step per row, about: exp, squared distances, one per number summed."""
        return float(self.n_components * (20.0 + 2.0 * self.d) + self.size)

    @cached_property
    def most_neighbours(self) -> float:
        """Neighbours per row up to which a pruned sweep pays; less than 0 where it never does."""
        return self._most_neighbours(1.0)

    def _most_neighbours(self, share: float) -> float:
        given = self.operations, self.n_components, self.d, self.dtype, self.n_rows
        return most_neighbours(self.family, *given, share)

    def segment_rows(self, rows: Rows, workers: Workers) -> int:
        """Rows per segment for this model and source."""
        return segment_rows(self.operations, self._row_bytes, rows.n_rows, workers.n_jobs)

    def segments(
        self,
        rows: Rows,
        weights: Rows | None,
        workers: Workers,
        bytes_per_row: int,
    ) -> Iterator[Segment]:
        """`longer_segments` for this model."""
        longest = max(self.segment_rows(rows, workers), self.sorted_rows)
        length = max(self.sorted_rows, min(longest, rows_within(SEGMENT_BYTES // 2, bytes_per_row)))
        given = length, self.operations, bytes_per_row, workers.n_jobs
        return longer_segments(rows, weights, *given)

    @property
    def sorted_rows(self) -> int:
        """Rows that are sorted together by what they miss, where every row gets an answer.

        Fewer where that takes long or needs much memory. It depends on nothing else, as answers may depend on
        it in the last digits.
        """
        if self.family.kernels.masked:
            return LEAF
        quick = segment_rows(self.operations, self._row_bytes, None, 1)
        shares = self.n_components * self.dtype.itemsize
        return max(LEAF, min(MISSING_LEAF, quick, rows_within(SEGMENT_BYTES // 2, shares)))

    @property
    def _row_bytes(self) -> int:
        return self.d * self.dtype.itemsize

    @property
    def _longest(self) -> int:
        """Rows of the longest segment; any sweep may be pruned, and a leaf of it is dense after all."""
        leaf = max(MISSING_LEAF, self.pruned_leaf) if self.most_neighbours >= 0.0 else MISSING_LEAF
        return longest_segment(self._row_bytes, leaf)

    def statistic(
        self,
        model: Model,
        rows: Rows,
        weights: Rows | None,
        workers: Workers,
        about: Any = None,
        missing: bool = False,
    ) -> Array | None:
        """The statistic of all rows at the model's parameters; None without rows.

        Its sums are about the means of `about`, where these components are given, else about the model's own.

        Parameters
        ----------
        missing : bool
            Whether rows may have missing values, NaN. Without any the result is the same but for rounding.
        """
        if missing:
            return self._total(self._missing_way(model), rows, weights, workers, missing)
        way = self._way(model, about)
        total = self._total(way, rows, weights, workers)
        overflown = total is not None and not np.isfinite(total).all()
        if overflown and way.kernel is self._near_kernel:  # about the means they may be finite
            self.may_share_centre = False
            total = self._total(self._plain_way(model), rows, weights, workers)
        return total

    def _total(
        self, way: Way, rows: Rows, weights: Rows | None, workers: Workers, missing: bool = False
    ) -> Array | None:
        """The statistic of all rows, taken in this way."""
        kernel, given, space_of, leaf = way
        length = max(leaf, self.segment_rows(rows, workers))
        if not kernel.overloads:  # compile in this thread, where Ctrl-C can interrupt it
            with space_of(self.dtype) as space:
                kernel(0, 0, 0, 0, self.d, NO_WEIGHTS, *given, space, np.empty(self.size))

        def work(first: int, X: NDArray[Any], w: Array | None, out: Array) -> None:
            if w is not None:
                check_weights(w, first)
            if self.check is not None:
                self.check(first, X)
            with space_of(self.dtype) as space:
                sums = out
                if not missing:
                    sums, out[-self.d :] = out[: -self.d], 0.0
                kernel(*location(X), self.d, NO_WEIGHTS if w is None else w, *given, space, sums)

        height = tallest(self.operations, length)
        total = sweep(rows, weights, length, height, self.size, work, workers)
        if total is not None and self.dtype == np.float32:
            counts = total[HEADER : HEADER + self.n_components]
            log_weights, operands = given[:2]
            begun = getattr(operands, "added", operands.constant)  # what log-densities begin with
            total[0] += counts @ rounding(log_weights + begun)
        return total

    def _way(self, model: Model, about: Any) -> Way:
        """How to sweep."""
        kernels, log_weights, components = self.family.kernels, model.log_weights, model.components
        if about is not None:
            given = log_weights, self.operands(components), self.operands(about)
            return Way(kernels.sweep_about[self.dtype], given, self.space)
        about_centre, near = self.near_operands(components), None
        most = self.most_neighbours
        if about_centre is not None and most >= 0.0:
            most = self._most_neighbours(NEAR_SHARE)
        if most >= 0.0:
            with self.one_thread():
                near = neighbourhood(self.family, *model, self.dtype, most)
        if near is not None:
            given = log_weights, self.operands(components), near
            return Way(
                kernels.sweep_pruned[self.dtype], given, self.space_and_pairs, self.pruned_leaf
            )
        if about_centre is not None:
            return Way(self._near_kernel, (log_weights, about_centre, about_centre), self.space)
        return self._plain_way(model)

    def _plain_way(self, model: Model) -> Way:
        """`_way` about every component's own mean, none left out."""
        operands = self.operands(model.components)
        given = model.log_weights, operands, operands
        return Way(self.family.kernels.sweep[self.dtype], given, self.space)

    @property
    def _near_kernel(self) -> Any:
        """The sweep about a shared centre, None where the family has none."""
        kernel = self.family.kernels.sweep_near
        return None if kernel is None else kernel[self.dtype]

    def _missing_way(self, model: Model) -> Way:
        """`_way` for rows with missing values."""
        log_weights, operands = model.log_weights, self.operands(model.components)
        kernel = self.family.kernels.sweep_missing[self.dtype]
        if self.family.kernels.masked:
            return Way(kernel, (log_weights, operands, operands), self.space)
        given = log_weights, operands, self.next_pass()
        return Way(kernel, given, self.space_for_missing, MISSING_LEAF)

    def next_pass(self) -> int:
        """A number for a pass with parameters of its own: what is kept of another one's is forgotten."""
        return next(_passes)

    def maximize(
        self,
        model: Model,
        statistic: Array,
        reg: Array | None,
        statistic_about: Callable[[Any], Array] | None = None,
    ) -> Model:
        """The M-step: mixing weights and the family's parameters.

        Where a mean moves very far, the covariance is what is left of a difference of large numbers. Then
        the sums are taken again about the new means, with the same responsibilities.

        Parameters
        ----------
        reg : array of shape (d,) or None
            Added to variances; None where a family has none, and its sums are about nothing.
        statistic_about : function, optional
            Components to the statistic about their means. Without it only the means move that far; the
            covariances follow at the next step.
        """
        sums = statistic[HEADER:]
        counts = sums[: self.n_components]
        if not counts.sum() > 0.0:
            raise ValueError(
                "No row has any responsibility left: the sample weights are too small for the dtype of "
                "the rows. Divide them by their mean."
            )
        with self.one_thread():
            if reg is None:
                components = self.family.maximize(model.components, sums, reg)
            else:
                # the variance that is expected of missing values has the regularisation in it already
                reg = reg * (1.0 - statistic[-self.d :] / statistic[1])
                components = self._components(model.components, sums, reg, statistic_about)
        return Model(counts / counts.sum(), components)

    def _components(
        self,
        about: Any,
        sums: Array,
        reg: Array,
        statistic_about: Callable[[Any], Array] | None,
    ) -> Any:
        if statistic_about is None:
            components = self._step(about, sums, reg, FAR[self.dtype.name])
            return self.family.moved(about, sums) if components is None else components
        # of a pruned sweep they are not, and may be taken again in vain
        about_centre = self.near_operands(about) is not None
        for _ in range(MOST_MOVES):
            components = self._step(about, sums, reg, UNMOVED, about_centre)
            if components is not None:
                return components
            if about_centre:
                about_centre = self.may_share_centre = False
            about = self.family.moved(about, sums)
            sums = statistic_about(about)[HEADER:]
        return self.family.maximize(about, sums, reg)  # moving on would not help

    def _step(
        self, components: Any, sums: Array, reg: Array, unmoved: float, about_centre: bool = False
    ) -> Any:
        """The next components; None where they lie too far from what the sums are about, and lose digits.

        Singular covariances may be lost digits, unless no mean moves further than `unmoved`, a squared
        distance in units of the old covariance, and sums are about the means.
        """
        try:
            new = self.family.maximize(components, sums, reg)
        except SingularComponents:
            means = self.family.moved(components, sums).means
            if (
                not about_centre
                and self.family.squared_distances(components, means).max() < unmoved
            ):
                raise
            return None
        distance = self.family.squared_distances(new, components.means).max()
        if about_centre:
            distance = np.maximum(distance, self.family.centre_distances(new, components).max())
        return new if distance < FAR[self.dtype.name] else None
