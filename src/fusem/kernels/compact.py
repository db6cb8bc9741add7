"""Rows of a tile that a component has a share of, moved together: sums then pass over them alone.

With many columns nearly every row belongs to one component, and shares below 1e-20 are exactly 0.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fusem.kernels.policy import helper
from fusem.kernels.simd import constant, lanes, load
from fusem.kernels.tile import place

LEAST = 32  # columns: sums over fewer are faster than moving rows
DENSE = 0.25  # share of the rows beyond which moving them would not pay


@intrinsic
def nonzero(typing_context, vector):
    """Bits that say which lanes are not 0, the first lane's lowest."""

    def codegen(context, builder, signature, arguments):
        differs = builder.fcmp_unordered("!=", arguments[0], constant(vector.ir, 0.0))
        return builder.zext(builder.bitcast(differs, ir.IntType(vector.lanes)), ir.IntType(64))

    return types.int64(vector), codegen


@intrinsic
def how_many(typing_context, bits):
    """How many bits are set."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), codegen


@helper
def compact(
    y,  # INOUT (d columns) at y0
    y0,
    resp,  # INOUT (tile) weights of the rows at r0
    r0,
    numbers,  # SCRATCH (tile) numbers of rows, in the dtype of the rows
    d,
    tile,
):
    """Move the rows whose weight is not 0 to the front; returns the rows of the strips that hold them.

    Where they are not few nothing is moved, and all rows of the tile are returned.
    """
    if d < LEAST:
        return tile
    strip, count = 4 * lanes(y), 0
    for r in range(0, tile, lanes(y)):
        count += how_many(nonzero(load(resp, r0 + r)))
    if count > DENSE * tile:
        return tile
    count = 0
    for r in range(tile):  # without a branch: which rows are chosen cannot be predicted
        numbers[count] = r
        count += resp[r0 + r] != 0.0
    for to in range(count):
        row = int(numbers[to])
        source, target = y0 + place(y, row, d), y0 + place(y, to, d)
        for j in range(0, d * strip, strip):
            y[target + j] = y[source + j]
        resp[r0 + to] = resp[r0 + row]
    width = (count + strip - 1) // strip * strip
    for r in range(count, width):
        resp[r0 + r] = 0.0
    return width
