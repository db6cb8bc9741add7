"""Sums over the lanes of a vector, in a fixed tree, as float64: the end of every sum over a tile."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.policy import helper
from fusem.kernels.simd import I32, VECTORS, Vector, add, converted, load_as, shuffle, store


def _halved(builder, value, operation, lanes):
    """`value` with its halves joined until so many lanes are left."""
    width = value.type.count
    while width > lanes:
        width //= 2
        low = shuffle(builder, value, value, list(range(width)))
        high = shuffle(builder, value, value, list(range(width, 2 * width)))
        value = operation(builder, low, high)
    return value


@intrinsic
def total(typing_context, vector):
    """Sum of the lanes in a fixed binary tree, as float64."""

    def codegen(context, builder, signature, arguments):
        value = _halved(builder, arguments[0], ir.IRBuilder.fadd, 1)
        scalar = builder.extract_element(value, ir.Constant(I32, 0))
        return scalar if vector.scalar == types.float64 else builder.fpext(scalar, ir.DoubleType())

    return types.float64(vector), codegen


def _joined(operation, doc):
    result = VECTORS[types.float64]

    @intrinsic
    def function(typing_context, vector):
        def codegen(context, builder, signature, arguments):
            value = converted(builder, arguments[0], ir.VectorType(ir.DoubleType(), vector.lanes))
            return _halved(builder, value, operation, result.lanes)

        return result(vector), codegen

    function.__doc__ = doc
    return function


sum_of_parts = _joined(ir.IRBuilder.fadd, "One float64 vector: the sum of those of a wide one.")
product_of_parts = _joined(
    ir.IRBuilder.fmul, "One float64 vector: the product of those of a wide one."
)


def _pairs(builder, a, b, count, step):
    """Add neighbouring groups of `step` lanes of a and b; the sums of a and b alternate."""
    groups = range(0, count, 2 * step)
    low = [g + side + i for g in groups for side in (0, count) for i in range(step)]
    high = [lane + step for lane in low]
    return builder.fadd(shuffle(builder, a, b, low), shuffle(builder, a, b, high))


@intrinsic
def four_totals(typing_context, a, b, c, e):
    """The lane totals of four vectors as a vector of four float64.

    One transposing tree for all four takes about half the instructions of four `total`s.
    """
    result = Vector(types.float64, 4)

    def codegen(context, builder, signature, arguments):
        va, vb, vc, ve = arguments
        count = a.lanes
        ab, ce = _pairs(builder, va, vb, count, 1), _pairs(builder, vc, ve, count, 1)
        if count == 2:
            four = shuffle(builder, ab, ce, [0, 1, 2, 3])
        else:
            four = _halved(builder, _pairs(builder, ab, ce, count, 2), ir.IRBuilder.fadd, 4)
        return converted(builder, four, result.ir)

    return result(a, a, a, a), codegen


@helper
def add_totals(array, index, a, b, c, e):
    """Add the lane totals of four vectors to four consecutive elements of a float64 array."""
    add_to(array, index, four_totals(a, b, c, e))


@helper
def add_to(array, index, vector):
    """Add a vector to consecutive elements of an array of its dtype."""
    store(array, index, add(load_as(array, index, vector), vector))
