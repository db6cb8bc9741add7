"""A pattern that many rows have, where every component has a matrix of its own: see `marginal`."""

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
from fusem.kernels.simd import (
    add_scaled,
    filled,
    fma,
    lanes,
    load_wide,
    store,
    where_less,
    zeros_wide,
)


@helper
def observed_parts(
    m,  # INOUT
    operands,  # IN  those of `families.gaussian_full`
    pattern,
    d,
):
    """M, means of the observed columns, what rounding them lost, log normalisations; how many columns."""
    n_components = operands.constant.size
    count = missing_columns(m.patterns, pattern, d, m.bases.columns)
    rest, width = d - count, square_width(d)
    more = n_components * (2 * rest + count)
    at, g0, _, new = operators_of(m, operands.matrix, n_components, pattern, more, 0, d)
    means = at + after_operators(n_components, count, rest)
    lost = means + n_components * rest
    kept, exact = m.marginals.store, m.marginals.exact
    if new:
        choose_columns(operands.high, m.marginals.columns, rest, d, kept, means)
        choose_columns(operands.low, m.marginals.columns, rest, d, kept, lost)
        choose_columns(operands.high, m.bases.columns, count, d, kept, lost + n_components * rest)
    constant = g0 + n_components * d * width
    return (
        kept[at : at + n_components * rest * rest],
        kept[means:lost],
        kept[lost : lost + n_components * rest],
        exact[constant : constant + n_components],
        rest,
    )


@helper
def lead_back_each(m, pattern, rest, last, stats, start, d, n_components):
    """Add the sums of a pattern's rows: N, m and S of every component, S after the last pattern."""
    sums, v, width = m.marginals.sums, m.marginals.work, square_width(d)
    g0 = m.marginals.at[2 * pattern + 1] - 1
    first, second = start + n_components, start + n_components * (1 + d)
    source, triangle = n_components, n_components * (1 + rest)
    for k in range(n_components):
        mass = sums[k]
        stats[start + k] += mass
        if mass > 0.0:
            lead_back_row(m, g0, sums, source, rest, stats, first, d)
            put_triangle(v, sums, triangle, rest, d)
            for s in range(rest, d):
                v[s * width + s] = mass
            lead_back_square(m, g0, k, d)
        if last:
            take_spread(m.bases, k, stats, second, d)
        source, triangle = source + rest, triangle + rest * (rest + 1) // 2
        first, second, g0 = first + d, second + d * (d + 1) // 2, g0 + d * width


@helper
def expected_with_own_matrices(
    m,  # INOUT y: means of the missing values of a strip, a column for each of them
    operands,
    resp,  # IN  (K × stride)
    pattern,
    r,  # IN  the strip's first row
    noisy,  # IN  whether there is noise to add
    rest,  # IN  observed columns
    d,
    n_components,
    tile,
    stride,
):
    """Means of the missing values of a strip of rows, by their responsibilities."""
    y, kept, strip, count = m.space.scratch, m.marginals.store, 4 * lanes(resp), d - rest
    shares = m.marginals.at[2 * pattern] - 1 + n_components * rest * rest
    scales = shares + n_components * count * rest
    means = scales + n_components * (count * count + 2 * rest)
    for s in range(count):
        mean = nothing = zeros_wide(resp)
        for k in range(n_components):
            one = k * count + s
            value = filled(float(kept[means + one]), nothing)
            for j in range(rest):
                part = load_wide(y, (k * tile + r) * rest + j * strip)
                value = add_scaled(kept, shares + one * rest + j, part, value)
            if noisy:
                value = add_noise(m, kept, scales + one * count, s, r, d, value)
            share = load_wide(resp, k * stride + r)
            # without a share it may be no number
            mean = fma(share, where_less(nothing, share, value, nothing), mean)
        store(m.y, r * d + s * strip, mean)
