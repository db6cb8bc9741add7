"""A family, a chain of states and the forward–backward kernels, run over the sequences of a source."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.em.blas import one_thread
from fusem.em.sweep import SECONDS_PER_OPERATION
from fusem.em.tree import Tree
from fusem.em.workers import Workers
from fusem.hmm.layout import Ints, Layout, layout_of, steps_per_block
from fusem.hmm.observations import NOTHING_KNOWN, Observations
from fusem.kernels.chain import ChainKernels, chain_kernels
from fusem.kernels.chain_blocks import connect
from fusem.kernels.mixture_sweep import HEADER
from fusem.kernels.states import Chain, ChainSpace, width_of
from fusem.kernels.tile import aligned, levels_of, workspace
from fusem.kernels.transpose import GROUP
from fusem.mixture.engine import location

Array = NDArray[np.float64]
SEGMENT_SECONDS = 2e-3
SEGMENTS = (
    8  # that there should be at least: each costs some 30 µs, and threads should end together
)
MOST_BLOCKS = 256
CALL_BLOCKS = 64  # of a pass along one sequence: short against Ctrl-C


Consumer = Callable[[int, NDArray[Any]], None]


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
    code = family.kernels.tile.log_density.py_func.__code__
    source = Path(code.co_filename)
    if Path(__file__).parents[1] in source.parents:
        return str(family.NAME)
    text = source.read_bytes() if source.is_file() else code.co_code + repr(code.co_consts).encode()
    return f"{family.NAME}_{hashlib.sha256(text).hexdigest()[:12]}"


def kernels_of(family: Any, missing: bool, arithmetic: str) -> ChainKernels:
    """Kernels of a family."""
    name, kernels, tile = kernel_name(family), family.kernels, family.kernels.tile
    density, sums = tile.log_density, tile.accumulate
    if missing:
        name, density, sums = f"{name}_missing", tile.log_density_missing, tile.accumulate_missing
    return chain_kernels(name, density, sums, kernels.sums_read_scratch, arithmetic)


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
        self.family, self.n_states, self.d, self.missing = family, n_states, d, missing
        self.dtype = np.dtype(dtype)
        self.width = width_of(n_states)
        self.steps = steps_per_block(self.width)
        self.size = HEADER + n_states * (1 + n_states) + family.statistic_size(n_states, d)
        self._spaces: dict[bool, queue.SimpleQueue[ChainSpace]] = {
            logarithms: queue.SimpleQueue() for logarithms in (False, True)
        }

    @property
    def arithmetic(self) -> str:
        """How many states a step takes at a time."""
        return "four" if self.width == 4 else "eight" if self.width == 8 else "wide"

    def layout(self, lengths: Ints) -> Layout:
        """Blocks of sequences of these lengths."""
        return layout_of(lengths, self.steps)

    def blocks_per_segment(self, n_blocks: int) -> int:
        """Blocks of one call, a power of two, of so many."""
        K = self.n_states
        operations = K * (40.0 + 4.0 * self.d) + 3.0 * K * K + self.size
        most = SEGMENT_SECONDS / (operations * SECONDS_PER_OPERATION * self.steps)
        blocks = min(MOST_BLOCKS, most, n_blocks / SEGMENTS)
        return 1 << max(0, int(blocks).bit_length() - 1)

    def chain(self, model: ChainModel, logarithms: bool) -> Chain:
        """Start and transitions as kernels read them."""
        K, W = self.n_states, self.width
        start, moves = aligned(W, np.float64), np.zeros((W, W))
        start[:K], moves[:K, :K] = model.start, model.transitions
        parts = [start, aligned(W * W, np.float64), aligned(W * W, np.float64)]
        parts[1][:], parts[2][:] = moves.ravel(), moves.T.ravel()
        if logarithms:
            with np.errstate(divide="ignore"):
                for part in parts:
                    np.log(part, out=part)
        return Chain(*parts)

    @contextmanager
    def space(self, logarithms: bool, known: Ints = NOTHING_KNOWN) -> Iterator[ChainSpace]:
        """Memory for the thread that asks, given back afterwards; `known` are states of the call's rows."""
        spaces = self._spaces[logarithms]
        try:
            space = spaces.get_nowait()
        except queue.Empty:
            space = self._space()
        space.alarm[0] = 0.0
        try:
            yield space._replace(known=known)
        finally:
            spaces.put(space)

    def _space(self) -> ChainSpace:
        K, W, steps = self.n_states, self.width, 2 * self.steps + GROUP
        rounded = -(-K // GROUP) * GROUP
        columns = self.family.tile_columns(K, self.d)
        levels = levels_of(MOST_BLOCKS, 1)
        tile = workspace(self.d, rounded, columns, self.size, levels, self.dtype)
        stride = len(tile.logp) // rounded
        shares = aligned(rounded * stride, np.float64)
        each = (steps + 1) * W + GROUP
        gamma = aligned(each, np.float64)
        return ChainSpace(
            tile=tile,
            shares=shares,
            shares_at=shares.ctypes.data,
            logp_at=tile.logp.ctypes.data,
            factor=aligned(each, np.float64),
            alpha=aligned(each, np.float64),
            gamma=gamma,
            gamma_at=gamma.ctypes.data + W * gamma.itemsize,
            top=aligned(steps + len(tile.w), np.float64),
            weight=aligned(steps, np.float64),
            beta=aligned(2 * W, np.float64),
            moves=aligned(W * W, np.float64),
            alarm=aligned(1, np.float64),
            known=NOTHING_KNOWN,
        )

    def view(self, flat: Array) -> ChainStatistic:
        """The parts of a statistic."""
        K = self.n_states
        starts, moves, sums = np.split(flat[HEADER:], [K, K + K * K])
        return ChainStatistic(
            float(flat[0]), float(flat[1]), int(flat[2]), starts, moves.reshape(K, K), sums
        )


class Pass:
    """Forward and backward over all sequences at the parameters of one model, in one arithmetic.

    Attributes
    ----------
    evidence : array
        Log-likelihood of every piece given what came before.
    alarm : bool
        Whether the messages between blocks lost what they should hold.
    """

    def __init__(
        self,
        engine: ChainEngine,
        model: ChainModel,
        observations: Observations,
        layout: Layout,
        weights: Array,
        workers: Workers,
        logarithms: bool = False,
    ) -> None:
        self.engine, self.observations, self.layout = engine, observations, layout
        self.workers, self.logarithms = workers, logarithms
        self.weights = weights[layout.sequence]
        self.kernels = kernels_of(
            engine.family, engine.missing, "log" if logarithms else engine.arithmetic
        )
        with engine_threads(engine):
            operands = engine.family.operands(model.components, engine.dtype)
        self.operands, self.chain = operands, engine.chain(model, logarithms)
        self.evidence = np.zeros(len(layout.opens))
        self.alarm = False
        self.unit = engine.blocks_per_segment(layout.n_blocks)
        self._zeros = np.zeros(engine.n_states)
        self._before = self._after = np.empty(0)

    def _compile(self, name: str, *arguments: Any) -> Any:
        """The kernel, compiled in this thread, where Ctrl-C can interrupt it."""
        kernel = getattr(self.kernels, name)[self.engine.dtype]
        if not kernel.overloads:
            none = np.zeros(1, dtype=np.int64)
            with self.engine.space(self.logarithms) as space:
                rest = [space if argument is ChainSpace else argument for argument in arguments]
                kernel(0, 0, 0, self.engine.d, none, none, *rest)
        return kernel

    def _given(self, first: int, last: int) -> tuple[Any, Ints, tuple[Any, ...]]:
        """Rows of a segment, their known states, and rows and blocks as every kernel takes them."""
        rows = self.layout.rows(first, last)
        X, known = self.observations.part(*rows), self.observations.known(*rows)
        address, row_stride, column_stride, _ = location(X)
        blocks = self.layout.blocks[first : last + 1]
        given = address, row_stride, column_stride, self.engine.d, blocks, self.layout.pieces
        return X, known, given

    def messages(self) -> None:
        """What the rows before and after each block of a long sequence say of its states."""
        size = self.layout.n_blocks * self.engine.width if self.layout.long else 0
        self._before, self._after = np.zeros(size), np.zeros(size)
        if self.layout.long and self.kernels.matrices is not None:
            self._by_blocks()
        elif self.layout.long:
            self._along()

    def _by_blocks(self) -> None:
        """Messages from the blocks' matrices."""
        W, square = self.engine.width, self.engine.width**2
        unit, nothing = self.unit, np.empty(0)
        tail = self._zeros, self.operands, self.chain
        kernel = self._compile("matrices", np.zeros(1, dtype=bool), *tail, ChainSpace, nothing)
        matrices = np.empty(self.layout.n_blocks * square)

        def work(task: tuple[int, int]) -> None:
            first, last = task
            _held, known, given = self._given(first, last)
            out = matrices[first * square : last * square]
            with self.engine.space(self.logarithms, known) as space:
                kernel(*given, self.layout.opens, *tail, space, out)

        tasks = (
            (block, min(block + unit, last))
            for first, last in self.layout.long
            for block in range(first, last, unit)
        )
        self.workers.run(tasks, work)
        for first, last in self.layout.long:
            given = matrices, first, last, W, self._before, self._after
            self.alarm |= bool(connect[np.float64](*given))

    def _along(self) -> None:
        """Messages by going along each sequence, forth and back at the same time."""
        W, nothing = self.engine.width, np.empty(0)
        tail = self._zeros, self.operands, self.chain, ChainSpace, nothing
        forward = self._compile("forward", np.zeros(1, dtype=bool), *tail, nothing)
        backward = self._compile("backward", *tail)

        def forth(first: int, last: int) -> None:
            with self.engine.space(self.logarithms) as space:
                space.alpha[:W] = 0.0
                for block in range(first, last - 1, CALL_BLOCKS):
                    end = min(block + CALL_BLOCKS, last - 1)
                    _held, known, given = self._given(block, end)
                    space = space._replace(known=known)
                    ends = self._before[(block + 1) * W : (end + 1) * W]
                    rest = self._zeros, self.operands, self.chain, space, self.evidence, ends
                    forward(*given, self.layout.opens, *rest)

        def back(first: int, last: int) -> None:
            with self.engine.space(self.logarithms) as space:
                space.beta[:W] = 0.0 if self.logarithms else 1.0
                for end in range(last, first + 1, -CALL_BLOCKS):
                    block = max(end - CALL_BLOCKS, first + 1)
                    _held, known, given = self._given(block, end)
                    space = space._replace(known=known)
                    begins = self._after[(block - 1) * W : (end - 1) * W]
                    backward(*given, self._zeros, self.operands, self.chain, space, begins)

        tasks = ((way, first, last) for first, last in self.layout.long for way in (forth, back))
        self.workers.run(tasks, lambda task: task[0](*task[1:]))

    def segments(self, tree: Tree, consume: Consumer | None, firsts: Iterable[int]) -> list[int]:
        """Add segments, by their first blocks, to a tree of statistics, or give them to `consume`.

        Returns those that gave an alarm; they are not added.
        """
        engine, layout, W = self.engine, self.layout, self.engine.width
        nothing, flags = np.empty(0), np.zeros(1, dtype=bool)
        no_proba = np.empty(0, dtype=engine.dtype)
        kernel = self._compile(
            "sweep", flags, flags, nothing, nothing, nothing, self._zeros, self.operands,
            self.chain, ChainSpace, nothing, no_proba, np.empty(engine.size),
        )  # fmt: skip
        doubtful: list[int] = []

        def work(first: int) -> None:
            last = min(first + self.unit, layout.n_blocks)
            X, known, given = self._given(first, last)
            proba, out = no_proba, nothing
            if consume is None:
                out = tree.blank()
            else:
                proba = np.empty((len(X), engine.n_states), dtype=engine.dtype)
            with engine.space(self.logarithms, known) as space:
                kernel(
                    *given, layout.opens, layout.closes, self.weights,
                    self._before[first * W : last * W], self._after[first * W : last * W],
                    self._zeros, self.operands, self.chain, space, self.evidence,
                    proba.reshape(-1), out,
                )  # fmt: skip
                alarm = bool(space.alarm[0])
            if alarm:
                doubtful.append(first)
            elif consume is None:
                tree.add(first // self.unit, out)
            else:
                consume(layout.rows(first, last)[0], proba)

        self.workers.run(iter(firsts), work)
        return doubtful


def swept(
    engine: ChainEngine,
    model: ChainModel,
    observations: Observations,
    layout: Layout,
    weights: Array,
    workers: Workers,
    consume: Consumer | None = None,
) -> tuple[Array | None, Array]:
    """The statistic of all sequences and the log-likelihood of every piece.

    What linear space cannot hold is done again in logarithms: segments of whole sequences by themselves, all
    where it happens in a sequence of several blocks.

    Parameters
    ----------
    weights : array of shape (n_sequences,)
        Of the sequences.
    consume : function, optional
        ``consume(first_row, proba)`` is given the probabilities of the states of every segment, in any order
        and from any thread; then there is no statistic.
    """
    given = engine, model, observations, layout, weights, workers
    tree, work = Tree(engine.size), Pass(*given)
    firsts = range(0, layout.n_blocks, work.unit)
    work.messages()
    doubtful = list(firsts) if work.alarm else work.segments(tree, consume, firsts)
    if doubtful:
        again = Pass(*given, logarithms=True)
        long = {block // work.unit for first, last in layout.long for block in range(first, last)}
        if any(first // work.unit in long for first in doubtful):
            tree, doubtful = Tree(engine.size), list(firsts)
        again.messages()
        again.segments(tree, consume, doubtful)
        for first in doubtful:
            begin, end = layout.blocks[[first, min(first + work.unit, layout.n_blocks)]]
            work.evidence[begin:end] = again.evidence[begin:end]
    return tree.total() if consume is None else None, work.evidence


def engine_threads(engine: ChainEngine) -> AbstractContextManager[None]:
    """Hold BLAS to one thread, where the parameters' matrices would wake more."""
    return one_thread(engine.n_states * engine.d**2)
