"""From the caller's memory into a tile: scalars, groups of a column, groups of rows turned in registers.

Addresses are plain integers, so that rows of any strides share one signature; memory-mapped rows need not be
aligned.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fusem.kernels.simd import I32, IR_TYPES, converted, pointer_to, shuffle

GROUP = 8  # rows that are transposed together
HALF = GROUP // 2  # columns, where there are fewer than GROUP


@intrinsic
def read(typing_context, address, dtype_of):
    """The scalar of the array's dtype at a memory address: rows of any strides, one signature."""
    scalar = dtype_of.dtype

    def codegen(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], IR_TYPES[scalar].as_pointer())
        value = builder.load(pointer)
        value.align = 1  # memory-mapped rows need not be aligned
        return value

    return scalar(types.intp, dtype_of), codegen


@intrinsic
def fetch(typing_context, address):
    """Ask for the cache line at a memory address, for the second cache; any address will do."""

    def codegen(context, builder, signature, arguments):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        read, second_cache, data = (ir.Constant(number, value) for value in (0, 2, 1))
        builder.call(function, [builder.inttoptr(arguments[0], byte), read, second_cache, data])
        return context.get_dummy_value()

    return types.none(types.intp), codegen


def _read(builder, kind, address, lanes):
    """Load consecutive scalars at a memory address; memory-mapped rows need not be aligned."""
    vector = ir.VectorType(IR_TYPES[kind.dtype], lanes)
    value = builder.load(builder.inttoptr(address, vector.as_pointer()))
    value.align = 1
    return value


def _finder(side):
    @intrinsic
    def function(typing_context, address, kind):
        def codegen(context, builder, signature, arguments):
            value = _read(builder, kind, arguments[0], side)
            missing = builder.fcmp_unordered("uno", value, value)
            return builder.zext(builder.bitcast(missing, ir.IntType(side)), ir.IntType(64))

        return types.int64(types.intp, kind), codegen

    function.__doc__ = (
        f"Bits that say which of {side} consecutive scalars are NaN, the first one's lowest."
    )
    return function


missing_in_group, missing_in_half = _finder(GROUP), _finder(HALF)


@intrinsic
def copy_group(typing_context, address, kind, array, index):
    """Copy GROUP consecutive scalars of the dtype of `kind` to element `index` of a flat array."""

    def codegen(context, builder, signature, arguments):
        where, _, array_value, place = arguments
        target = signature.args[2]
        pointer, size = pointer_to(context, builder, target, array_value, place, GROUP)
        value = _read(builder, kind, where, GROUP)
        wanted = ir.VectorType(IR_TYPES[target.dtype], GROUP)
        builder.store(converted(builder, value, wanted), pointer).align = size
        return context.get_dummy_value()

    return types.none(types.intp, kind, array, types.intp), codegen


def _turned(builder, rows):
    """Transpose GROUP rows in registers: a square, or two of half its side that lie side by side."""
    side, step = rows[0].type.count, 1
    if side < GROUP:
        both = list(range(GROUP))
        rows = [shuffle(builder, rows[i], rows[i + side], both) for i in range(side)]
    while step < side:  # swap the off-diagonal quarters of ever larger squares
        low = [i if not i & step else i - step + GROUP for i in range(GROUP)]
        high = [i + step if not i & step else i + GROUP for i in range(GROUP)]
        for i in (i for i in range(side) if not i & step):
            a, b = rows[i], rows[i + step]
            rows[i] = shuffle(builder, a, b, low)
            rows[i + step] = shuffle(builder, a, b, high)
        step *= 2
    return rows


def _store_columns(context, builder, columns, target, array, place, stride):
    """Store vectors to a flat array, `stride` elements apart."""
    wanted = ir.VectorType(IR_TYPES[target.dtype], GROUP)
    for value in columns:
        pointer, size = pointer_to(context, builder, target, array, place, GROUP)
        builder.store(converted(builder, value, wanted), pointer).align = size
        place = builder.add(place, stride)


def _transpose(context, builder, kind, places, side, target, given):
    """Rows of `side` scalars of the dtype of `kind`, each at an address, to columns of the array `target`."""
    rows = [_read(builder, kind, place, side) for place in places]
    _store_columns(context, builder, _turned(builder, rows), target, *given)
    return context.get_dummy_value()


def _transposer(side):
    @intrinsic
    def function(typing_context, address, row_stride, kind, array, index, stride):
        def codegen(context, builder, signature, arguments):
            where, row_bytes, _, *given = arguments
            places = [where]
            while len(places) < GROUP:
                places.append(builder.add(places[-1], row_bytes))
            return _transpose(context, builder, kind, places, side, array, given)

        return types.none(types.intp, types.intp, kind, array, types.intp, types.intp), codegen

    function.__doc__ = (
        f"GROUP rows by {side} columns, rows contiguous at an address, to others `stride` apart."
    )
    return function


def _chosen_transposer(side):
    @intrinsic
    def function(typing_context, address, row_stride, chosen, place, array, index, stride):
        def codegen(context, builder, signature, arguments):
            where, row_bytes, numbers, begin, *given = arguments
            first = builder.gep(context.make_array(chosen)(context, builder, numbers).data, [begin])
            places = []
            for lane in range(GROUP):
                number = builder.load(builder.gep(first, [ir.Constant(I32, lane)]))
                step = builder.mul(builder.sext(number, row_bytes.type), row_bytes)
                places.append(builder.add(where, step))
            return _transpose(context, builder, array, places, side, array, given)

        return types.none(
            types.intp, types.intp, chosen, types.intp, array, types.intp, types.intp
        ), codegen

    function.__doc__ = (
        f"The same of {side} columns of rows whose numbers stand in `chosen` from `place` on."
    )
    return function


transpose_group, transpose_half = _transposer(GROUP), _transposer(HALF)
transpose_chosen, transpose_half_chosen = _chosen_transposer(GROUP), _chosen_transposer(HALF)


def _deal(columns):
    @intrinsic
    def function(typing_context, address, kind, array, index, stride):
        def codegen(context, builder, signature, arguments):
            where, _, *given = arguments
            value = _read(builder, kind, where, GROUP * columns)
            places = ([j + i * columns for i in range(GROUP)] for j in range(columns))
            dealt = [shuffle(builder, value, value, lanes) for lanes in places]
            _store_columns(context, builder, dealt, signature.args[2], *given)
            return context.get_dummy_value()

        return types.none(types.intp, kind, array, types.intp, types.intp), codegen

    function.__doc__ = (
        f"Deal GROUP contiguous rows of {columns} columns out, one column after another."
    )
    return function


deal_2, deal_3, deal_4 = _deal(2), _deal(3), _deal(4)
