"""Tile kernels of a tied covariance about every component's own mean: means too far apart for a centre.

Operands are those of `families.gaussian_tied`. It is seldom so, and each stands once in a kernel.
"""

from __future__ import annotations

from fusem.kernels.axes import weight_totals
from fusem.kernels.missing_matrices import add_spreads, observed_densities
from fusem.kernels.policy import helper, seldom
from fusem.kernels.simd import lanes
from fusem.kernels.whiten import scatter, whiten


@seldom
def densities_apart(x, operands, log_weights, logp, scratch, d, tile, stride):
    """`log_density` about every mean."""
    for k in range(log_weights.size):
        constant = log_weights[k] + operands.constant[k]
        for r in range(0, tile, 4 * lanes(x)):
            whiten(
                x, operands.means, operands.means_low, k * d, operands.matrix, 0,
                scratch, 0, constant, logp, k * stride, r, d,
            )  # fmt: skip


@seldom
def sums_apart(x, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """`accumulate` about every mean."""
    first = start + n_components
    form = first + n_components * d
    weight_totals(resp, stats, start, n_components, tile, stride)
    stats[form] += 1.0
    for k in range(n_components):
        for r in range(0, tile, 4 * lanes(x)):
            whiten(
                x, operands.means, operands.means_low, k * d, operands.matrix, 0,
                scratch, 0, 0.0, logp, 0, r, d,
            )  # fmt: skip
        scatter(
            scratch, 0, resp, k * stride, scratch[(d + 1) * tile :], stats, first + k * d,
            form + 1 + d, d, tile,
        )  # fmt: skip


@seldom
def observed_apart(x, m, operands, log_weights, logp, d, tile, stride):
    """`log_density_missing` about every mean."""
    observed_densities(
        x, m, operands.means, operands.means_low, operands.matrix, 1, operands.constant,
        log_weights, logp, d, tile, stride,
    )  # fmt: skip


@seldom
def expected_apart(m, resp, operands, sums, d, n_components, tile, stride):
    """`accumulate_missing` about every mean."""
    first = n_components
    form = first + n_components * d
    second = form + 1 + d
    product = m.y[n_components * d * tile :]
    weight_totals(resp, sums, 0, n_components, tile, stride)
    for k in range(n_components):
        y = k * d * tile
        scatter(m.y, y, resp, k * stride, product, sums, first + k * d, second, d, tile)
    add_spreads(m, resp, operands.matrix, 1, n_components, sums, second, d, tile, stride)
    sums[form] = 1.0 if operands.apart else 0.0
    if not operands.apart:
        for k in range(n_components):
            spread_about_centre(sums, k, first + k * d, operands.exact, k * d, second, d)


@helper
def spread_about_centre(sums, k, first, centre, c0, second, d):
    """From S of a component to T: add m νᵀ + ν mᵀ + N ν νᵀ, the lower triangle."""
    for i in range(d):
        for j in range(i + 1):
            a, b = centre[c0 + i], centre[c0 + j]
            cross = sums[first + i] * b + a * sums[first + j] + sums[k] * a * b
            sums[second + i * (i + 1) // 2 + j] += cross
