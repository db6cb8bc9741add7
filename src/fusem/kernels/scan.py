"""One pass over raw rows: weight, sums and squared sums of every column about a shift, in leaves."""

from __future__ import annotations

from fusem.kernels.axes import two_moments, weight_total
from fusem.kernels.policy import Kernel
from fusem.kernels.tile import LEAF, clear, close_leaf, fold, load_rows, load_weights

HEADER = 3  # a place kept for the log-likelihood, weight, rows: as in every statistic


def _scan(
    address,
    row_stride,
    column_stride,
    rows,
    d,
    weights,  # IN  (rows) or empty
    kind,  # IN  an array of the rows' dtype
    shift,  # IN  (d) a value of each column
    nothing,  # IN  (d) zeros
    unit,  # IN  (d) ones
    space,  # SCRATCH, float64
    out,  # OUT header, Σ w (x − shift) (d), Σ w (x − shift)² (d)
):
    """Sums about the shift; not finite where a value, or its square, is not."""
    x, w, tree = space.x, space.w, space.tree
    size, tile = out.size, w.size
    nodes = 0
    for leaf in range((rows + LEAF - 1) // LEAF):
        stats, start = clear(tree, out, nodes, size)
        end = min((leaf + 1) * LEAF, rows)
        for first in range(leaf * LEAF, end, tile):
            count = min(tile, end - first)
            load_rows(address, row_stride, column_stride, kind, first, count, x, d, tile)
            load_weights(weights, first, count, w, tile)
            stats[start + 1] += weight_total(w, 0, tile)
            stats[start + 2] += count
            first_sum = start + HEADER
            two_moments(x, shift, nothing, unit, w, stats, first_sum, first_sum + d, d, 1, tile, 0)
        nodes = close_leaf(tree, out, leaf, nodes, size)
    fold(tree, out, nodes, size)


scan = Kernel(_scan, "scan")
