"""Steps of a chain of more than eight states, eight by eight; the state before is read from memory."""

from __future__ import annotations

from fusem.kernels.chain_linear import watch
from fusem.kernels.elements import element
from fusem.kernels.lane_sums import total
from fusem.kernels.policy import helper
from fusem.kernels.simd import add, filled, fma, load_as, mul, scaled, store
from fusem.kernels.states import states_8

V = 8


@helper
def product(values, at, matrix, out, to, width):
    """values · matrix into `out`: two vectors of columns at a time, even and odd rows apart."""
    j = 0
    while j + 2 * V <= width:
        a = b = c = e = states_8()
        for i in range(0, width, 2):
            s = filled(element(values, at + i), states_8())
            row = i * width + j
            a = fma(s, load_as(matrix, row, s), a)
            b = fma(s, load_as(matrix, row + V, s), b)
            s = filled(element(values, at + i + 1), states_8())
            c = fma(s, load_as(matrix, row + width, s), c)
            e = fma(s, load_as(matrix, row + width + V, s), e)
        store(out, to + j, add(a, c))
        store(out, to + j + V, add(b, e))
        j += 2 * V
    if j < width:
        a = c = states_8()
        for i in range(0, width, 2):
            s = filled(element(values, at + i), states_8())
            a = fma(s, load_as(matrix, i * width + j, s), a)
            s = filled(element(values, at + i + 1), states_8())
            c = fma(s, load_as(matrix, (i + 1) * width + j, s), c)
        store(out, to + j, add(a, c))


@helper
def sum_of(values, at, width):
    """Sum of a row."""
    t = states_8()
    for j in range(at, at + width, V):
        t = add(t, load_as(values, j, t))
    return total(t)


@helper
def times(values, at, other, from_, scale, width):
    """Multiply a row in place with another and with a number."""
    for j in range(0, width, V):
        own = load_as(values, at + j, states_8())
        store(values, at + j, mul(own, scaled(scale, load_as(other, from_ + j, own))))


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence: its place in alpha."""
    place = (t + 1) * width
    for j in range(0, width, V):
        store(m.alpha, place + j, load_as(chain.start, j, states_8()))
    times(m.alpha, place, m.factor, t * width, 1.0, width)
    return place


@helper
def resume(m, width):
    """The state before the block."""
    return 0


@helper
def advance(m, chain, state, t, scale, width):
    """The state after row t."""
    place = (t + 1) * width
    product(m.alpha, state, chain.forth, m.alpha, place, width)
    times(m.alpha, place, m.factor, t * width, scale, width)
    return place


@helper
def mass_of(m, state, width):
    """Sum over the states."""
    return sum_of(m.alpha, state, width)


@helper
def leave(m, t, width):
    """What no row after row t says, in beta; the probabilities of the states there."""
    a, one = (t + 1) * width, filled(1.0, states_8())
    s = sum_of(m.alpha, a, width)
    watch(m, s, 1.0)
    share = 1.0 / s
    for j in range(0, width, V):
        store(m.gamma, a + j, scaled(share, load_as(m.alpha, a + j, one)))
        store(m.beta, j, one)
    return 0


@helper
def resume_back(m, width):
    """What the rows after the block say stands in beta."""
    return 0


@helper
def keep_back(m, beta, width):
    """What the rows from the block's first on say stands in beta."""


@helper
def join(m, row, width):
    """The probabilities of the states: of alpha and beta; returns their sum before the division."""
    t = mass = ahead = states_8()
    for j in range(0, width, V):
        a, b = load_as(m.alpha, row + j, t), load_as(m.beta, j, t)
        both = mul(a, b)
        store(m.gamma, row + j, both)
        t, mass, ahead = add(t, both), add(mass, a), add(ahead, b)
    s = total(t)
    watch(m, s, total(mass) * total(ahead))
    for j in range(row, row + width, V):
        store(m.gamma, j, scaled(1.0 / s, load_as(m.gamma, j, t)))
    return s


@helper
def close(m, beta, t, width):
    """The probabilities of the states at the block's last row, of which rows after it say something."""
    join(m, (t + 1) * width, width)


@helper
def retreat(m, chain, beta, t, scale, weight, width):
    """What the rows from t on say; the probabilities of the states before, the moves to row t."""
    place = t * width
    times(m.factor, place, m.beta, 0, scale, width)
    product(m.factor, place, chain.back, m.beta, 0, width)
    s = join(m, place, width)
    for j in range(place, place + width, V):
        store(m.factor, j, scaled(weight / s, load_as(m.factor, j, states_8())))
    return 0


@helper
def retreat_only(m, chain, beta, t, scale, width):
    """What the rows from t on say."""
    times(m.factor, t * width, m.beta, 0, scale, width)
    product(m.factor, t * width, chain.back, m.beta, 0, width)
    return 0


@helper
def mass_back(m, beta, width):
    """Sum over the states."""
    return sum_of(m.beta, 0, width)


@helper
def no_move(m, t, width):
    """No transition leads to row t."""
    for j in range(t * width, (t + 1) * width, V):
        store(m.factor, j, states_8())
