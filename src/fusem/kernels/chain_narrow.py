"""Steps of a chain of at most eight states: all of them in one vector, which stays in a register.

A step costs the latency of one product and a few additions: nothing else waits for the state before.
"""

from __future__ import annotations

from fusem.kernels.chain_linear import watch
from fusem.kernels.lane_sums import total
from fusem.kernels.policy import helper
from fusem.kernels.simd import filled, load_as, mul, scaled, store
from fusem.kernels.states import moved, states_8

nothing = states_8  # bound to `states_4` where all states fit


@helper
def enter(m, chain, t, width):
    """The state after the first row of a sequence."""
    state = mul(load_as(chain.start, 0, nothing()), load_as(m.factor, t * width, nothing()))
    store(m.alpha, (t + 1) * width, state)
    return state


@helper
def resume(m, width):
    """The state before the block, from the first row of alpha."""
    return load_as(m.alpha, 0, nothing())


@helper
def advance(m, chain, state, t, scale, width):
    """The state after row t."""
    factor = scaled(scale, load_as(m.factor, t * width, nothing()))
    state = mul(moved(state, chain.forth), factor)
    store(m.alpha, (t + 1) * width, state)
    return state


@helper
def mass_of(m, state, width):
    """Sum over the states."""
    return total(state)


@helper
def leave(m, t, width):
    """What no row after row t says; the probabilities of the states there."""
    a = load_as(m.alpha, (t + 1) * width, nothing())
    s = total(a)
    watch(m, s, 1.0)
    store(m.gamma, (t + 1) * width, scaled(1.0 / s, a))
    return filled(1.0, nothing())


@helper
def resume_back(m, width):
    """What the rows after the block say, from the first row of beta."""
    return load_as(m.beta, 0, nothing())


@helper
def keep_back(m, beta, width):
    """Write down what the rows from the block's first on say."""
    store(m.beta, 0, beta)


@helper
def close(m, beta, t, width):
    """The probabilities of the states at the block's last row, of which rows after it say something."""
    a = load_as(m.alpha, (t + 1) * width, nothing())
    both = mul(a, beta)
    s = total(both)
    watch(m, s, total(a) * total(beta))
    store(m.gamma, (t + 1) * width, scaled(1.0 / s, both))


@helper
def retreat(m, chain, beta, t, scale, weight, width):
    """What the rows from t on say; the probabilities of the states before, the moves to row t."""
    after = scaled(scale, mul(load_as(m.factor, t * width, nothing()), beta))
    beta = moved(after, chain.back)
    a = load_as(m.alpha, t * width, nothing())
    both = mul(a, beta)
    s = total(both)
    watch(m, s, total(a) * total(beta))
    store(m.gamma, t * width, scaled(1.0 / s, both))
    store(m.factor, t * width, scaled(weight / s, after))
    return beta


@helper
def retreat_only(m, chain, beta, t, scale, width):
    """What the rows from t on say."""
    return moved(scaled(scale, mul(load_as(m.factor, t * width, nothing()), beta)), chain.back)


@helper
def mass_back(m, beta, width):
    """Sum over the states."""
    return total(beta)


@helper
def no_move(m, t, width):
    """No transition leads to row t."""
    store(m.factor, t * width, nothing())
