"""Tiles: a few hundred rows at a time, transposed so that vector lanes run over rows.

A tile is a flat array of shape (columns × stride); column j of row r stands at [j · stride + r].
The stride is a little longer than the tile, so that columns do not fall on the same cache sets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.policy import helper
from fusem.kernels.transpose import (
    GROUP,
    copy_group,
    deal_2,
    deal_3,
    deal_4,
    read,
    transpose_chosen,
    transpose_group,
)

LEAF = 1024  # rows summed before the reduction tree: part of the promise of bit-identity
# Bytes a tile and what is computed from it may take. Long tiles beat staying in L2: with d = 64, K = 16
# tiles of 64, 128, 256 rows took 219, 207, 190 ns per row and component (sums at the end of a tile).
CACHE = 3 * 1024 * 1024
TILES = (256, 128, 64)  # rows; all divide LEAF and hold whole groups of four vectors
PADDING = 16  # elements between columns
ALIGNMENT = 64


class Workspace(NamedTuple):
    """Memory of one thread for one sweep; flat arrays, reused for every tile."""

    x: NDArray[Any]  # (d × stride) the tile, dtype of the rows
    w: NDArray[np.float64]  # (tile) weights of the rows, 0 past the end
    logp: NDArray[Any]  # (K × stride) log weight + log density; float64 where it is the result
    resp: NDArray[Any]  # (K × stride) weight · responsibility, dtype of the rows
    scratch: NDArray[Any]  # the family's own
    tree: NDArray[np.float64]  # (levels × size) statistics not yet merged


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """A flat array of zeros that begins at a vector boundary."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(max(size, 1) * itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + max(size, 1) * itemsize].view(dtype)


def tile_rows(columns: int, dtype: DTypeLike) -> int:
    """Rows per tile for so many columns of tile and scratch; depends on nothing of the machine."""
    row_bytes = columns * np.dtype(dtype).itemsize
    return next((rows for rows in TILES if rows * row_bytes <= CACHE), TILES[-1])


def levels_of(rows: int, leaf: int = LEAF) -> int:
    """Nodes of the reduction tree that can wait at a time while so many rows are summed."""
    return (-(-rows // leaf)).bit_length() + 1


def workspace(
    d: int,
    n_components: int,
    family_columns: int,
    size: int,
    levels: int,
    dtype: DTypeLike,
    logp_dtype: DTypeLike = np.float64,
) -> Workspace:
    """Memory for one thread: d columns, K components, the family's tile columns, statistics of `size`."""
    rows = tile_rows(d + 2 * n_components + family_columns, dtype)
    stride = rows + PADDING
    return Workspace(
        x=aligned(d * stride, dtype),
        w=aligned(rows, np.float64),
        logp=aligned(n_components * stride, logp_dtype),
        resp=aligned(n_components * stride, dtype),
        scratch=aligned(family_columns * stride, dtype),
        tree=aligned(levels * size, np.float64),
    )


@helper
def load_rows(
    address,  # IN  address of the caller's rows
    row_stride,  # IN  bytes between rows
    column_stride,  # IN  bytes between columns
    kind,  # IN  array whose dtype the caller's rows have
    first,  # IN  row the tile begins with
    count,  # IN  rows in the tile
    x,  # OUT (d × stride)
    d,
    tile,
    stride,
):
    """Transpose `count` rows into the tile; lanes past the end repeat the first row (their weight is 0)."""
    start, size = address + first * row_stride, kind.itemsize
    whole = count - count % GROUP
    if row_stride == size:  # columns lie whole in memory
        for j in range(d):
            for r in range(0, whole, GROUP):
                copy_group(start + j * column_stride + r * size, kind, x, j * stride + r)
    elif column_stride == size and d >= GROUP:
        for r in range(0, whole, GROUP):
            row = start + r * row_stride
            for column in range(0, d, GROUP):
                j = min(column, d - GROUP)  # of the last columns some once more
                transpose_group(row + j * size, row_stride, kind, x, j * stride + r, stride)
    elif column_stride == size and row_stride == d * size and d <= 4:
        for r in range(0, whole, GROUP):
            row = start + r * row_stride
            if d == 2:
                deal_2(row, kind, x, r, stride)
            elif d == 3:
                deal_3(row, kind, x, r, stride)
            else:
                deal_4(row, kind, x, r, stride)
    else:
        for r in range(0, whole, GROUP):
            for j in range(d):
                source = start + r * row_stride + j * column_stride
                for lane in range(GROUP):
                    x[j * stride + r + lane] = read(source + lane * row_stride, kind)
    for r in range(whole, tile):
        row = r if r < count else 0
        for j in range(d):
            x[j * stride + r] = read(start + row * row_stride + j * column_stride, kind)


@helper
def gather_rows(
    address,  # IN  of the leaf's first row
    row_stride,  # IN  bytes
    column_stride,  # IN  bytes
    chosen,  # IN  rows of the leaf, from place `first` on
    first,
    x,  # OUT (d × stride)
    d,
    width,  # IN  how many, a multiple of GROUP
    stride,
):
    """Transpose chosen rows into the tile, as `load_rows` does with consecutive ones."""
    size = x.itemsize
    if column_stride == size and d >= GROUP:
        for r in range(0, width, GROUP):
            for column in range(0, d, GROUP):
                j = min(column, d - GROUP)  # of the last columns some once more
                transpose_chosen(
                    address + j * size, row_stride, chosen, first + r, x, j * stride + r, stride
                )
    else:
        for j in range(d):
            column = address + j * column_stride
            for r in range(width):
                x[j * stride + r] = read(column + chosen[first + r] * row_stride, x)


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
def add_into(tree, target, source, size):
    """Merge one statistic of the tree into another."""
    for i in range(size):
        tree[target + i] += tree[source + i]


@helper
def close_leaf(tree, leaf, node, size):
    """Merge the finished leaf with every complete node to its left of the same height; the nodes left."""
    while leaf & 1:
        add_into(tree, (node - 1) * size, node * size, size)
        node -= 1
        leaf >>= 1
    return node + 1


@helper
def fold(tree, nodes, size, out):
    """Fold the nodes that remain, right to left, into `out`."""
    for node in range(nodes - 1, 0, -1):
        add_into(tree, (node - 1) * size, node * size, size)
    for i in range(size):
        out[i] = tree[i] if nodes > 0 else 0.0
