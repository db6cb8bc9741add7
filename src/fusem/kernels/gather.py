"""Tables read at whole numbers that stand in the lanes of a vector."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fusem.kernels.policy import vector_bytes
from fusem.kernels.simd import I32, IR_TYPES, Vector, constant, pointer_to, shuffle, splat

I64 = ir.IntType(64)
PICKS = vector_bytes() == 64  # whether the processor picks out of two registers, with AVX-512
MOST_PICKED = 32  # elements from the beginning of a table on that are read at once


def gather_of(table, place):
    """What reads a table one element after the other."""

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

    return codegen


@intrinsic
def most_picked(typing_context, array):
    """Elements of a table that `picked` is for, in the dtype of the array: none on most processors."""
    count = 2 * 512 // array.dtype.bitwidth if PICKS else 0

    def codegen(context, builder, signature, arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def picked(typing_context, table, start, place):
    """`looked_up` in a table of no more than `most_picked` elements, which stay in two registers."""
    if not PICKS:  # never reached, but compiled
        return Vector(table.dtype, place.lanes)(table, types.intp, place), gather_of(table, place)
    bits = table.dtype.bitwidth
    lanes, parts = 512 // bits, place.lanes * bits // 512

    def codegen(context, builder, signature, arguments):
        array, first, places = arguments
        name = "pd" if bits == 64 else "ps"
        kind, integers = (
            ir.VectorType(IR_TYPES[table.dtype], lanes),
            ir.VectorType(ir.IntType(bits), lanes),
        )
        pick = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind, integers, kind]),
            f"llvm.x86.avx512.vpermi2var.{name}.512",
        )
        halves = []
        for half in range(2):
            there = builder.add(first, ir.Constant(I64, half * lanes))
            pointer, size = pointer_to(context, builder, table, array, there, lanes)
            halves.append(builder.load(pointer))
            halves[-1].align = size
        found = []
        for part in range(parts):
            chosen = list(range(part * lanes, (part + 1) * lanes))
            at = builder.fptosi(shuffle(builder, places, places, chosen), integers)
            found.append(builder.call(pick, [halves[0], at, halves[1]]))
        while len(found) > 1:
            both = range(2 * found[0].type.count)
            found = [shuffle(builder, a, b, list(both)) for a, b in zip(found[::2], found[1::2])]
        return found[0]

    return Vector(table.dtype, place.lanes)(table, types.intp, place), codegen


@intrinsic
def looked_up(typing_context, table, start, place):
    """table[start + place] for each lane: whole numbers ≥ 0, in the floating dtype of the table."""
    return Vector(table.dtype, place.lanes)(table, types.intp, place), gather_of(table, place)


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
