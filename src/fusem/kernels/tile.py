"""Tiles: a few hundred rows at a time, transposed so that vector lanes run over rows.

A tile of d columns is cut into *strips* of four vectors of rows, one strip after the other, in a strip one
column after the other: row r of column j stands at [(r − r mod s) · d + j · s + r mod s], s rows in a strip.
What works on some rows reads and writes consecutive memory. What there is of every component (log-densities,
responsibilities) stands component by component instead, `stride` elements apart: a little longer than the
tile, so that components do not fall on the same cache sets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.large_pages import room
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, lanes, load_wide, store, zeros_wide
from fusem.kernels.transpose import (
    GROUP,
    HALF,
    copy_group,
    deal_2,
    deal_3,
    deal_4,
    read,
    transpose_chosen,
    transpose_group,
    transpose_half,
    transpose_half_chosen,
)

LEAF = 1024  # rows summed before the reduction tree: part of the promise of bit-identity
# Bytes of a tile's column. Longer ones make the sums over lanes at the end of a tile cheaper; shorter ones
# keep the tile, and what is computed from it, in the first cache (full, d = 4, K = 4: 14 % faster; d = 8,
# K = 4: 8 %). Where it leaves the second cache, half as long is better if it does not (d = 64, K = 16: 6 %);
# if even that does, it is not (d = 128: 4 to 10 %).
COLUMN = 2048
FIRST, FIRST_QUARTER = (
    40 * 1024,
    32 * 1024,
)  # of the first cache; a quarter of the column has to gain more
CACHE = 2 * 1024 * 1024
MOST = 16 * 1024 * 1024  # bytes of a tile: beyond, memory counts for more, a quarter of the column
LINE = 64  # bytes of the first cache's lines
PADDING = 16  # elements between components
ALIGNMENT = 64


class Workspace(NamedTuple):
    """Memory of one thread for one sweep; flat arrays, reused for every tile."""

    x: NDArray[Any]  # (d columns) the tile, dtype of the rows
    w: NDArray[np.float64]  # (tile) weights of the rows, 0 past the end
    logp: NDArray[Any]  # (K × stride) log weight + log density; float64 where it is the result
    resp: NDArray[Any]  # (K × stride) weight · responsibility, dtype of the rows
    scratch: NDArray[Any]  # the family's own columns
    tree: NDArray[np.float64]  # (levels − 1 × size) statistics not yet merged; the first is `out`


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """A flat array of zeros that begins at a vector boundary.

    What a thread writes to must share no cache line with what another one does: so it should end at one, too.
    """
    n_bytes = max(size, 1) * np.dtype(dtype).itemsize
    raw = room(n_bytes + ALIGNMENT, np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + n_bytes].view(dtype)


def carved(*wanted: tuple[int, DTypeLike]) -> list[NDArray[Any]]:
    """`aligned` arrays of so many elements each, in one piece of memory: to map many takes longer."""
    begins, end = [], 0
    for size, dtype in wanted:
        begins.append(end)
        end += -(-max(size, 1) * np.dtype(dtype).itemsize // ALIGNMENT) * ALIGNMENT
    raw = aligned(end, np.uint8).data
    return [
        np.frombuffer(raw, dtype, max(size, 1), begin)
        for begin, (size, dtype) in zip(begins, wanted, strict=True)
    ]


def tile_rows(columns: int, dtype: DTypeLike) -> int:
    """Rows per tile for so many columns of tile and scratch; depends on nothing of the machine."""
    rows, taken = COLUMN // np.dtype(dtype).itemsize, columns * COLUMN
    if FIRST < taken <= 2 * FIRST or CACHE < taken <= 2 * CACHE:
        return rows // 2
    return rows // 4 if 2 * FIRST < taken <= 4 * FIRST_QUARTER or taken > MOST else rows


def levels_of(rows: int, leaf: int = LEAF) -> int:
    """Nodes of the reduction tree that can wait at a time while so many rows are summed."""
    return (-(-rows // leaf)).bit_length()


def workspace(
    d: int,
    n_components: int,
    family_columns: int,
    size: int,
    levels: int,
    dtype: DTypeLike,
    logp_dtype: DTypeLike = np.float64,
    room: int = 0,
) -> Workspace:
    """Memory for one thread: d columns, K components, the family's tile columns, statistics of `size`.

    Scratch has room for so many columns at least, which do not make tiles shorter.
    """
    rows = tile_rows(d + 2 * n_components + family_columns, dtype)
    stride = rows + PADDING
    return Workspace(
        *carved(
            (d * stride, dtype),  # x
            (rows, np.float64),  # w
            (n_components * stride, logp_dtype),  # logp
            (n_components * stride, dtype),  # resp
            (max(family_columns, room) * stride, dtype),  # scratch
            ((levels - 1) * size, np.float64),  # tree
        )
    )


@helper
def place(x, r, d):
    """Where row r of the first of d columns stands; those of the next are a strip further."""
    within = r & (4 * lanes(x) - 1)
    return (r - within) * d + within


@helper
def load_group(address, row_stride, column_stride, kind, x, r, d):
    """Transpose GROUP rows, the first of them at the address, to the tile's rows from r on."""
    size, target, strip = kind.itemsize, place(x, r, d), 4 * lanes(x)
    if column_stride == size and d >= GROUP:
        for column in range(0, d, GROUP):
            j = min(column, d - GROUP)  # of the last columns some once more
            transpose_group(address + j * size, row_stride, kind, x, target + j * strip, strip)
    elif column_stride == size and d >= HALF:
        for column in range(0, d, HALF):
            j = min(column, d - HALF)
            transpose_half(address + j * size, row_stride, kind, x, target + j * strip, strip)
    else:
        for j in range(d):
            for lane in range(GROUP):
                source = address + j * column_stride + lane * row_stride
                x[target + j * strip + lane] = read(source, kind)


@helper
def load_rows(
    address,  # IN  address of the caller's rows
    row_stride,  # IN  bytes between rows
    column_stride,  # IN  bytes between columns
    kind,  # IN  array whose dtype the caller's rows have
    first,  # IN  row the tile begins with
    count,  # IN  rows in the tile
    x,  # OUT (d columns)
    d,
    tile,
):
    """Transpose `count` rows into the tile; lanes past the end repeat the first row (their weight is 0)."""
    start, size, strip = address + first * row_stride, kind.itemsize, 4 * lanes(x)
    whole = count - count % GROUP
    if row_stride == size:  # columns lie whole in memory
        for j in range(d):
            for r in range(0, whole, GROUP):
                source = start + j * column_stride + r * size
                copy_group(source, kind, x, place(x, r, d) + j * strip)
    elif column_stride == size and row_stride == d * size and d <= 4:
        for r in range(0, whole, GROUP):
            row, target = start + r * row_stride, place(x, r, d)
            if d == 2:
                deal_2(row, kind, x, target, strip)
            elif d == 3:
                deal_3(row, kind, x, target, strip)
            else:
                deal_4(row, kind, x, target, strip)
    else:
        for r in range(0, whole, GROUP):
            load_group(start + r * row_stride, row_stride, column_stride, kind, x, r, d)
    for r in range(whole, tile):
        row, target = r if r < count else 0, place(x, r, d)
        for j in range(d):
            x[target + j * strip] = read(start + row * row_stride + j * column_stride, kind)


@helper
def gather_rows(
    address,  # IN  of the leaf's first row
    row_stride,  # IN  bytes
    column_stride,  # IN  bytes
    chosen,  # IN  rows of the leaf, from place `first` on
    first,
    x,  # OUT (d columns)
    d,
    width,  # IN  how many, a multiple of GROUP
):
    """Transpose chosen rows into the tile, as `load_rows` does with consecutive ones."""
    size, strip = x.itemsize, 4 * lanes(x)
    if column_stride == size and d >= GROUP:
        for r in range(0, width, GROUP):
            target = place(x, r, d)
            for column in range(0, d, GROUP):
                j = min(column, d - GROUP)  # of the last columns some once more
                transpose_chosen(
                    address + j * size, row_stride, chosen, first + r, x, target + j * strip, strip
                )
    elif column_stride == size and d >= HALF:
        for r in range(0, width, GROUP):
            target = place(x, r, d)
            for column in range(0, d, HALF):
                j = min(column, d - HALF)
                transpose_half_chosen(
                    address + j * size, row_stride, chosen, first + r, x, target + j * strip, strip
                )
    else:
        for r in range(width):
            row, target = address + chosen[first + r] * row_stride, place(x, r, d)
            for j in range(d):
                x[target + j * strip] = read(row + j * column_stride, x)


@helper
def load_weights(weights, first, count, w, tile):
    """Weights of a tile's rows: the caller's, or 1 where none were given; 0 past the end.

    Returns whether any row's weight is not 1: rows of weight 1 are summed exactly as rows without.
    """
    other = False
    for r in range(count, tile):
        w[r] = 0.0
    if weights.size > 0:
        for r in range(count):
            w[r] = weights[first + r]
            other |= w[r] != 1.0
    else:
        for r in range(count):
            w[r] = 1.0
    return other


@helper
def node_at(tree, out, node, size):
    """The array that holds a waiting node, and where: the first is the segment's own statistic."""
    return (out, 0) if node == 0 else (tree, (node - 1) * size)


@helper
def clear(tree, out, node, size):
    """Begin a leaf; the array that holds it, and where."""
    stats, start = node_at(tree, out, node, size)
    fill_zeros(stats, start, size)
    return stats, start


@helper
def fill_zeros(values, start, size):
    """Set `size` elements to 0."""
    step, nothing = 4 * lanes(values), zeros_wide(values)
    whole = size - size % step
    for i in range(start, start + whole, step):
        store(values, i, nothing)
    for i in range(start + whole, start + size):
        values[i] = 0.0


@helper
def move(values, start, target, to, size):
    """Copy `size` elements and leave zeros in their place."""
    step, nothing = 4 * lanes(values), zeros_wide(values)
    whole = size - size % step
    for i in range(0, whole, step):
        store(target, to + i, load_wide(values, start + i))
        store(values, start + i, nothing)
    for i in range(whole, size):
        target[to + i] = values[start + i]
        values[start + i] = 0.0


@helper
def merge(tree, out, node, size):
    """Add a node to the one before it."""
    left, to = node_at(tree, out, node - 1, size)
    right, step = (node - 1) * size, 4 * lanes(tree)
    whole = size - size % step
    for i in range(0, whole, step):
        store(left, to + i, add(load_wide(left, to + i), load_wide(tree, right + i)))
    for i in range(whole, size):
        left[to + i] += tree[right + i]


@helper
def close_leaf(tree, out, leaf, node, size):
    """Merge the finished leaf with every complete node to its left of the same height; the nodes left."""
    while leaf & 1:
        merge(tree, out, node, size)
        node -= 1
        leaf >>= 1
    return node + 1


@helper
def fold(tree, out, nodes, size):
    """Fold the nodes that remain, right to left, into `out`."""
    for node in range(nodes - 1, 0, -1):
        merge(tree, out, node, size)
    if nodes == 0:
        clear(tree, out, 0, size)
