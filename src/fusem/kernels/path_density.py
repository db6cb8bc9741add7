"""Log-densities of given paths with their rows, which are small codes, in floating point."""

from __future__ import annotations

from fusem.kernels.elements import element
from fusem.kernels.policy import Kernel

BLOCK = (
    64  # rows that are summed on their own: errors of a long sum are those of as much fewer numbers
)


def _path_densities(
    codes,  # IN  (rows) of all sequences
    states,  # IN  (rows)
    first,  # the first of some rows
    last,  # after them
    sequence,  # that the first belongs to
    ends,  # IN  (sequences) of each, after its last row
    wanted,  # IN  (sequences) whether it is
    log_start,  # IN  (K)
    log_moves,  # IN  (K · K)
    log_densities,  # IN  (n_codes · K)
    totals,  # INOUT (sequences)
):
    """Add what some rows and their states say to the totals of their sequences."""
    n_states, row = log_start.size, first
    while row < last:
        end = min(ends[sequence], last)
        if wanted[sequence]:
            if row == 0 or (sequence > 0 and row == ends[sequence - 1]):
                state = states[row]
                totals[sequence] += log_start[state] + log_densities[codes[row] * n_states + state]
                row += 1
            while row < end:
                some, until = 0.0, min(end, row + BLOCK)
                for r in range(row, until):
                    state = element(states, r)
                    some += element(log_moves, element(states, r - 1) * n_states + state)
                    some += element(log_densities, int(element(codes, r)) * n_states + state)
                totals[sequence] += some
                row = until
        row, sequence = end, sequence + 1


path_densities = Kernel(_path_densities, "path_densities")
