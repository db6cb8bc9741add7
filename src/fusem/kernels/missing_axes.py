"""Rows with missing values under independent columns: a missing value is left out, its variance expected."""

from __future__ import annotations

import math

from fusem.kernels.missing import add_to, group_of
from fusem.kernels.null_space import HALF_LOG_2PI, NONE, mass_of
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes
from fusem.kernels.tile import place


@helper
def add_constants(
    m,
    log_weights,  # IN  (K)
    operands,  # IN  constants of complete rows (K), 1 / standard deviation (K · n)
    n,  # IN  scales of a component: d, or 1 for all columns
    logp,  # INOUT (K × stride)
    d,
    tile,
    stride,
):
    """Add what log-densities begin with, without the normalisation of missing columns."""
    n_components, scale = log_weights.size, operands.scale
    for g in range(m.tile[0], m.tile[1]):
        number, first, last, count = group_of(m, g, d, tile)
        for k in range(n_components):
            entry = number * n_components + k
            if m.bases.at[entry] == NONE:
                gain = count * HALF_LOG_2PI
                for s in range(count):
                    gain -= math.log(scale[k * n + m.bases.columns[s] % n])
                m.bases.gain[entry], m.bases.at[entry] = gain, 1
            begun = log_weights[k] + operands.constant[k] + m.bases.gain[entry]
            add_to(logp, k * stride + first, k * stride + last, begun)
            if m.noise.size > 0:
                draw(m, k, scale, k * n, n, count, first, last, d, tile)


@helper
def draw(m, k, scale, s0, n, count, first, last, d, tile):
    """Missing values of some rows as drawn from component k, less its mean."""
    step = 4 * lanes(m.noise)
    for r in range(first, last):
        at = place(m.noise, r, d)
        for s in range(count):
            j = m.bases.columns[s]
            i = at + j * step
            m.moves[k * d * tile + i] = m.noise[i] / scale[s0 + j % n]


@helper
def add_variances(
    m,
    shift,  # IN  (K · d) z of the value that was filled in: what rounding the mean did
    resp,  # IN  (K × stride)
    stats,  # INOUT Σ r z at [first + k·d + j], Σ r z² at [second + k·n + j], or of all columns
    first,
    second,
    n,
    n_components,
    d,
    tile,
    stride,
):
    """Add Σ r over the rows that miss a column to its squares, whose expectation is 1."""
    for g in range(m.tile[0], m.tile[1]):
        _, begin, end, count = group_of(m, g, d, tile)
        for k in range(n_components):
            mass = mass_of(resp, k * stride, m.bases, begin, end)
            for s in range(count):
                j = m.bases.columns[s]
                z = float(shift[k * d + j])
                stats[first + k * d + j] -= mass * z
                stats[second + k * n + j % n] += mass * (1.0 - z * z)
