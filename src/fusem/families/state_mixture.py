"""Components that are mixtures themselves: K states, each of M parts of a Gaussian family.

Density      p(x) = Σ_m w_m N_m(x), m = 1 … M the parts of the state.
Statistics   those of the Gaussian family for K M components; its N are the counts of the weights.
Update       w_m ← N_m / Σ_m N_m of the state; the Gaussian family's M-step for the parts.
Per row and component: M times the Gaussian family's, and M exponentials.
Source: Rabiner 1989, section IV.B (equations 49 to 54); Juang 1985.

`of(base, n_parts)` is the family of M parts of `base` each. They share compiled code for any M.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fusem.families.gaussian import Array
from fusem.kernels.mixture import MixtureKernels, mixture_kernels
from fusem.kernels.policy import bind, once
from fusem.kernels.state_parts import split_shares, sum_parts

PREFIX = "state_mixture"  # of names; made of other families, it is none of the registry


class Params(NamedTuple):
    """Mixtures of Gaussians."""

    weights: Array  # (K, M) rows sum to 1
    parts: Any  # the Gaussian family's, K · M components, state by state


class StateMixtureOperands(NamedTuple):
    """What the kernels read: the Gaussian family's, and what states are made of."""

    parts: Any
    log_parts: Array  # (K · M) logarithms of the weights
    n_parts: int  # M
    columns: (
        int  # of scratch that the Gaussian family takes; densities and shares of the parts follow
    )


def base_log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """The Gaussian family's tile kernel."""


def base_accumulate(
    x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride
):
    """The Gaussian family's tile kernel."""


def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    """Densities of the parts, summed over those of each state."""
    parts = scratch[operands.columns * stride :]
    shares = parts[operands.log_parts.size * stride :]
    base_log_density(x, operands.parts, operands.log_parts, parts, scratch, d, tile, stride)
    sum_parts(parts, shares, logp, log_weights, operands.n_parts, tile, stride)


def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    """Sums of the parts, a state's share of a row split among them."""
    each = operands.log_parts.size
    parts = scratch[operands.columns * stride :]
    shares = parts[each * stride :]
    split_shares(resp, shares, w, n_components, operands.n_parts, tile, stride)
    base_accumulate(
        x, w, shares, parts, operands.parts, scratch, stats, start, d, each, tile, stride
    )


def base_log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    """The Gaussian family's tile kernel, of rows sorted by pattern."""


def base_accumulate_missing(
    x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride
):
    """The Gaussian family's tile kernel, of rows sorted by pattern."""


def log_density_missing(x, m, operands, log_weights, logp, d, tile, stride):
    """`log_density` of rows sorted by pattern."""
    parts = m.space.scratch[operands.columns * stride :]
    shares = parts[operands.log_parts.size * stride :]
    base_log_density_missing(x, m, operands.parts, operands.log_parts, parts, d, tile, stride)
    sum_parts(parts, shares, logp, log_weights, operands.n_parts, tile, stride)


def accumulate_missing(x, m, w, resp, logp, operands, stats, start, d, n_components, tile, stride):
    """`accumulate` of rows sorted by pattern."""
    each = operands.log_parts.size
    parts = m.space.scratch[operands.columns * stride :]
    shares = parts[each * stride :]
    split_shares(resp, shares, w, n_components, operands.n_parts, tile, stride)
    base_accumulate_missing(
        x, m, w, shares, parts, operands.parts, stats, start, d, each, tile, stride
    )


@cache
def kernels_of(base: ModuleType) -> MixtureKernels:
    """Kernels of states with parts of a Gaussian family."""
    tile, masked = base.kernels.tile, base.kernels.masked
    other, more = tile.log_density_missing, tile.accumulate_missing
    if masked:
        other = bind(log_density, base_log_density=other)
        more = bind(accumulate, base_accumulate=more)
    else:
        other = bind(log_density_missing, base_log_density_missing=other)
        more = bind(accumulate_missing, base_accumulate_missing=more)
    return mixture_kernels(
        f"{PREFIX}_{base.NAME}",
        bind(log_density, base_log_density=tile.log_density),
        bind(accumulate, base_accumulate=once(tile.accumulate)),
        other,
        more,
        masked=masked,
    )


class StateMixture:
    """The family of states with M parts of a Gaussian family each; made by `of`.

    Parameters
    ----------
    base : module
        One of the Gaussian families whose components have covariances of their own.
    n_parts : int
        M.
    """

    def __init__(self, base: ModuleType, n_parts: int) -> None:
        self.base, self.n_parts = base, n_parts
        self.kernels = kernels_of(base)
        self.NAME = f"{PREFIX}_{base.NAME}"

    def statistic_size(self, n_components: int, d: int) -> int:
        """Length of the family's part of a statistic."""
        return int(self.base.statistic_size(n_components * self.n_parts, d))

    def tile_columns(self, n_components: int, d: int) -> int:
        """Columns of scratch per tile: the Gaussian family's, densities and shares of the parts."""
        each = n_components * self.n_parts
        return int(self.base.tile_columns(each, d)) + 2 * each

    def missing_needs(self, n_components: int, d: int) -> tuple[int, int]:
        """Covariances there are; columns of scratch per tile of rows with missing values."""
        needs: tuple[int, int] = self.base.missing_needs(n_components * self.n_parts, d)
        return needs

    def operands(self, params: Params, dtype: DTypeLike) -> StateMixtureOperands:
        """What the kernels read."""
        each, d = params.parts.means.shape
        with np.errstate(divide="ignore"):
            log_parts = np.log(params.weights).ravel()
        columns = int(self.base.tile_columns(each, d))
        parts = self.base.operands(params.parts, dtype)
        return StateMixtureOperands(parts, log_parts, self.n_parts, columns)

    def moments(self, params: Params) -> tuple[Array, Array]:
        """Means (K, d) and covariances (K, d, d)."""
        K, M = params.weights.shape
        means, covariances = self.base.moments(params.parts)
        d = means.shape[1]
        means, covariances = means.reshape(K, M, d), covariances.reshape(K, M, d, d)
        mean = np.einsum("km,kmi->ki", params.weights, means)
        off = means - mean[:, None]
        spread = covariances + off[..., :, None] * off[..., None, :]
        return mean, np.einsum("km,kmij->kij", params.weights, spread)

    def sample(self, params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
        """Draw n rows of state k."""
        counts = rng.multinomial(n, params.weights[k])
        first = k * self.n_parts
        rows = np.concatenate(
            [
                self.base.sample(params.parts, first + m, int(count), rng)
                for m, count in enumerate(counts)
            ]
        )
        return np.asarray(rng.permutation(rows))


def of(base: ModuleType, n_parts: int) -> StateMixture:
    """The family of states with so many parts of a Gaussian family each."""
    return StateMixture(base, n_parts)
