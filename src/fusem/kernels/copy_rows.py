"""Rows copied to where they are worked on, and looked at on the way: what is copied is in the first cache."""

from __future__ import annotations

from fusem.kernels.policy import helper
from fusem.kernels.scan_finite import FINITE, look
from fusem.kernels.transpose import GROUP, copy_group, read

BLOCK = 1024  # values between two looks


@helper
def copy_rows(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    begin,  # IN  first row
    count,  # IN  rows
    d,
    values,  # OUT (rows · d) all rows, of which these are written
):
    """Copy rows; what is in them, as `look` says."""
    kind, size = FINITE, values.itemsize
    step = max(1, BLOCK // d)
    for first in range(begin, begin + count, step):
        rows = min(step, begin + count - first)
        at, source = first * d, address + first * row_stride
        if column_stride == size and row_stride == d * size:
            copy_values(source, values, at, rows * d)
        elif column_stride == size:
            for r in range(rows):
                copy_values(source + r * row_stride, values, at + r * d, d)
        else:
            for j in range(d):
                for r in range(rows):
                    place = source + r * row_stride + j * column_stride
                    values[at + r * d + j] = read(place, values)
        kind = max(kind, look(values, at, at + rows * d))
    return kind


@helper
def copy_values(address, values, at, count):
    """Copy consecutive values."""
    whole, size = count - count % GROUP, values.itemsize
    for i in range(0, whole, GROUP):
        copy_group(address + i * size, values, values, at + i)
    for i in range(whole, count):
        values[at + i] = read(address + i * size, values)
