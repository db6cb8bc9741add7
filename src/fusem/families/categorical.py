"""Components with independent columns of category codes: each has a probability per code and column.

Density      log p(x) = Σ_j log p_j[x_j], codes 0 … M_j − 1. A probability may be 0.
Statistics   N = Σ r, C_jm = Σ r of the rows with code m in column j.
Update       p_jm ← C_jm / Σ_m C_jm.
Per row and component: d logarithms looked up, up to d M additions; 8 d bytes of the row.
Source: Lazarsfeld, Henry 1968 (latent classes); Goodman 1974, Biometrika 61. A missing value is left out.

How many codes there are, a row does not tell: `of(n_categories)` is the family for that many. They share all
compiled code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.families.gaussian import Array, Blocks, parts
from fusem.kernels.axes import weight_totals
from fusem.kernels.codes import code_densities, count_codes
from fusem.kernels.gather import MOST_PICKED
from fusem.kernels.mixture import mixture_kernels
from fusem.kernels.policy import helper

NAME = "categorical"
CENTRED = False
MATRICES = False
MOST_FEATURES = 512


class Params(NamedTuple):
    """Categorical components."""

    probabilities: Array  # (K, d, M), 0 beyond the codes of a column; sums over M are 1


class CategoricalOperands(NamedTuple):
    """What the kernels read: flat arrays, the table in the dtype of the rows."""

    # (K · d · (M + 1)) log p, then 0 for a missing value; after all of them what is read beside
    table: NDArray[Any]
    constant: Array  # (K) zeros
    n_codes: int  # M


class Stats(NamedTuple):
    """Views into a flat statistic, after its header."""

    counts: Array  # (K) N
    codes: Array  # (K, d, M) C


def statistic_size(n_components: int, d: int, n_codes: int) -> int:
    return n_components * (1 + d * n_codes)


def tile_columns(n_components: int, d: int) -> int:
    """Columns of scratch per tile: none."""
    return 0


def stats_of(flat: Array, n_components: int, d: int, n_codes: int) -> Stats:
    counts, codes, _ = parts(flat, n_components, n_components * d * n_codes)
    return Stats(counts, codes.reshape(n_components, d, n_codes))


def operands(params: Params, dtype: DTypeLike) -> CategoricalOperands:
    K, d, n_codes = params.probabilities.shape
    table = np.zeros((K, d, n_codes + 1))
    with np.errstate(divide="ignore"):
        table[:, :, :-1] = np.log(params.probabilities)
    flat = np.append(table, np.zeros(MOST_PICKED)).astype(dtype)
    return CategoricalOperands(flat, np.zeros(K), n_codes)


@helper
def log_density(x, operands, log_weights, logp, scratch, d, tile, stride):
    code_densities(
        x, operands.table, operands.n_codes, log_weights, operands.constant, logp, d, tile, stride
    )


@helper
def accumulate(x, w, resp, logp, operands, scratch, stats, start, d, n_components, tile, stride):
    weight_totals(resp, stats, start, n_components, tile, stride)
    count_codes(
        x, resp, operands.n_codes, stats, start + n_components, d, n_components, tile, stride
    )


# missing values have a place in the table: the same tile kernels take them
kernels = mixture_kernels(
    NAME, log_density, accumulate, log_density, accumulate, masked=True, sums_read_scratch=False
)


def maximize(params: Params, flat: Array, reg: Array | None = None) -> Params:
    """The M-step; columns of which no row says anything keep theirs. There is nothing to regularise."""
    codes = stats_of(flat, *params.probabilities.shape).codes
    totals = codes.sum(axis=2, keepdims=True)
    seen = totals > 0.0
    return Params(np.where(seen, codes / np.where(seen, totals, 1.0), params.probabilities))


def estimate(
    blocks: Blocks,
    reg: Array | None,
    spare: NDArray[np.bool_],
    single_rows: bool,
    n_codes: int,
) -> Params:
    """Parameters from given responsibilities: the start.

    Each component gets one row more, spread as all rows are: a probability that starts at 0 stays there.
    """
    counts = np.zeros((1, 1, n_codes))
    total = np.zeros((1, n_codes))
    for X, resp, w in blocks:
        more = np.zeros((resp.shape[1], X.shape[1], n_codes))
        everywhere = np.zeros((X.shape[1], n_codes))
        for m in range(n_codes):
            own = np.where(m == X, 1.0, 0.0)
            more[:, :, m], everywhere[:, m] = resp.T @ own, w @ own
        counts, total = counts + more, total + everywhere
    codes = counts + total / total.sum(axis=1, keepdims=True)
    return Params(codes / codes.sum(axis=2, keepdims=True))


def features(X: Array, n_codes: int) -> Array:
    """Rows as a start compares them: a column for each code of each column.

    Many codes share columns.
    """
    width = min(n_codes, max(2, MOST_FEATURES // X.shape[1]))
    columns = np.arange(width)
    alike = (X % width)[:, :, None] == columns
    return np.where(alike, 1.0, 0.0).reshape(len(X), -1)


def moments(params: Params) -> tuple[Array, Array]:
    """Means (K, d · M) and covariances of the codes as columns of 0 and 1, M for each column of theirs."""
    K, d, n_codes = params.probabilities.shape
    covariances = np.zeros((K, d, n_codes, d, n_codes))
    for j in range(d):
        chances = params.probabilities[:, j]
        outer = chances[:, :, None] * chances[:, None, :]
        covariances[:, j, :, j] = chances[:, :, None] * np.eye(n_codes) - outer
    each = d * n_codes
    return params.probabilities.reshape(K, each), covariances.reshape(K, each, each)


def sample(params: Params, k: int, n: int, rng: np.random.RandomState) -> Array:
    """Draw n rows of component k."""
    edges = np.cumsum(params.probabilities[k], axis=1)  # (d, M)
    drawn = rng.uniform(size=(n, len(edges))) * edges[:, -1]
    codes = [np.searchsorted(edge, u, side="right") for edge, u in zip(edges, drawn.T, strict=True)]
    return np.asarray(codes, dtype=np.float64).T.reshape(n, len(edges))


def rows_needed(d: int) -> int:
    """Effective rows below which a component's own parameters mean little."""
    return 2


class Categorical:
    """The family for columns with so many categories; made by `of`.

    Parameters
    ----------
    n_categories : int or sequence of int
        Codes of every column, or of each.
    """

    NAME = NAME
    CENTRED, MATRICES = CENTRED, MATRICES
    Params = Params
    kernels = kernels
    log_density, accumulate = staticmethod(log_density), staticmethod(accumulate)
    tile_columns = staticmethod(tile_columns)
    operands = staticmethod(operands)
    maximize = staticmethod(maximize)
    moments = staticmethod(moments)
    sample = staticmethod(sample)
    rows_needed = staticmethod(rows_needed)

    def __init__(self, n_categories: Any) -> None:
        each = np.atleast_1d(np.asarray(n_categories, dtype=np.int64))
        self.n_categories = n_categories if np.ndim(n_categories) else int(each[0])
        self.n_codes = int(each.max())
        self._each = each

    def statistic_size(self, n_components: int, d: int) -> int:
        """Length of the family's part of a statistic."""
        return statistic_size(n_components, d, self.n_codes)

    def stats_of(self, flat: Array, n_components: int, d: int) -> Any:
        """Views into a flat statistic, after its header."""
        return stats_of(flat, n_components, d, self.n_codes)

    def estimate(
        self, blocks: Blocks, reg: Array | None, spare: NDArray[np.bool_], single_rows: bool
    ) -> Any:
        """Parameters from given responsibilities: the start."""
        return estimate(blocks, reg, spare, single_rows, self.n_codes)

    def features(self, X: Array) -> Array:
        """Rows as a start compares them."""
        return features(X, self.n_codes)

    def n_parameters(self, n_components: int, d: int) -> int:
        """Free parameters of the components."""
        return n_components * int(np.broadcast_to(self._each - 1, (d,)).sum())


def of(n_categories: Any) -> Categorical:
    """The family for columns of so many categories each, or for each column its own number."""
    return Categorical(n_categories)
