"""Sums over the lanes of a vector, in a fixed tree, as float64: the end of every sum over a tile."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.policy import helper
from fusem.kernels.simd import I32, Vector, add, converted, load_as, shuffle, store


@intrinsic
def total(typing_context, vector):
    """Sum of the lanes in a fixed binary tree, as float64."""

    def codegen(context, builder, signature, arguments):
        value, width = arguments[0], vector.lanes
        while width > 1:
            width //= 2
            low = shuffle(builder, value, value, list(range(width)))
            high = shuffle(builder, value, value, list(range(width, 2 * width)))
            value = builder.fadd(low, high)
        scalar = builder.extract_element(value, ir.Constant(I32, 0))
        return scalar if vector.scalar == types.float64 else builder.fpext(scalar, ir.DoubleType())

    return types.float64(vector), codegen


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
            four, width = _pairs(builder, ab, ce, count, 2), count
            while width > 4:
                width //= 2
                low = shuffle(builder, four, four, list(range(width)))
                four = builder.fadd(
                    low, shuffle(builder, four, four, list(range(width, 2 * width)))
                )
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
