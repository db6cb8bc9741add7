"""Log-densities to responsibilities for a tile: softmax over components, with the log-likelihood.

Four vectors of rows at a time: of one alone the exponentials wait for each other's steps (a quarter slower).
"""

from __future__ import annotations

import math

from fusem.kernels.exp_log import exp, log
from fusem.kernels.lane_sums import product_of_parts, sum_of_parts, total
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    convert,
    div,
    double,
    filled,
    fma,
    lanes,
    larger,
    load_as,
    load_wide,
    minus_distance,
    mul,
    store,
    sub,
    where_less,
    zero_below,
    zeros,
    zeros_wide,
)
from fusem.kernels.tile import LINE
from fusem.kernels.transpose import fetch

RUN = 4  # strips whose masses are multiplied before a log: K^32 stays finite for any K
LEAST_MASS = 1e-30  # of a row; it is 1 at least where any log-density is a number
NEGLIGIBLE = -46.0  # exp(-46) ≈ 1e-20 cannot change a double sum; exactly 0 keeps denormals away


@helper
def posterior(
    logp,  # IN  (K × stride) log weight + log density
    w,  # IN  (tile) row weights, float64, 0 in padded lanes
    resp,  # OUT (K × stride) row weight · responsibility
    n_components,
    tile,
    stride,
    ones,  # IN  how many rows from the first on have weight 1; of these w is not read
    ahead,  # IN  address of rows that are wanted next
    row_bytes,  # IN  their size, 0 where they are not fetched
):
    """Responsibilities of a tile's rows; returns Σ w · log Σ_k exp(logp).

    Arithmetic is that of logp's dtype, sums over lanes and logarithms are float64. Each row's mass is between
    1 and K. Where rows have weight 1 masses are multiplied and one log taken of the product. All is in the
    first cache: the time to fetch the next tile.
    """
    loglik, tops = zeros(w), zeros_wide(logp)
    one, nothing = filled(1.0, tops), filled(0.0, double(tops))
    product = one
    v = 4 * lanes(logp)
    for r in range(0, tile, v):
        for line in range(r * row_bytes, (r + v) * row_bytes, LINE):
            fetch(ahead + line)
        if n_components == 2:
            top, mass, share = two_shares(logp, r, stride)
        else:
            top, mass = shares(logp, resp, r, n_components, stride)
            share = mass
        if r + v <= ones:
            tops, product, scale = add(tops, top), mul(product, mass), div(one, mass)
            if r % (RUN * v) == (RUN - 1) * v:
                loglik, product = add(loglik, log(product_of_parts(product))), one
        else:  # what nothing explains, log-densities of −∞, does not matter where the weight is 0
            weight = load_as(w, r, nothing)
            mass = larger(mass, filled(LEAST_MASS, mass))
            likelihood = mul(weight, where_less(nothing, weight, double(top), nothing))
            likelihood = fma(weight, log(double(mass)), likelihood)
            loglik = add(loglik, sum_of_parts(likelihood))
            scale = div(convert(weight, mass), mass)
        if n_components == 2:
            store_two(logp, resp, r, stride, scale, mul(share, scale))
        else:
            for k in range(n_components):
                share = load_as(resp, k * stride + r, mass)
                store(resp, k * stride + r, mul(share, scale))
    return total(add(add(loglik, sum_of_parts(tops)), log(product_of_parts(product))))


@helper
def shares(logp, resp, r, n_components, stride):
    """exp(logp − top) of a strip of rows into resp; their largest logp, the sum of the shares."""
    top = load_wide(logp, r)
    for k in range(1, n_components):
        top = larger(load_wide(logp, k * stride + r), top)
    mass, bound = zeros_wide(logp), filled(NEGLIGIBLE, top)
    for k in range(n_components):
        below = sub(load_wide(logp, k * stride + r), top)
        share = zero_below(exp(below), below, bound)
        store(resp, k * stride + r, share)
        mass = add(mass, share)
    return top, mass


@helper
def two_shares(logp, r, stride):
    """`shares` of two components, of which one is 1: the larger logp, the sum, the other share."""
    a, b = load_wide(logp, r), load_wide(logp, stride + r)
    below = minus_distance(a, b)
    share = zero_below(exp(below), below, filled(NEGLIGIBLE, a))
    return larger(a, b), add(filled(1.0, a), share), share


@helper
def store_two(logp, resp, r, stride, likely, unlikely):
    """Give the component of two with the larger logp the one, the other the other."""
    a, b = load_wide(logp, r), load_wide(logp, stride + r)
    store(resp, r, where_less(a, b, unlikely, likely))
    store(resp, stride + r, where_less(a, b, likely, unlikely))


@helper
def log_evidence(logp, out, n_components, tile, stride):
    """log Σ_k exp(logp) of each of a tile's rows into `out` (tile), all float64."""
    for r in range(0, tile, 4 * lanes(logp)):
        top = load_wide(logp, r)
        for k in range(1, n_components):
            top = larger(load_wide(logp, k * stride + r), top)
        mass = zeros_wide(logp)
        for k in range(n_components):
            mass = add(mass, exp(sub(load_wide(logp, k * stride + r), top)))
        store(out, r, add(top, log(mass)))


@helper
def most_probable(logp, out, n_components, tile, stride):
    """The component with the largest log-density of each of a tile's rows into `out` (tile), all float64.

    −1 where none is a number: Python looks again.
    """
    for r in range(0, tile, 4 * lanes(logp)):
        top, label = load_wide(logp, r), zeros_wide(logp)
        for k in range(1, n_components):
            other = load_wide(logp, k * stride + r)
            label = where_less(top, other, filled(float(k), label), label)
            top = larger(other, top)
        none = filled(-1.0, label)
        store(out, r, where_less(filled(-math.inf, top), top, label, none))
