"""Rows of counts or codes as they come: are they whole numbers from 0 on, and how large do they get."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.elements import element
from fusem.kernels.policy import Kernel
from fusem.kernels.simd import call, constant, filled, lanes, larger, load_wide, store
from fusem.kernels.tile import load_rows


@intrinsic
def any_wrong(typing_context, x, limit):
    """Whether any lane is no whole number from 0 to a limit; NaN is one."""

    def codegen(context, builder, signature, arguments):
        value, last = arguments
        legal = builder.fcmp_ordered(">=", value, constant(x.ir, 0.0))
        legal = builder.and_(legal, builder.fcmp_ordered("<=", value, last))
        whole = call(builder, "trunc", x.ir, (value,))
        legal = builder.and_(legal, builder.fcmp_ordered("==", value, whole))
        flags = builder.bitcast(legal, ir.IntType(x.lanes))
        return builder.icmp_unsigned("!=", flags, ir.Constant(flags.type, -1))

    return types.boolean(x, x), codegen


def _scan_counts(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    limits,  # IN  (d) largest legal value
    x,  # SCRATCH (d columns) tile, dtype of the rows
    tops,  # INOUT (d · strip) largest values of each column, by lane; -1 at first
    tile,
):
    """Whether every value is legal; the largest of each column. NaN is not legal, and not large."""
    wrong, strip = False, 4 * lanes(x)
    for first in range(0, rows, tile):
        count = min(tile, rows - first)
        load_rows(address, row_stride, column_stride, x, first, count, x, d, tile)
        for j in range(d):
            top = load_wide(tops, j * strip)
            limit = filled(element(limits, j), top)
            for r in range(0, tile, strip):
                value = load_wide(x, r * d + j * strip)
                wrong |= any_wrong(value, limit)
                top = larger(value, top)
            store(tops, j * strip, top)
    return not wrong


scan_counts = Kernel(_scan_counts, "scan_counts")
