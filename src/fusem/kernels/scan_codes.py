"""Values as they come, as small codes: whole numbers that fit a byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from fusem.kernels.policy import Kernel

SIZES = {"i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (4, 8)}  # bytes, of what is read as it stands


@intrinsic
def value_at(typing_context, address, index, kind):
    """Element `index` of those of the array's dtype that stand at an address."""

    def codegen(context, builder, signature, arguments):
        where, place, _ = arguments
        scalar = context.get_data_type(kind.dtype)
        pointer = builder.inttoptr(where, ir.PointerType(scalar))
        value = builder.load(builder.gep(pointer, [place]))
        value.align = 1
        return value

    return kind.dtype(types.intp, types.intp, kind), codegen


def _scan_integers(
    address,  # IN  of the values, integers one after the other
    kind,  # an array of their dtype
    rows,
    codes,  # OUT (rows) uint8
):
    """The largest code, −1 where a value is none."""
    beyond = largest = np.int64(0)
    for row in range(rows):
        value = np.int64(value_at(address, row, kind))
        beyond |= value >> 8
        low = value & 255
        largest = low if low > largest else largest
        codes[row] = np.uint8(low)
    return -1 if beyond else largest


def _scan_floats(
    address,  # IN  of the values, floating
    kind,
    rows,
    codes,  # OUT (rows) uint8
):
    """The same; NaN is no code."""
    other = largest = np.int64(0)
    for row in range(rows):
        value = value_at(address, row, kind)
        low = value if value > 0.0 else type(value)(0.0)
        code = np.int64(low if low < 255.0 else type(value)(255.0))
        other |= 0 if code == value else 1
        largest = code if code > largest else largest
        codes[row] = np.uint8(code)
    return -1 if other else largest


SCANS = {"f": Kernel(_scan_floats, "scan_floats"), "i": Kernel(_scan_integers, "scan_integers")}


def scan_codes(values: NDArray[Any], codes: NDArray[np.uint8]) -> int:
    """Write down values as codes; the largest, −1 where one is no whole number from 0 to 255."""
    if values.dtype == bool:
        values = values.view(np.uint8)
    elif not values.dtype.isnative or values.dtype.itemsize not in SIZES[values.dtype.kind]:
        values = values.astype(np.float64)
    values = np.ascontiguousarray(values)
    scan = SCANS["f" if values.dtype.kind == "f" else "i"][values.dtype]
    return int(scan(values.ctypes.data, np.empty(0, values.dtype), len(values), codes))
