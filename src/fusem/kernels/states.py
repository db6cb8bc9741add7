"""The states of a chain as vectors: one lane per state, products with a matrix, exact powers of two."""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from fusem.kernels.elements import element_at
from fusem.kernels.simd import Vector, call, constant, pointer_to, shuffle, splat
from fusem.kernels.tile import Workspace

LANES = 8  # of a vector of states, or of one state of so many stretches, on every processor
MANTISSA, BIAS = 52, 1023
FLOAT64_BITS = ir.IntType(64)


class Chain(NamedTuple):
    """Start and transition probabilities, or their logarithms, padded with those of what never happens."""

    start: NDArray[Any]  # (width)
    forth: NDArray[Any]  # (width · width) from state i to state j at [i · width + j]
    back: NDArray[Any]  # (width · width) the transpose
    tags: NDArray[Any]  # (width + 1) int64 numbers of the states, then the bits that hold any


class ChainSpace(NamedTuple):
    """Memory of one thread for a block of time steps, beside that of its tiles; flat arrays, all float64."""

    tile: Workspace
    shares: NDArray[
        Any
    ]  # (states in groups of 8, stride) probabilities of a tile's rows, state by state
    shares_at: int  # address
    logp_at: int  # address of the tile's log-densities
    factor: NDArray[Any]  # (steps, width) probability of each row in each state, up to a factor
    alpha: NDArray[
        Any
    ]  # (1 + steps, width) what the rows up to here say; the row before the block first
    gamma: NDArray[
        Any
    ]  # (1 + steps, width) probabilities of the states; the row before the block first
    gamma_at: int  # address of the block's first row
    top: NDArray[Any]  # (steps) logarithm of that factor
    weight: NDArray[Any]  # (steps) of the row's sequence
    beta: NDArray[Any]  # (width) what the rows after here say
    moves: NDArray[Any]  # (width, width) expected transitions of a block
    ways: NDArray[Any]  # (width, width) best ways through the first rows of a block
    alarm: NDArray[
        Any
    ]  # (1) whether a sum lost what it should hold: to be done again in logarithms
    known: NDArray[Any]  # IN  (rows of the call) int64 states, −1 where not known; or empty
    missing: (
        Any  # MissingSpace, where rows are sorted by their pattern of missing values; else None
    )
    number: int  # of the parameters: what is kept of others' is forgotten


def _nothing(lanes, doc):
    @intrinsic
    def function(typing_context):
        vector = Vector(types.float64, lanes)

        def codegen(context, builder, signature, arguments):
            return constant(vector.ir, 0.0)

        return vector(), codegen

    function.__doc__ = doc
    return function


states_4 = _nothing(4, "Four states, zeros.")
states_8 = _nothing(8, "Eight states, zeros.")
states_16 = _nothing(16, "Four rows of four states, zeros.")
states_64 = _nothing(64, "Eight rows of eight states, zeros.")


@intrinsic
def moved(typing_context, states, matrix):
    """states · matrix for a square matrix of as many lanes, row by row in a flat array.

    `states` may also be all rows of a square matrix, one after the other.
    """
    lanes = states.lanes
    side = lanes if lanes < 16 else int(lanes**0.5)
    rows = lanes // side

    def codegen(context, builder, signature, arguments):
        value, array = arguments
        terms = [None, None]  # even and odd rows: two chains of additions take half the time of one
        for i in range(side):
            place = context.get_constant(types.intp, i * side)
            pointer, size = pointer_to(context, builder, matrix, array, place, side)
            row = builder.load(pointer)
            row.align = size
            row = shuffle(builder, row, row, list(range(side)) * rows)
            chosen = [i + r * side for r in range(rows) for _ in range(side)]
            share = shuffle(builder, value, value, chosen)
            before = terms[i % 2]
            if before is None:
                terms[i % 2] = builder.fmul(share, row)
            else:
                terms[i % 2] = call(builder, "fmuladd", states.ir, (share, row, before))
        return builder.fadd(*terms)

    return states(states, matrix), codegen


def _ways(context, builder, states, matrix, arguments):
    """states_i + (matrix_ij + factor_j) for every i, over j: the sum in brackets waits for nothing."""
    lanes = states.lanes
    side = lanes if lanes < 16 else int(lanes**0.5)
    rows = lanes // side
    value, array, factor = arguments
    for i in range(side):
        place = context.get_constant(types.intp, i * side)
        pointer, size = pointer_to(context, builder, matrix, array, place, side)
        row = builder.load(pointer)
        row.align = size
        row = builder.fadd(row, factor)
        row = shuffle(builder, row, row, list(range(side)) * rows)
        chosen = [i + r * side for r in range(rows) for _ in range(side)]
        yield builder.fadd(shuffle(builder, value, value, chosen), row)


@intrinsic
def best_moved(typing_context, states, matrix, factor):
    """The largest of states_i + matrix_ij + factor_j over i.

    `states` may also be all rows of a square matrix; `factor` has the lanes of one.
    """

    def codegen(context, builder, signature, arguments):
        ways = list(_ways(context, builder, states, matrix, arguments))
        while len(ways) > 1:  # a tree: fewer comparisons wait for each other
            pairs = zip(ways[::2], ways[1::2])
            ways = [builder.select(builder.fcmp_ordered(">", a, b), a, b) for a, b in pairs]
        return ways[0]

    return states(states, matrix, factor), codegen


@intrinsic
def best_origin(typing_context, states, matrix, factor, best):
    """The first i with states_i + matrix_ij + factor_j = best_j, as a number."""

    def codegen(context, builder, signature, arguments):
        ways = list(_ways(context, builder, states, matrix, arguments[:3]))
        origin = constant(states.ir, 0.0)
        for i in reversed(range(len(ways))):
            here = builder.fcmp_ordered("==", ways[i], arguments[3])
            origin = builder.select(here, constant(states.ir, float(i)), origin)
        return origin

    return states(states, matrix, factor, states), codegen


@intrinsic
def store_whole(typing_context, array, index, vector):
    """Store whole numbers ≥ 0 below 2³¹ at element `index` of a flat array of unsigned integers."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind = signature.args
        array_value, offset, value = arguments
        data = context.make_array(array_type)(context, builder, array_value).data
        small = ir.IntType(array_type.dtype.bitwidth)
        value = builder.fptosi(value, ir.VectorType(ir.IntType(32), kind.lanes))
        if small.width < 32:
            value = builder.trunc(value, ir.VectorType(small, kind.lanes))
        pointer = builder.bitcast(builder.gep(data, [offset]), value.type.as_pointer())
        builder.store(value, pointer).align = 1
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


def _bits(builder, vector):
    """A vector of float64 as one of integers."""
    return builder.bitcast(vector, ir.VectorType(ir.IntType(64), vector.type.count))


@intrinsic
def tagged(typing_context, x, numbers, index, mask):
    """x with numbers[index] in place of the bits of the mask, the last ones of its mantissa."""

    def codegen(context, builder, signature, arguments):
        value, array, place, bits = arguments
        number = element_at(context, builder, numbers, array, place)
        kept = builder.and_(_bits(builder, value), splat(builder, builder.not_(bits), x.lanes))
        return builder.bitcast(builder.or_(kept, splat(builder, number, x.lanes)), x.ir)

    return x(x, numbers, types.intp, types.int64), codegen


@intrinsic
def store_tags(typing_context, array, index, vector, mask):
    """Store what `tagged` put into the bits of the mask at element `index` of a flat array of integers."""

    def codegen(context, builder, signature, arguments):
        array_type, _, kind, _ = signature.args
        array_value, offset, value, bits = arguments
        data = context.make_array(array_type)(context, builder, array_value).data
        numbers = builder.and_(_bits(builder, value), splat(builder, bits, kind.lanes))
        small = ir.IntType(array_type.dtype.bitwidth)
        numbers = builder.trunc(numbers, ir.VectorType(small, kind.lanes))
        pointer = builder.bitcast(builder.gep(data, [offset]), numbers.type.as_pointer())
        builder.store(numbers, pointer).align = 1
        return context.get_dummy_value()

    return types.none(array, types.intp, vector, types.int64), codegen


@intrinsic
def repeated(typing_context, states, like):
    """The states again and again, in as many lanes as `like` has."""

    def codegen(context, builder, signature, arguments):
        chosen = list(range(states.lanes)) * (like.lanes // states.lanes)
        return shuffle(builder, arguments[0], arguments[0], chosen)

    return like(states, like), codegen


@intrinsic
def exponent(typing_context, x):
    """The e with 2^e ≤ x < 2^(e+1) of a positive float64, −1023 of 0."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], FLOAT64_BITS)
        biased = builder.lshr(bits, ir.Constant(FLOAT64_BITS, MANTISSA))
        return builder.sub(biased, ir.Constant(FLOAT64_BITS, BIAS))

    return types.int64(types.float64), codegen


@intrinsic
def power_of_two(typing_context, e):
    """2^e for −1023 < e ≤ 1023."""

    def codegen(context, builder, signature, arguments):
        biased = builder.add(arguments[0], ir.Constant(FLOAT64_BITS, BIAS))
        bits = builder.shl(biased, ir.Constant(FLOAT64_BITS, MANTISSA))
        return builder.bitcast(bits, ir.DoubleType())

    return types.float64(types.int64), codegen


def width_of(n_states: int) -> int:
    """Lanes that so many states take: 4, or a multiple of 8."""
    return 4 if n_states <= 4 else -(-n_states // 8) * 8
