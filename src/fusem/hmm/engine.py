"""A family, a chain of states and the forward–backward kernels, run over the sequences of a source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.em.blas import one_thread
from fusem.em.spaces import Spaces
from fusem.em.sweep import SECONDS_PER_OPERATION
from fusem.hmm.layout import Ints, Layout, layout_of, steps_per_block
from fusem.hmm.observations import NOTHING_KNOWN
from fusem.kernels.chain import Emission
from fusem.kernels.missing import missing_space
from fusem.kernels.mixture_sweep import HEADER
from fusem.kernels.states import Chain, ChainSpace, width_of
from fusem.kernels.tile import aligned, carved, levels_of, workspace
from fusem.kernels.transpose import GROUP

Array = NDArray[np.float64]
SEGMENT_SECONDS = 2e-3
# Segments that there should be at least: each costs some 30 µs, and threads should end together.
SEGMENTS = 8
BY_PATTERN = 5.0  # times as long a step takes whose missing values are sorted by pattern
MOST_BLOCKS = 256
_parameter_numbers = count(1)


class ChainModel(NamedTuple):
    """A hidden Markov model: the chain, and the family's parameters of every state."""

    start: Array  # (K,)
    transitions: Array  # (K, K) rows sum to 1
    components: Any


class ChainStatistic(NamedTuple):
    """Views into a statistic of all sequences."""

    log_likelihood: float
    weight: float  # of the rows
    n_rows: int
    starts: Array  # (K,) expected first states
    moves: Array  # (K, K) expected transitions
    sums: Array  # the family's


def kernel_name(family: Any) -> str:
    """What kernels of a family are called: on disk a name stands for one code.

    fusem's own sources are part of the key of the cache; of others the name has a hash.
    """
    return f"{family.NAME}{suffix_of(family.kernels.tile.log_density.py_func.__code__)}"


@cache
def suffix_of(code: CodeType) -> str:
    """A hash of the file or the code, nothing for fusem's own."""
    source = Path(code.co_filename)
    if Path(__file__).parents[1] in source.parents:
        return ""
    text = source.read_bytes() if source.is_file() else code.co_code + repr(code.co_consts).encode()
    return f"_{hashlib.sha256(text).hexdigest()[:12]}"


def emission_of(family: Any, missing: bool) -> Emission:
    """What chains call of a family, for rows with missing values or without."""
    name, kernels, tile = kernel_name(family), family.kernels, family.kernels.tile
    plain = Emission(name, tile.log_density, tile.accumulate, kernels.sums_read_scratch)
    if not missing:
        return plain
    special = tile.log_density_missing, tile.accumulate_missing
    if kernels.masked:
        return Emission(f"{name}_missing", *special, kernels.sums_read_scratch)
    return plain._replace(name=f"{name}_missing", by_pattern=special)


class ChainEngine:
    """Forward–backward passes of one family over some sequences.

    Parameters
    ----------
    family : module or object
        One of `fusem.families`.
    n_states, d : int
        States and columns.
    dtype : dtype
        float64 or float32, that of the rows.
    missing : bool
        Whether rows may have missing values, NaN.
    """

    def __init__(
        self, family: Any, n_states: int, d: int, dtype: DTypeLike, missing: bool = False
    ) -> None:
        self.family, self.n_states, self.d = family, n_states, d
        self.emission = emission_of(family, missing)
        self.dtype = np.dtype(dtype)
        self.width = width_of(n_states)
        self.steps = steps_per_block(self.width)
        self.size = HEADER + n_states * (1 + n_states) + family.statistic_size(n_states, d)
        self._parameters = next(_parameter_numbers)
        needs = family.missing_needs(n_states, d) if self.emission.by_pattern else ()
        columns = family.tile_columns(n_states, d), *needs
        self._sizes = self.emission.name, n_states, d, self.dtype, self.size, *columns
        self._spaces = Spaces()
        self.alarmed = False  # whether a kernel gave an alarm

    @property
    def arithmetic(self) -> str:
        """How many states a step takes at a time."""
        return "four" if self.width == 4 else "eight" if self.width == 8 else "wide"

    @property
    def operations(self) -> float:
        """Arithmetic of a step, about."""
        K = self.n_states
        return float(K * (40.0 + 4.0 * self.d) + 3.0 * K * K + self.size)

    @property
    def seconds_per_step(self) -> float:
        """What it takes in one thread, about."""
        dearer = 1.0 if self.emission.by_pattern is None else BY_PATTERN
        return float(self.operations * dearer * SECONDS_PER_OPERATION)

    def layout(self, lengths: Ints) -> Layout:
        """Blocks of sequences of these lengths."""
        return layout_of(lengths, self.steps)

    def blocks_per_segment(self, n_blocks: int) -> int:
        """Blocks of one call, a power of two, of so many."""
        most = SEGMENT_SECONDS / (self.operations * SECONDS_PER_OPERATION * self.steps)
        blocks = min(MOST_BLOCKS, most, n_blocks / SEGMENTS)
        return 1 << max(0, int(blocks).bit_length() - 1)

    def one_thread(self) -> AbstractContextManager[None]:
        """Hold BLAS to one thread, where the parameters' matrices would wake more."""
        return one_thread(2 * self.size)  # of a matrix it holds one triangle

    def operands(self, components: Any) -> Any:
        """What the kernels read of the family's parameters; what was kept of others is forgotten."""
        self._parameters = next(_parameter_numbers)
        with self.one_thread():
            return self.family.operands(components, self.dtype)

    def chain(self, model: ChainModel, logarithms: bool) -> Chain:
        """Start and transitions as kernels read them."""
        K, W = self.n_states, self.width
        memory = aligned(W + 2 * W * W, np.float64)
        start, moves, turned = memory[:W], memory[W : W + W * W], memory[W + W * W :]
        start[:K], moves.reshape(W, W)[:K, :K] = model.start, model.transitions
        turned.reshape(W, W)[:] = moves.reshape(W, W).T
        if logarithms:
            with np.errstate(divide="ignore"):
                np.log(memory, out=memory)
        numbers = np.arange(W + 1)
        numbers[W] = (1 << (W - 1).bit_length()) - 1
        return Chain(start, moves, turned, numbers)

    @contextmanager
    def space(
        self, purpose: str, logarithms: bool, known: Ints = NOTHING_KNOWN
    ) -> Iterator[ChainSpace]:
        """Memory for the thread that asks, given back afterwards; the process keeps it for the next call.

        Parameters
        ----------
        purpose : str
            What for: kernels for something else may leave other things where padding stays as it was made.
        known : array of int
            States of the call's rows.
        """
        kept = self._spaces.take((purpose, logarithms, *self._sizes), self._space)
        space: ChainSpace = kept.space
        space.alarm[0] = 0.0
        try:
            yield space._replace(known=known, number=self._parameters)
            self.alarmed |= bool(space.alarm[0])
        finally:  # not to others with infinities that padding would be taken for
            self._spaces.give_back(kept, to_all=bool(space.alarm[0] == 0.0))

    def _space(self) -> ChainSpace:
        K, W, steps, missing = self.n_states, self.width, 2 * self.steps + GROUP, None
        rounded = -(-K // GROUP) * GROUP
        columns = self.family.tile_columns(K, self.d)
        levels = levels_of(MOST_BLOCKS, 1)
        tile = workspace(self.d, rounded, columns, self.size, levels, self.dtype)
        stride = len(tile.logp) // rounded
        if self.emission.by_pattern is not None:
            n_matrices, columns = self.family.missing_needs(K, self.d)
            given = n_matrices, columns, self.family.statistic_size(K, self.d), self.dtype, False
            missing = missing_space(tile, self.d, K, *given)
            steps += len(tile.w)  # a tile on its way between the order of patterns and that of time
        each = (steps + 1) * W + GROUP
        sizes = rounded * stride, *3 * (each,), steps + len(tile.w), steps, *3 * (W * W,), 1
        shares, factor, alpha, gamma, top, weight, moves, ways, beta, alarm = carved(
            *((size, np.float64) for size in sizes)
        )
        return ChainSpace(
            tile=tile,
            shares=shares,
            shares_at=shares.ctypes.data,
            logp_at=tile.logp.ctypes.data,
            factor=factor,
            alpha=alpha,
            gamma=gamma,
            gamma_at=gamma.ctypes.data + W * gamma.itemsize,
            top=top,
            weight=weight,
            beta=beta,
            moves=moves,
            ways=ways,
            alarm=alarm,
            known=NOTHING_KNOWN,
            missing=missing,
            number=0,
        )

    def view(self, flat: Array) -> ChainStatistic:
        """The parts of a statistic."""
        K = self.n_states
        starts, moves, sums = np.split(flat[HEADER:], [K, K + K * K])
        return ChainStatistic(
            float(flat[0]), float(flat[1]), int(flat[2]), starts, moves.reshape(K, K), sums
        )
