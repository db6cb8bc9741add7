"""States that are mixtures themselves: log-densities of a state's parts to its own, its shares to theirs.

Parts stand state by state, M of each, `stride` elements apart.
"""

from __future__ import annotations

import math

from fusem.kernels.exp_log import exp, log
from fusem.kernels.policy import helper
from fusem.kernels.posterior import NEGLIGIBLE
from fusem.kernels.simd import (
    add,
    div,
    double,
    filled,
    lanes,
    larger,
    load,
    load_as,
    load_wide,
    mul,
    store,
    sub,
    where_less,
    zero_below,
    zeros_wide,
)

IMPOSSIBLE = -1e30  # a log-density below is −inf
LEAST = 1e-20  # a share that cannot change a double sum; exactly 0 keeps denormals away


@helper
def sum_parts(
    parts,  # IN  (K · M × stride) log weight + log density of every part
    shares,  # OUT (K · M × stride) share of every part in its state
    logp,  # OUT (K × stride) log-density of the states, float64
    log_weights,  # IN  (K)
    n_parts,
    tile,
    stride,
):
    """Densities of the states, and what their parts contribute."""
    for k in range(log_weights.size):
        begin = k * n_parts * stride
        for r in range(begin, begin + tile, 4 * lanes(parts)):
            top = load_wide(parts, r)
            for m in range(1, n_parts):
                top = larger(load_wide(parts, r + m * stride), top)
            floor = filled(IMPOSSIBLE, top)
            top = larger(top, floor)
            mass, bound = zeros_wide(parts), filled(NEGLIGIBLE, top)
            for m in range(n_parts):
                below = sub(load_wide(parts, r + m * stride), top)
                share = zero_below(exp(below), below, bound)
                store(shares, r + m * stride, share)
                mass = add(mass, share)
            one = filled(1.0, mass)
            scale = div(one, larger(mass, filled(LEAST, mass)))
            for m in range(n_parts):
                place = r + m * stride
                store(shares, place, mul(load_wide(shares, place), scale))
            own = add(double(top), log(double(larger(mass, filled(LEAST, mass)))))
            never = filled(-math.inf, own)
            own = add(own, filled(log_weights[k], own))
            some = where_less(filled(0.0, own), double(mass), own, never)
            store(logp, k * stride + r - begin, some)


@helper
def split_shares(
    resp,  # IN  (K × stride) shares of the states, times the rows' weights
    shares,  # INOUT (K · M × stride) of the parts in their states, then in the row, times its weight
    w,  # IN  (tile) weights of the rows
    n_states,
    n_parts,
    tile,
    stride,
):
    """Shares of the parts: those of their states, divided."""
    for k in range(n_states):
        for m in range(n_parts):
            begin = (k * n_parts + m) * stride
            for r in range(0, tile, lanes(shares)):
                own = load(shares, begin + r)
                own = mul(own, load_as(resp, k * stride + r, own))
                least = mul(filled(LEAST, own), load_as(w, r, own))  # however small all weights are
                store(shares, begin + r, zero_below(own, own, least))
