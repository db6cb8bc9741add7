"""Sums over the lanes of a vector, in a fixed tree, as float64: the end of every sum over a tile."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.simd import I32, pointer_to, shuffle


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
def add_totals(typing_context, array, index, a, b, c, e):
    """Add the lane totals of four vectors to four consecutive elements of a float64 array.

    One transposing tree for all four takes about half the instructions of four `total`s.
    """

    def codegen(context, builder, signature, arguments):
        array_value, offset, va, vb, vc, ve = arguments
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
        if a.scalar == types.float32:
            four = builder.fpext(four, ir.VectorType(ir.DoubleType(), 4))
        pointer, size = pointer_to(context, builder, signature.args[0], array_value, offset, 4)
        before = builder.load(pointer)
        before.align = size
        builder.store(builder.fadd(before, four), pointer).align = size
        return context.get_dummy_value()

    return types.none(array, types.intp, a, a, a, a), codegen
