"""Log-densities to responsibilities for a tile: softmax over components, with the log-likelihood."""

from __future__ import annotations

from fusem.kernels.exp_log import exp, log
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    div,
    fma,
    lanes,
    larger,
    load,
    mul,
    splat,
    store,
    sub,
    total,
    zero_below,
    zeros,
)

RUN = 16  # masses multiplied before a log: K^16 stays finite for any K
NEGLIGIBLE = -46.0  # exp(-46) ≈ 1e-20 cannot change a double sum; exactly 0 keeps denormals away


@helper
def posterior(
    logp,  # IN  (K × stride) log weight + log density, float64; OUT exp(logp − its row's largest)
    w,  # IN  (tile) row weights, 0 in padded lanes
    resp,  # OUT (K × stride) row weight · responsibility
    n_components,
    tile,
    stride,
    weighted,  # IN  whether w has other values than 0 and 1
):
    """Responsibilities of a tile's rows; returns Σ w · log Σ_k exp(logp).

    Each row's mass is between 1 and K. Without weights a run of masses is multiplied and one log
    taken of the product.
    """
    loglik, product, one = zeros(logp), splat(1.0), splat(1.0)
    bound = splat(NEGLIGIBLE)
    v = lanes(logp)
    for r in range(0, tile, v):
        top = load(logp, r)
        for k in range(1, n_components):
            top = larger(load(logp, k * stride + r), top)
        mass = zeros(logp)
        for k in range(n_components):
            below = sub(load(logp, k * stride + r), top)
            share = zero_below(exp(below), below, bound)
            store(logp, k * stride + r, share)
            mass = add(mass, share)
        weight = load(w, r)
        loglik = fma(weight, top, loglik)
        if weighted:
            loglik = fma(weight, log(mass), loglik)
        else:
            product = mul(product, fma(weight, sub(mass, one), one))  # 1 in padded lanes
            if r % (RUN * v) == (RUN - 1) * v:
                loglik, product = add(loglik, log(product)), one
        scale = div(weight, mass)
        for k in range(n_components):
            store(resp, k * stride + r, mul(load(logp, k * stride + r), scale))
    return total(add(loglik, log(product)))


@helper
def log_evidence(logp, out, n_components, tile, stride):
    """log Σ_k exp(logp) of each of a tile's rows into `out` (tile)."""
    for r in range(0, tile, lanes(logp)):
        top = load(logp, r)
        for k in range(1, n_components):
            top = larger(load(logp, k * stride + r), top)
        mass = zeros(logp)
        for k in range(n_components):
            mass = add(mass, exp(sub(load(logp, k * stride + r), top)))
        store(out, r, add(top, log(mass)))
