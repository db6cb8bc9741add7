"""Steps of a chain in logarithms: slow, and right whatever the probabilities. −inf is what cannot happen."""

from __future__ import annotations

import math

from fusem.kernels.policy import helper
from fusem.kernels.transpose import GROUP, transpose_group

NEVER = -math.inf


@helper
def factors(m, first, rows, n_states, stride, width):
    """Write the log-densities of a tile's rows; what stands in padded lanes no transition leads to."""
    logp, bytes_ = m.tile.logp, m.tile.logp.itemsize
    for r in range(rows):
        m.top[first + r] = 0.0
    for r in range(0, rows, GROUP):
        for k in range(0, width, GROUP):
            transpose_group(
                m.logp_at + (k * stride + r) * bytes_, stride * bytes_, logp,
                m.factor, (first + r) * width + k, width,
            )  # fmt: skip


@helper
def scale_of(mass):
    """Nothing needs a scale."""
    return 1.0, 0


@helper
def in_logarithms(mass, exponents):
    """A mass is its logarithm."""
    return mass


@helper
def log_sum(values, at, width):
    """log Σ exp of a row."""
    top = NEVER
    for i in range(at, at + width):
        top = max(top, values[i])
    if top == NEVER:
        return NEVER
    mass = 0.0
    for i in range(at, at + width):
        mass += math.exp(values[i] - top)
    return top + math.log(mass)


@helper
def product(values, at, matrix, j, width):
    """log Σ_i exp(values_i + matrix_ij)."""
    top = NEVER
    for i in range(width):
        top = max(top, values[at + i] + matrix[i * width + j])
    if top == NEVER:
        return NEVER
    mass = 0.0
    for i in range(width):
        mass += math.exp(values[at + i] + matrix[i * width + j] - top)
    return top + math.log(mass)


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence: its place in alpha."""
    place = (t + 1) * width
    for j in range(width):
        m.alpha[place + j] = chain.start[j] + m.factor[t * width + j]
    return place


@helper
def resume(m, width):
    """The state before the block."""
    return 0


@helper
def advance(m, chain, state, t, scale, width):
    """The state after row t."""
    place = (t + 1) * width
    for j in range(width):
        ahead = product(m.alpha, state, chain.forth, j, width)
        m.alpha[place + j] = ahead + m.factor[t * width + j]
    return place


@helper
def mass_of(m, state, width):
    """Logarithm of the sum over the states."""
    return log_sum(m.alpha, state, width)


@helper
def join(m, row, width):
    """The probabilities of the states, of alpha and beta; the logarithm of their sum before the division."""
    for j in range(width):
        m.gamma[row + j] = m.alpha[row + j] + m.beta[j]
    s = log_sum(m.gamma, row, width)
    for j in range(row, row + width):
        m.gamma[j] = math.exp(m.gamma[j] - s) if s > NEVER else 0.0
    return s


@helper
def leave(m, t, width):
    """What no row after row t says, in beta; the probabilities of the states there."""
    for j in range(width):
        m.beta[j] = 0.0
    join(m, (t + 1) * width, width)
    return 0


@helper
def resume_back(m, width):
    """What the rows after the block say stands in beta."""
    return 0


@helper
def keep_back(m, beta, width):
    """What the rows from the block's first on say stands in beta."""


@helper
def close(m, beta, t, width):
    """The probabilities of the states at the block's last row, of which rows after it say something."""
    join(m, (t + 1) * width, width)


@helper
def retreat(m, chain, beta, t, scale, weight, width):
    """What the rows from t on say; the probabilities of the states before; adds the moves to row t."""
    place = t * width
    retreat_only(m, chain, beta, t, scale, width)
    s = join(m, place, width)
    if s > NEVER and weight > 0.0:
        for i in range(width):
            for j in range(width):
                move = m.alpha[place + i] + chain.forth[i * width + j] + m.factor[place + j]
                m.moves[i * width + j] += weight * math.exp(move - s)
    return 0


@helper
def retreat_only(m, chain, beta, t, scale, width):
    """What the rows from t on say."""
    place = t * width
    for j in range(width):
        m.factor[place + j] += m.beta[j]
    for j in range(width):
        m.beta[j] = product(m.factor, place, chain.back, j, width)
    return 0


@helper
def mass_back(m, beta, width):
    """Nothing needs a scale."""
    return 0.0


@helper
def no_move(m, t, width):
    """No transition leads to row t."""


@helper
def sum_moves(m, chain, rows, n_states, width, stats, start):
    """Add the expected transitions of a block."""
    for i in range(n_states):
        for j in range(n_states):
            stats[start + i * n_states + j] += m.moves[i * width + j]
