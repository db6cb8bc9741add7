"""Components that distribute the total of a row over its columns: each has a probability per column.

Density      log p(x) = log n! − Σ_j log x_j! + Σ_j x_j log p_j, n = Σ_j x_j given. A probability may be 0.
             What rounding made of Σ_j p_j is divided out.
Statistics   N = Σ r, S = Σ r x.
Update       p ← S / Σ_j S_j. A row without any value says nothing; one with some has no known total.
Per row and component: about 4 d operations; per row d logarithms, looked up; 8 d bytes of the row.
Source: Nigam, McCallum, Thrun, Mitchell 2000, Machine Learning 39, with counts for words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families.gaussian import Array, Blocks, parts
from fusem.kernels.counts import (
    FLOOR,
    IMPOSSIBLE,
    beyond_one,
    common_of_total,
    known_common_of_total,
    known_linear_forms,
    known_linear_sums,
    log_factorials,
    log_ratio,
    rule_out,
)
from fusem.kernels.linear import linear_forms, linear_sums
from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper

NAME = "multinomial"
CENTRED = False
MATRICES = False
FACTORIALS = log_factorials()
LEAST = 1e-300  # in place of a mean probability of 0: has a logarithm, and adds nothing


class Params(NamedTuple):
    """Multinomial components."""

    probabilities: Array  # (K, d), each row sums to 1


class MultinomialOperands(NamedTuple):
    """What the kernels read: flat arrays; those of components in the dtype of the rows."""

    slope: NDArray[Any]  # (K · d) log p − log c, c the mean of the probabilities of all components
    constant: Array  # (K) zeros
    centre_slope: Array  # (d) log c
    centre: Array  # (d) c
    excess: float  # Σ_j c_j − 1, rounding
    factorials: Array  # log x!
    origin: Array  # (K · d) zeros: sums are those of the counts themselves
    floor: float  # log-densities below are −∞; −∞ where no probability is 0


class Stats(NamedTuple):
    """Views into a flat statistic, after its header."""

    counts: Array  # (K) N
    sums: Array  # (K, d) S


def statistic_size(n_components: int, d: int) -> int:
    return n_components * (1 + d)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: what components have in common."""
    return 1


def stats_of(flat: Array, n_components: int, d: int) -> Stats:
    counts, sums, _ = parts(flat, n_components, n_components * d)
    return Stats(counts, sums.reshape(n_components, d))


def operands(params: Params, dtype: DTypeLike) -> MultinomialOperands:
    name, chances = np.dtype(dtype).name, params.probabilities
    never, centre = chances <= 0.0, chances.mean(axis=0)
    excess = float(beyond_one(centre))
    centre[centre <= 0.0] = LEAST
    # of a large total what rounding made of the sum of probabilities would count
    slope = log_ratio(chances, centre) - np.log1p(beyond_one(chances))[:, None]
    return MultinomialOperands(
        slope=np.where(never, IMPOSSIBLE[name], slope).astype(dtype).ravel(),
        constant=np.zeros(len(chances)),
        centre_slope=np.log(centre),
        centre=centre,
        excess=excess,
        factorials=FACTORIALS,
        origin=np.zeros(chances.size),
        floor=FLOOR[name] if never.any() else -np.inf,
    )


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    common_of_total(
        x, operands.centre_slope, operands.centre, operands.excess, operands.factorials, scratch, d, tile
    )  # fmt: skip
    linear_forms(
        x, scratch, 0, operands.slope, log_weights, operands.constant, logp, d, tile, stride
    )
    if operands.floor > -np.inf:
        rule_out(logp, operands.floor, log_weights.size, tile, stride)


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    sums = start + n_components
    linear_sums(x, resp, None, operands.origin, stats, start, sums, d, n_components, tile, stride)


@helper
def log_density_missing(x, operands, log_weights, logp, scratch, d, tile, stride):
    known_common_of_total(
        x, operands.centre_slope, operands.centre, operands.excess, operands.factorials, scratch, d, tile
    )  # fmt: skip
    known_linear_forms(
        x, scratch, 0, operands.slope, log_weights, operands.constant, logp, d, tile, stride
    )
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
    """The M-step; components without any count keep their parameters. There is nothing to regularise."""
    sums = stats_of(flat, *params.probabilities.shape).sums
    totals = sums.sum(axis=1, keepdims=True)
    seen = totals > 0.0
    return Params(np.where(seen, sums / np.where(seen, totals, 1.0), params.probabilities))


def estimate(
    blocks: Blocks, reg: Array | None, spare: NDArray[np.bool_], single_rows: bool
) -> Params:
    """Parameters from given responsibilities: the start.

    Each component gets one row more, the mean of all: a probability that starts at 0 stays there.
    """
    sums, total, weight = np.zeros((1, 1)), np.zeros(1), 0.0
    for X, resp, w in blocks:
        sums, total, weight = sums + resp.T @ X, total + w @ X, weight + w.sum()
    sums = sums + (total / weight if total.sum() > 0.0 else np.ones(total.size))
    return Params(sums / sums.sum(axis=1, keepdims=True))


def features(X: Array) -> Array:
    """Rows as a start compares them: their shares, as square roots, which are spread alike."""
    return np.sqrt(X / np.maximum(X.sum(axis=1, keepdims=True), 1.0))


def moments(params: Params, n_trials: int = 1) -> tuple[Array, Array]:
    """Means (K, d) and covariances (K, d, d) of rows of so many counts."""
    chances = params.probabilities
    outer = chances[:, :, None] * chances[:, None, :]
    return n_trials * chances, n_trials * (chances[:, :, None] * np.eye(chances.shape[1]) - outer)


def sample(params: Params, k: int, n: int, rng: np.random.RandomState, n_trials: int = 1) -> Array:
    """Draw n rows of component k, each of so many counts."""
    chances = params.probabilities[k] / params.probabilities[k].sum()
    return np.asarray(rng.multinomial(n_trials, chances, size=n), dtype=np.float64)


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return 2


def n_parameters(n_components: int, d: int) -> int:
    """Free parameters of the components."""
    return n_components * (d - 1)
