"""Tables read at whole numbers that stand in the lanes of a vector."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fusem.kernels.simd import I32, IR_TYPES, Vector, constant, splat

I64 = ir.IntType(64)


@intrinsic
def looked_up(typing_context, table, start, place):
    """table[start + place] for each lane: whole numbers ≥ 0, in the floating dtype of the table."""

    def codegen(context, builder, signature, arguments):
        array, first, places = arguments
        data = context.make_array(table)(context, builder, array).data
        scalar, count = IR_TYPES[table.dtype], place.lanes
        kind, integers = ir.VectorType(scalar, count), ir.VectorType(I32, count)
        flags = ir.VectorType(ir.IntType(1), count)
        addresses = ir.VectorType(I64, count)
        size = table.dtype.bitwidth // 8
        base = builder.ptrtoint(builder.gep(data, [first]), I64)
        steps = builder.sext(builder.fptosi(places, integers), addresses)
        steps = builder.mul(steps, ir.Constant(addresses, [size] * count))
        steps = builder.add(steps, splat(builder, base, count))
        pointers = builder.inttoptr(steps, ir.VectorType(scalar.as_pointer(), count))
        name = "f64" if isinstance(scalar, ir.DoubleType) else "f32"
        gather = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [pointers.type, I32, flags, kind]),
            f"llvm.masked.gather.v{count}{name}.v{count}p0",
        )
        everywhere = ir.Constant(flags, [1] * count)
        nothing = constant(kind, 0.0)
        return builder.call(gather, [pointers, ir.Constant(I32, size), everywhere, nothing])

    return Vector(table.dtype, place.lanes)(table, types.intp, place), codegen


@intrinsic
def any_above(typing_context, x, bound):
    """Whether any lane is more than a bound; NaN is not."""

    def codegen(context, builder, signature, arguments):
        above = builder.fcmp_ordered(">", *arguments)
        flags = builder.bitcast(above, ir.IntType(x.lanes))
        return builder.icmp_unsigned("!=", flags, ir.Constant(flags.type, 0))

    return types.boolean(x, x), codegen


@intrinsic
def add_where_equal(typing_context, a, b, addend, total):
    """total + addend where a is b, else total: one instruction with a mask where the processor has them."""

    def codegen(context, builder, signature, arguments):
        left, right, more, before = arguments
        equal = builder.fcmp_ordered("==", left, right)
        return builder.select(equal, builder.fadd(before, more), before)

    return total(a, a, total, total), codegen
