"""`scan` of rows with missing values: sums over what was observed, and which columns ever are together."""

from __future__ import annotations

from fusem.kernels.compact import how_many
from fusem.kernels.patterns import WORD, find_missing
from fusem.kernels.policy import Kernel
from fusem.kernels.scan import HEADER
from fusem.kernels.tile import LEAF, clear, close_leaf, fold
from fusem.kernels.transpose import read

KINDS = 2  # numbers that follow the header: complete rows, rows without any value


def _scan_missing(
    address,
    row_stride,
    column_stride,
    rows,
    d,
    weights,  # IN  (rows) or empty
    kind,  # IN  an array of the rows' dtype
    shift,  # IN  (d) a value of each column
    bits,  # SCRATCH (LEAF · words)
    together,  # INOUT (d · words) columns that some row has beside column j
    tree,  # SCRATCH (levels − 1 · size)
    out,  # OUT header, kinds of rows, Σ w (d), Σ w (x − shift) (d), Σ w (x − shift)² (d) where observed
):
    """Sums about the shift; the weight in the header is that of rows with any value."""
    size, words, nodes = out.size, together.size // d, 0
    for leaf in range((rows + LEAF - 1) // LEAF):
        stats, start = clear(tree, out, nodes, size)
        begin = leaf * LEAF
        count = min(LEAF, rows - begin)
        at = address + begin * row_stride
        find_missing(at, row_stride, column_stride, kind, count, d, words, bits)
        for r in range(count):
            w = weights[begin + r] if weights.size > 0 else 1.0
            missing = 0
            for i in range(words):
                missing += how_many(bits[r * words + i])
            stats[start + 1] += w if missing < d else 0.0
            stats[start + HEADER] += missing == 0
            stats[start + HEADER + 1] += missing == d
            if w > 0.0 and 0 < missing < d:
                for j in range(d):
                    if not (bits[r * words + j // WORD] >> (j % WORD)) & 1:
                        for i in range(words):
                            together[j * words + i] |= ~bits[r * words + i]
            elif w > 0.0 and missing == 0:
                for i in range(d * words):
                    together[i] = -1
        stats[start + 2] += count
        for j in range(d):
            origin, weight, first, second = shift[j], 0.0, 0.0, 0.0
            column = at + j * column_stride
            for r in range(count):
                x = read(column + r * row_stride, kind)
                w = weights[begin + r] if weights.size > 0 else 1.0
                w = w if x == x else 0.0
                z = x - origin if w > 0.0 else 0.0
                weight, first, second = weight + w, first + w * z, second + w * z * z
            sums = start + HEADER + KINDS + j
            stats[sums], stats[sums + d], stats[sums + 2 * d] = weight, first, second
        nodes = close_leaf(tree, out, leaf, nodes, size)
    fold(tree, out, nodes, size)


scan_missing = Kernel(_scan_missing, "scan_missing")
