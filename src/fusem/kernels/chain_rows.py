"""A chain read row by row, for those who ask about rows: filtering, draws of paths, margins of the best one.

All take log-densities of the rows in every state (rows · K), which `densities` writes for a family; the rest
is compiled once for all families. A fit does without: it never has n · K numbers (`forward_backward`).

Arithmetic is linear where nothing can be lost, else in logarithms: a sum of products of which the largest is
below `LOST` of the largest term is taken again.
"""

from __future__ import annotations

import math

from fusem.kernels.chain_log import log_sum, product
from fusem.kernels.forward_backward import block_factors
from fusem.kernels.policy import Kernel, helper

ROWS = 512  # at a time: no more than the shortest block
LOST = 1e-200  # of the largest: below, terms of a sum may have been rounded to 0


def densities(
    address,  # IN  of the rows, any strides
    row_stride,
    column_stride,
    rows,
    d,
    log_weights,  # IN  (K) zeros
    operands,  # IN  the family's
    m,  # SCRATCH
    width,  # IN  lanes of the states
    out,  # OUT (rows · K)
):
    """Log-densities of rows in every state; −∞ in all but the known one, where one is known."""
    n = log_weights.size
    for first in range(0, rows, ROWS):
        count = min(ROWS, rows - first)
        block_factors(
            address, row_stride, column_stride, first, count, d, log_weights, operands, m, width
        )
        for r in range(count):
            for k in range(n):
                out[(first + r) * n + k] = m.factor[r * width + k]


@helper
def shares_of(values, at, shares):
    """exp(values − their largest) of a row into shares; that largest."""
    n, top = shares.size, -math.inf
    for i in range(n):
        top = max(top, values[at + i])
    for i in range(n):
        shares[i] = math.exp(values[at + i] - top) if top > -math.inf else 0.0
    return top


@helper
def spread(values, at, moves, log_moves, shares, out, to):
    """log Σ_i exp(values_i) A_ij for every state j."""
    n, top = shares.size, shares_of(values, at, shares)
    for j in range(n):
        mass = 0.0
        for i in range(n):
            mass += shares[i] * moves[i * n + j]
        if mass > LOST:
            out[to + j] = top + math.log(mass)
        else:
            out[to + j] = product(values, at, log_moves, j, n)


def _filter(
    logp,  # IN  (rows · K)
    log_start,  # IN  (K)
    moves,  # IN  (K · K)
    log_moves,  # IN  (K · K)
    opens,  # IN  whether a sequence begins with the first row
    before,  # IN  (K) log P(state of the row before | rows up to there), if none does
    shares,  # SCRATCH (K)
    out,  # OUT (rows · K) log P(state | rows up to there); −inf from an impossible row on
):
    """Write the filtered probabilities; log-likelihood of the rows given those before."""
    n, evidence = log_start.size, 0.0
    for t in range(logp.size // n):
        row = t * n
        if t > 0:
            spread(out, row - n, moves, log_moves, shares, out, row)
        elif opens:
            for j in range(n):
                out[j] = log_start[j]
        else:
            spread(before, 0, moves, log_moves, shares, out, row)
        for j in range(row, row + n):
            out[j] += logp[j]
        mass = log_sum(out, row, n)
        evidence += mass
        if mass > -math.inf:
            for j in range(row, row + n):
                out[j] -= mass
    return evidence


@helper
def sums_up_to(values, at, moves, log_moves, j, shares, table):
    """Cumulative sums over i of exp(values_i) A_ij up to a factor, the shares of the row being given."""
    n, mass = shares.size, 0.0
    for i in range(n):
        mass += shares[i] * moves[i * n + j]
        table[j * n + i] = mass
    if not mass > LOST:
        top, mass = -math.inf, 0.0
        for i in range(n):
            top = max(top, values[at + i] + log_moves[i * n + j])
        for i in range(n):
            if top > -math.inf:
                mass += math.exp(values[at + i] + log_moves[i * n + j] - top)
            table[j * n + i] = mass


def _draw(
    filtered,  # IN  (rows · K) of one sequence, as from `filter_rows`
    moves,  # IN  (K · K)
    log_moves,  # IN  (K · K)
    uniforms,  # IN  (rows · draws) in [0, 1)
    shares,  # SCRATCH (K)
    table,  # SCRATCH (K · K)
    paths,  # OUT (draws · rows)
):
    """Draw paths given all rows, from the last row to the first."""
    n = shares.size
    rows = filtered.size // n
    draws = paths.size // rows
    for t in range(rows - 1, -1, -1):
        shares_of(filtered, t * n, shares)
        if t == rows - 1:
            mass = 0.0
            for i in range(n):
                mass += shares[i]
                table[i] = mass
        else:
            for j in range(n):
                sums_up_to(filtered, t * n, moves, log_moves, j, shares, table)
        for s in range(draws):
            place = n * paths[s * rows + t + 1] if t < rows - 1 else 0
            mass = uniforms[t * draws + s] * table[place + n - 1]
            state = 0
            while state < n - 1 and table[place + state] <= mass:
                state += 1
            paths[s * rows + t] = state


@helper
def subtract_largest(values, at, n):
    """Make the largest of a row 0, unless all are −inf."""
    top = -math.inf
    for i in range(at, at + n):
        top = max(top, values[i])
    if top > -math.inf:
        for i in range(at, at + n):
            values[i] -= top


def _margin(
    logp,  # IN  (rows · K) of one sequence
    log_start,  # IN  (K)
    log_moves,  # IN  (K · K)
    best,  # SCRATCH (rows · K) log-probability of the best path to each state, the largest is 0
    after,  # SCRATCH (K) the same from each state on
    onward,  # SCRATCH (K)
    out,  # OUT (rows)
):
    """How much more likely, in logarithms, the best path is than the best through another state at a row."""
    n = log_start.size
    rows = logp.size // n
    for t in range(rows):
        row = t * n
        for j in range(n):
            top = log_start[j] if t == 0 else -math.inf
            if t > 0:
                for i in range(n):
                    top = max(top, best[row - n + i] + log_moves[i * n + j])
            best[row + j] = top + logp[row + j]
        subtract_largest(best, row, n)
    for j in range(n):
        after[j] = 0.0
    for t in range(rows - 1, -1, -1):
        row, first, second = t * n, -math.inf, -math.inf
        for j in range(n):
            both = best[row + j] + after[j]
            second = max(second, min(both, first))
            first = max(first, both)
            onward[j] = logp[row + j] + after[j]
        out[t] = first - second if second > -math.inf else math.inf
        for i in range(n):
            top = -math.inf
            for j in range(n):
                top = max(top, log_moves[i * n + j] + onward[j])
            after[i] = top
        subtract_largest(after, 0, n)


filter_rows = Kernel(_filter, "chain_filter")
draw_paths = Kernel(_draw, "chain_draw")
path_margins = Kernel(_margin, "chain_margin")
