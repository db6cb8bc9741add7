"""Components with independent Poisson columns: each has a rate per column.

Density      log p(x) = Σ_j x_j log λ_j − λ_j − log x_j!. A rate may be 0: then only x_j = 0 is possible.
Statistics   N = Σ r, S = Σ r x, O = Σ r over the rows that have a value in the column.
Update       λ ← S / O.
Per row and component: about 4 d operations; per row d logarithms, looked up; 8 d bytes of the row.
Source: McLachlan, Peel 2000, section 5.2; a missing value is left out (Little, Rubin 2002, section 6.2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families.gaussian import Array, Blocks, parts
from fusem.kernels.axes import weight_total
from fusem.kernels.counts import (
    FLOOR,
    IMPOSSIBLE,
    add_seen,
    common,
    known_common,
    known_linear_forms,
    known_linear_sums,
    log_factorials,
    log_ratio,
    rule_out,
)
from fusem.kernels.linear import linear_forms, linear_sums
from fusem.kernels.masked import add_gains
from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper

NAME = "poisson"
CENTRED = False
MATRICES = False
FACTORIALS = log_factorials()


class Params(NamedTuple):
    """Poisson components."""

    rates: Array  # (K, d) means of the counts, ≥ 0


class PoissonOperands(NamedTuple):
    """What the kernels read: flat arrays; those of components in the dtype of the rows."""

    slope: NDArray[Any]  # (K · d) log λ − log c, c the mean of the rates of all components
    constant: Array  # (K) Σ_j c_j − λ_j
    gain: NDArray[Any]  # (K · d) λ − c, which a missing value takes back
    centre_slope: Array  # (d) log c
    centre: Array  # (d) c
    factorials: Array  # log x!
    origin: Array  # (K · d) zeros: sums are those of the counts themselves
    floor: float  # log-densities below are −∞; −∞ where no rate is 0


class Stats(NamedTuple):
    """Views into a flat statistic, after its header."""

    counts: Array  # (K) N
    sums: Array  # (K, d) S
    observed: Array  # (K, d) O


def statistic_size(n_components: int, d: int) -> int:
    return n_components * (1 + 2 * d)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: what components have in common."""
    return 1


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    each = n_components * d
    counts, sums, observed, _ = parts(flat, n_components, each, each)
    return Stats(counts, sums.reshape(n_components, d), observed.reshape(n_components, d))


def operands(params: Params, dtype: DTypeLike) -> PoissonOperands:
    name, rates = np.dtype(dtype).name, params.rates
    never, centre = rates <= 0.0, rates.mean(axis=0)
    centre[centre <= 0.0] = 1.0
    return PoissonOperands(
        slope=np.where(never, IMPOSSIBLE[name], log_ratio(rates, centre)).astype(dtype).ravel(),
        constant=(centre - rates).sum(axis=1),
        gain=(rates - centre).astype(dtype).ravel(),
        centre_slope=np.log(centre),
        centre=centre,
        factorials=FACTORIALS,
        origin=np.zeros(rates.size),
        floor=FLOOR[name] if never.any() else -np.inf,
    )


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    common(x, operands.centre_slope, operands.centre, operands.factorials, scratch, d, tile)
    linear_forms(
        x, scratch, 0, operands.slope, log_weights, operands.constant, logp, d, tile, stride
    )
    if operands.floor > -np.inf:
        rule_out(logp, operands.floor, log_weights.size, tile, stride)


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    sums = start + n_components
    linear_sums(
        x, resp, None, operands.origin, stats, start, sums, d, n_components, tile, stride
    )  # fmt: skip
    seen = sums + n_components * d
    for k in range(n_components):
        n = weight_total(resp, k * stride, tile)
        for i in range(seen + k * d, seen + (k + 1) * d):
            stats[i] += n


@helper
def log_density_missing(x, operands, log_weights, logp, scratch, d, tile, stride):
    known_common(x, operands.centre_slope, operands.centre, operands.factorials, scratch, d, tile)
    known_linear_forms(
        x, scratch, 0, operands.slope, log_weights, operands.constant, logp, d, tile, stride
    )
    add_gains(x, operands.gain, logp, log_weights.size, d, tile, stride)
    if operands.floor > -np.inf:
        rule_out(logp, operands.floor, log_weights.size, tile, stride)


@helper
def accumulate_missing(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    sums = start + n_components
    known_linear_sums(
        x, resp, None, operands.origin, stats, start, sums, d, n_components, tile, stride
    )
    add_seen(x, resp, stats, sums + n_components * d, n_components, d, tile, stride)


kernels = mixture_kernels(
    NAME,
    log_density,
    accumulate,
    log_density_missing,
    accumulate_missing,
    masked=True,
    sums_read_scratch=False,
)


def maximize(params: Params, flat: Array, reg: Array | None = None) -> Params:
    """The M-step; rates of which no row says anything stay as they are. There is nothing to regularise."""
    stats = stats_of(flat, *params.rates.shape)
    seen = stats.observed > 0.0
    return Params(np.where(seen, stats.sums / np.where(seen, stats.observed, 1.0), params.rates))


def estimate(
    blocks: Blocks, reg: Array | None, spare: NDArray[np.bool_], single_rows: bool
) -> Params:
    """Parameters from given responsibilities: the start.

    Each component gets one row more, the mean of all: a rate that starts at 0 stays there.
    """
    sums, seen, total, weight = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1)
    for X, resp, w in blocks:
        known, counts = np.where(np.isnan(X), 0.0, 1.0), np.nan_to_num(X)
        sums, seen = sums + resp.T @ counts, seen + resp.T @ known
        total, weight = total + w @ counts, weight + w @ known
    return Params((sums + total / weight) / (seen + 1.0))


def features(X: Array) -> Array:
    """Rows as a start compares them: square roots of counts spread alike whatever the rate."""
    return np.sqrt(X)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d)."""
    return params.rates, params.rates[:, :, None] * np.eye(params.rates.shape[1])


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    shape = n, params.rates.shape[1]
    return np.asarray(rng.poisson(params.rates[k], size=shape), dtype=np.float64)


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return 2


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return n_components * d
