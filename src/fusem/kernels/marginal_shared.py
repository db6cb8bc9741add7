"""A pattern that many rows have, under one covariance: see `marginal`, and `missing_shared` for the centre c.

With z = W (x − c), ν the whitened mean of a component, y and a the parts of z and ν along the rows of G: the
expected z is Gᵀ (y, a). Beside T = Σ w y yᵀ the square B has Σ r y aᵀ and Σ r (a aᵀ + 1).
"""

from __future__ import annotations

from fusem.kernels.marginal import (
    add_noise,
    after_operators,
    choose_columns,
    lead_back_row,
    lead_back_square,
    operators_of,
    put_triangle,
)
from fusem.kernels.null_space import square_width, take_spread
from fusem.kernels.patterns import missing_columns
from fusem.kernels.policy import helper
from fusem.kernels.simd import add_scaled, filled, lanes, load_wide, store


@helper
def shared_parts(
    m,  # INOUT
    operands,  # IN  those of `families.gaussian_tied`
    pattern,
    d,
):
    """What they are of the observed columns: c, what rounding it lost, M, ν, what rounding that did.

    Then ν in float64, log normalisations, the same less |ν|² / 2 where means lie near; how many columns.
    """
    n_components = operands.constant.size
    count = missing_columns(m.patterns, pattern, d, m.bases.columns)
    rest, square = d - count, d * square_width(d)
    more, more_exact = 2 * rest + n_components * (2 * rest + count), n_components * (d + 2)
    at, g0, _, new = operators_of(m, operands.matrix, 1, pattern, more, more_exact, d)
    kept, numbers = m.marginals.store, m.marginals.exact
    centre = at + after_operators(1, count, rest)
    lost, centres = centre + rest, centre + 2 * rest
    shift = centres + n_components * rest
    means = g0 + square + 1
    constant = means + n_components * d
    added = constant + n_components
    if new:
        choose_columns(operands.high, m.marginals.columns, rest, d, kept, centre)
        choose_columns(operands.low, m.marginals.columns, rest, d, kept, lost)
        turn_means(
            m, operands.exact, g0, means, at, shift + n_components * rest, rest, d, n_components
        )
        for k in range(n_components):
            length = 0.0
            for i in range(k * rest, (k + 1) * rest):
                mean = numbers[means + i]
                kept[centres + i] = mean
                rounded = float(kept[centres + i])
                kept[shift + i] = rounded - mean
                length += rounded * rounded
            numbers[constant + k] = numbers[means - 1]
            numbers[added + k] = numbers[means - 1] - (0.5 * length if operands.near else 0.0)
    return (
        kept[centre:lost],
        kept[lost:centres],
        kept[at : at + rest * rest],
        kept[centres:shift],
        kept[shift : shift + n_components * rest],
        numbers[means : means + n_components * rest],
        numbers[constant:added],
        numbers[added : added + n_components],
        rest,
    )


@helper
def turn_means(m, exact, g0, means, at, towards, rest, d, n_components):
    """Parts of every ν along G, those of observed columns first; R⁻¹ times the others into the store."""
    kept, numbers, width, count = m.marginals.store, m.marginals.exact, square_width(d), d - rest
    along, scales = means + n_components * rest, at + rest * rest + count * rest
    for k in range(n_components):
        for a in range(d):
            part = 0.0
            for i in range(d):
                part += numbers[g0 + a * width + i] * exact[k * d + i]
            numbers[means + k * rest + a if a < rest else along + k * count + a - rest] = part
        for s in range(count if m.kept is not None else 0):
            value = 0.0
            for t in range(s + 1):
                value += kept[scales + s * count + t] * numbers[along + k * count + t]
            kept[towards + k * count + s] = value


@helper
def lead_back_shared(m, pattern, rest, last, stats, start, d, n_components):
    """Add the sums of a pattern's rows: N and m of every component, the scatter after the last pattern."""
    sums, v, numbers, width = m.marginals.sums, m.marginals.work, m.marginals.exact, square_width(d)
    g0, count = m.marginals.at[2 * pattern + 1] - 1, d - rest
    means = g0 + d * width + 1
    along = means + n_components * rest
    for k in range(n_components):
        stats[start + k] += sums[k]
        first = start + n_components + k * d
        lead_back_row(m, g0, sums, n_components + k * rest, rest, stats, first, d)
    put_triangle(v, sums, n_components * (1 + rest) + 1 + rest, rest, d)
    for k in range(n_components):
        for s in range(count):
            column, a = rest + s, numbers[along + k * count + s]
            for j in range(rest):
                i = k * rest + j
                v[column * width + j] += (sums[n_components + i] + sums[k] * numbers[means + i]) * a
            for t in range(s + 1):
                v[column * width + rest + t] += sums[k] * a * numbers[along + k * count + t]
            v[column * width + column] += sums[k]
    for a in range(rest, d):
        for b in range(a):
            v[b * width + a] = v[a * width + b]
    lead_back_square(m, g0, 0, d)
    if last:
        take_spread(m.bases, 0, stats, start + n_components * (1 + d) + 1 + d, d)


@helper
def expected_shared(m, operands, resp, pattern, r, noisy, rest, d, n_components, tile, stride):
    """Means of the missing values of a strip of rows, into y, a column for each of them."""
    y, kept, strip, count = m.space.scratch, m.marginals.store, 4 * lanes(resp), d - rest
    shares = m.marginals.at[2 * pattern] - 1 + rest * rest
    scales = shares + count * rest
    towards = scales + count * count + 2 * rest + 2 * n_components * rest
    for s in range(count):
        j = m.bases.columns[s]
        value = filled(float(operands.high[j]) + float(operands.low[j]), load_wide(resp, r))
        for i in range(rest):
            part = load_wide(y, r * rest + i * strip)
            value = add_scaled(kept, shares + s * rest + i, part, value)
        for k in range(n_components):
            share = load_wide(resp, k * stride + r)
            value = add_scaled(kept, towards + k * count + s, share, value)
        if noisy:
            value = add_noise(m, kept, scales + s * count, s, r, d, value)
        store(m.y, r * d + s * strip, value)
