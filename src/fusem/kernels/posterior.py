"""Log-densities to responsibilities for a tile: softmax over components, with the log-likelihood.

Four vectors of rows at a time: of one alone the exponentials wait for each other's steps (a quarter slower).
"""

from __future__ import annotations

import math

from fusem.kernels.exp_log import exp, log
from fusem.kernels.lane_sums import total
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
    zeros_wide,
)
from fusem.kernels.tile import LINE
from fusem.kernels.transpose import fetch

RUN = 16  # masses multiplied before a log: K^16 stays finite for any K
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
    weighted,  # IN  whether w has other values than 0 and 1
    ahead,  # IN  address of rows that are wanted next
    row_bytes,  # IN  their size, 0 where they are not fetched
):
    """Responsibilities of a tile's rows; returns Σ w · log Σ_k exp(logp).

    Arithmetic is that of logp's dtype, the log-likelihood's float64. Each row's mass is between 1 and K.
    Without weights a run of masses is multiplied and one log taken of the product. All is in the first cache:
    the time to fetch the next tile.
    """
    loglik = double(zeros_wide(logp))
    one = filled(1.0, loglik)
    nothing = filled(0.0, loglik)
    product = one
    v = 4 * lanes(logp)
    for r in range(0, tile, v):
        for line in range(r * row_bytes, (r + v) * row_bytes, LINE):
            fetch(ahead + line)
        if n_components == 2:
            top, mass = two_shares(logp, resp, r, stride)
        else:
            top, mass = shares(logp, resp, r, n_components, stride)
        weight = load_as(w, r, loglik)
        if (
            weighted
        ):  # what nothing explains, log-densities of −∞, does not matter where the weight is 0
            likelihood = where_less(nothing, weight, double(top), nothing)
            mass = larger(mass, filled(LEAST_MASS, mass))
        else:
            likelihood = double(top)
        loglik = fma(weight, likelihood, loglik)
        if weighted:
            loglik = fma(weight, log(double(mass)), loglik)
        else:
            product = mul(product, fma(weight, sub(double(mass), one), one))  # 1 in padded lanes
            if r % (RUN * v) == (RUN - 1) * v:
                loglik, product = add(loglik, log(product)), one
        scale = div(convert(weight, mass), mass)
        for k in range(n_components):
            share = load_as(resp, k * stride + r, mass)
            store(resp, k * stride + r, mul(share, scale))
    return total(add(loglik, log(product)))


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
def two_shares(logp, resp, r, stride):
    """`shares` of two components: one of them is 1."""
    a, b = load_wide(logp, r), load_wide(logp, stride + r)
    below, one = minus_distance(a, b), filled(1.0, a)
    share = zero_below(exp(below), below, filled(NEGLIGIBLE, a))
    store(resp, r, where_less(a, b, share, one))
    store(resp, stride + r, where_less(a, b, one, share))
    return larger(a, b), add(one, share)


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
