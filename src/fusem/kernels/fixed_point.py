"""Logarithms as whole numbers, eight at a time, with a state's number in their last bits.

A logarithm x is the int64 nearest to 2⁴⁰ x, times 16: the four bits that are free say which state a way came
from, so that the largest of some ways says so too. Sums of whole numbers are exact: what is best does not
depend on where a long one was begun. (And some processors add them twice as fast as floating ones.)

They stand where float64 would, bit for bit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fusem.kernels.simd import Vector, constant, splat
from fusem.kernels.states import LANES, Chain

DIGITS, TAG = 40, 4  # bits behind the point, and behind those
TAG_SHIFT = 2  # the logarithm of the second
MOST_FIXED = 1 << TAG  # states
ONE = 1 << (DIGITS + TAG)  # what stands for 1.0
# Logarithms are taken for no less than this, more than a double can hold of a probability, twice over.
LEAST = -2040.0
NEVER = -2048.0  # of what a state cannot be in, or come from
MAGIC = 1.5 * 2.0 ** (52 - DIGITS)  # a sum with it has its last bit at 2⁻⁴⁰
# A row's log-densities stand above what they are by this, which is left of the exponent of MAGIC, and
# transitions as much below.
ABOVE = int(np.float64(MAGIC).view(np.int64)) << TAG & ((1 << 63) - 1)
I64 = ir.IntType(64)
WHOLE = Vector(types.int64, LANES)
FLOATING = Vector(types.float64, LANES)


def fixed_chain(chain: Chain, transitions: NDArray[np.float64]) -> Chain:
    """A chain whose `back` are the logarithms of transitions, none of them 0, with tags of their states.

    Of ways that are equally good that from the first state is the largest.
    """
    K, width = len(transitions), len(chain.start)
    moves = np.full((width, width), NEVER)
    moves[:K, :K] = np.log(transitions)
    whole = np.rint(moves * 2.0**DIGITS).astype(np.int64) << TAG
    tags = (1 << TAG) - 1 - np.arange(width)
    return chain._replace(back=(whole + tags[:, None] - ABOVE).T.ravel())


def origins_in(width: int) -> Any:
    """What holds the numbers of the states that the best paths to so many states come from."""
    return {4: np.uint16, 8: np.uint32, 16: np.int64}[width]


def pointer_at(context, builder, kind, array, index, vector):
    """Pointer to eight elements, whatever the array's dtype says."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def loaded(context, builder, kind, array, index):
    """Eight whole numbers from an element on."""
    value = builder.load(pointer_at(context, builder, kind, array, index, WHOLE.ir))
    value.align = 8
    return value


def larger_of(builder, a, b):
    """The larger of each two; one instruction where the processor has it."""
    return builder.select(builder.icmp_signed(">", a, b), a, b)


@intrinsic
def states_8(typing_context):
    """Eight states, zeros."""
    return WHOLE(), lambda context, builder, signature, arguments: ir.Constant(
        WHOLE.ir, [0] * LANES
    )


@intrinsic
def load_as(typing_context, array, index, like):
    """Eight whole numbers from element `index` of a flat array on."""

    def codegen(context, builder, signature, arguments):
        return loaded(context, builder, signature.args[0], *arguments[:2])

    return like(array, types.intp, like), codegen


@intrinsic
def store(typing_context, array, index, vector):
    """Store eight whole numbers at element `index` of a flat array."""

    def codegen(context, builder, signature, arguments):
        array_value, place, value = arguments
        pointer = pointer_at(context, builder, signature.args[0], array_value, place, vector.ir)
        builder.store(value, pointer).align = 8
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


@intrinsic
def filled(typing_context, value, like):
    """A whole number in every lane."""

    def codegen(context, builder, signature, arguments):
        return splat(builder, arguments[0], LANES)

    return like(types.int64, like), codegen


@intrinsic
def less(typing_context, a, b):
    """a − b."""
    return a(a, b), lambda context, builder, signature, arguments: builder.sub(*arguments)


@intrinsic
def larger(typing_context, a, b):
    """The larger of each two."""
    return a(a, b), lambda context, builder, signature, arguments: larger_of(builder, *arguments)


@intrinsic
def fixed(typing_context, x, top):
    """x − top as whole numbers, which is not above 0 and taken for `LEAST` at least; above it by `ABOVE`."""

    def codegen(context, builder, signature, arguments):
        value, least = builder.fsub(*arguments), constant(x.ir, LEAST)
        value = builder.select(builder.fcmp_ordered(">", value, least), value, least)  # NaN: least
        value = builder.bitcast(builder.fadd(value, constant(x.ir, MAGIC)), WHOLE.ir)
        return builder.shl(value, ir.Constant(WHOLE.ir, [TAG] * LANES))

    return WHOLE(x, x), codegen


@intrinsic
def floating(typing_context, x):
    """Eight whole numbers as logarithms."""

    def codegen(context, builder, signature, arguments):
        value = builder.sitofp(arguments[0], FLOATING.ir)
        return builder.fmul(value, constant(FLOATING.ir, 1.0 / ONE))

    return FLOATING(x), codegen


@intrinsic
def number(typing_context, array, index):
    """The logarithm that a whole number in a flat array stands for."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), I64.as_pointer())
        value = builder.sitofp(builder.load(pointer), ir.DoubleType())
        return builder.fmul(value, ir.Constant(ir.DoubleType(), 1.0 / ONE))

    return types.float64(array, types.intp), codegen


@intrinsic
def bits_at(typing_context, array, index):
    """The whole number at an element of a flat array."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), I64.as_pointer()))

    return types.int64(array, types.intp), codegen


@intrinsic
def put_bits(typing_context, array, index, value):
    """Store a whole number at an element of a flat array."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), I64.as_pointer())
        builder.store(arguments[2], pointer)
        return context.get_dummy_value()

    return types.none(array, types.intp, types.int64), codegen


@cache
def step_of(n_states: int) -> Any:
    """A step of so many states, each in eight lanes: an intrinsic.

    All states are read once: they stay in registers while those of the next row are found.
    """

    @intrinsic
    def step(typing_context, states, now, then, moves, factors, place, stride, origins, at):
        """Take states through a row; where they came from, four bits for each, into `origins`.

        Parameters
        ----------
        states : array
            Whole numbers, state by state: from element `now` on those of the row before, from `then` on the
            row's, without tags.
        moves : array of int64
            From state i to state j at [j · n_states + i], with the tag that stands for i.
        factors : array
            Whole numbers of the row, that of state j at [place + j · stride].
        origins : array of integers
            One number per lane, from element `at` on.
        """

        def codegen(context, builder, signature, arguments):
            kinds = signature.args
            array, begin, end, matrix, factor, first, apart, packed_array, target = arguments
            places = [builder.add(begin, ir.Constant(I64, i * LANES)) for i in range(n_states)]
            before = [loaded(context, builder, kinds[0], array, place) for place in places]
            data = context.make_array(kinds[3])(context, builder, matrix).data
            packed = cgutils.alloca_once_value(builder, ir.Constant(WHOLE.ir, [-1] * LANES))
            with cgutils.for_range(builder, ir.Constant(I64, n_states)) as loop:
                j = loop.index
                row = builder.gep(data, [builder.mul(j, ir.Constant(I64, n_states))])
                ways: list[ir.Value] = []
                for i in range(n_states):
                    move = builder.load(builder.gep(row, [ir.Constant(I64, i)]))
                    way = builder.add(before[i], splat(builder, move, LANES))
                    # two chains of maxima take half the time of one
                    ways.append(way if i < 2 else larger_of(builder, ways[-2], way))
                best = larger_of(builder, *ways[-2:])
                tag = builder.and_(best, ir.Constant(WHOLE.ir, [(1 << TAG) - 1] * LANES))
                shift = splat(builder, builder.shl(j, ir.Constant(I64, 2)), LANES)
                # of the bits, all set, the tag's go out: what is left is the state's number
                builder.store(builder.xor(builder.load(packed), builder.shl(tag, shift)), packed)
                here = builder.add(first, builder.mul(j, apart))
                value = loaded(context, builder, kinds[4], factor, here)
                value = builder.add(builder.sub(best, tag), value)
                there = builder.add(end, builder.shl(j, ir.Constant(I64, 3)))
                pointer = pointer_at(context, builder, kinds[0], array, there, WHOLE.ir)
                builder.store(value, pointer).align = 8
            bits = kinds[7].dtype.bitwidth
            narrow = ir.VectorType(ir.IntType(bits), LANES)
            pointer = pointer_at(context, builder, kinds[7], packed_array, target, narrow)
            numbers = builder.load(packed)
            numbers = builder.trunc(numbers, narrow) if bits < I64.width else numbers
            builder.store(numbers, pointer).align = bits // 8
            return context.get_dummy_value()

        word = types.intp
        return types.none(states, word, word, moves, factors, word, word, origins, word), codegen

    return step
