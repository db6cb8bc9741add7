"""A family as a user would write one: independent exponential columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper
from fusem.kernels.simd import lanes
from fusem.kernels.tile import place

NAME = "exponential"


class Params(NamedTuple):
    rates: np.ndarray  # (K, d)


class ExponentialOperands(NamedTuple):
    rates: Any  # (K · d)
    constant: Any  # (K) Σ_j log rate


def statistic_size(n_components, d):
    return n_components * (1 + d)


def tile_columns(n_components, d):
    return 0


def operands(params, dtype):
    return ExponentialOperands(params.rates.astype(dtype).ravel(), np.log(params.rates).sum(axis=1))


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    strip = 4 * lanes(x)
    for k in range(log_weights.size):
        for r in range(tile):
            value = log_weights[k] + operands.constant[k]
            for j in range(d):
                value -= operands.rates[k * d + j] * x[place(x, r, d) + j * strip]
            logp[k * stride + r] = value


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    strip = 4 * lanes(x)
    for k in range(n_components):
        for r in range(tile):
            share = resp[k * stride + r]
            stats[start + k] += share
            for j in range(d):
                stats[start + n_components + k * d + j] += share * x[place(x, r, d) + j * strip]


kernels = mixture_kernels(NAME, log_density, accumulate, sums_read_scratch=False)


def maximize(params, flat, reg):
    K, d = params.rates.shape
    counts, sums = flat[:K], flat[K : K + K * d].reshape(K, d)
    return Params(counts[:, None] / sums)


def estimate(blocks, reg, spare, single_rows):
    counts, sums = 0.0, 0.0
    for X, resp, _ in blocks:
        counts, sums = counts + resp.sum(axis=0), sums + resp.T @ X
    return Params(counts[:, None] / sums)


def sample(params, k, n, rng):
    return rng.exponential(1.0 / params.rates[k], size=(n, params.rates.shape[1]))


def n_parameters(n_components, d):
    return n_components * d
