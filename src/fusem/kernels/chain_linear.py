"""Probabilities of a tile's rows in each state, as the steps of a chain read them: time step by time step.

Each row is divided by its largest, whose logarithm is kept, so that nothing underflows that matters.
"""

from __future__ import annotations

import math

from fusem.kernels.policy import bind, helper
from fusem.kernels.posterior import shares
from fusem.kernels.simd import lanes, store
from fusem.kernels.states import exponent, power_of_two
from fusem.kernels.transpose import GROUP, transpose_group

CONFLICT = 1e-40  # of what a product could leave: less may be all that rounding to 0 lost
LEAST = 1e-250  # of a sum at all: less has no digits to divide by
# Less than e^-150 of the largest is 0: of four rows in a row the product of the least is no denormal.
shares_of = bind(shares.py_func, NEGLIGIBLE=-150.0)


@helper
def factors(
    m,  # INOUT
    first,  # IN  row of the block that the tile begins with
    rows,  # IN  rows of the tile
    n_states,
    stride,
    width,
):
    """Write the factors of a tile's rows."""
    logp, bytes_ = m.tile.logp, m.shares.itemsize
    for r in range(0, rows, 4 * lanes(logp)):  # past them there is room
        top, _ = shares_of(logp, m.shares, r, n_states, stride)
        store(m.top, first + r, top)
    for r in range(0, rows, GROUP):
        for k in range(0, width, GROUP):
            transpose_group(
                m.shares_at + (k * stride + r) * bytes_, stride * bytes_, m.shares,
                m.factor, (first + r) * width + k, width,
            )  # fmt: skip


@helper
def watch(m, s, most):
    """Note where hardly anything is left of a sum: what was rounded to 0 before may have been more."""
    if not (s > CONFLICT * most and s > LEAST):
        m.alarm[0] = 1.0


@helper
def scale_of(mass):
    """The power of two that takes a mass to about 1, and the exponent it takes away."""
    e = max(exponent(mass), -1022)
    return power_of_two(-e), e


@helper
def in_logarithms(mass, exponents):
    """Logarithm of mass · 2^exponents."""
    return math.log(mass) + exponents * math.log(2.0)
