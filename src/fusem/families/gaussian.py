"""What the four covariance forms share: parameters, precision factors, the singular-component error.

A precision factor is the lower triangle W with Σ⁻¹ = Wᵀ W, so that y = W (x − μ) has unit covariance;
scikit-learn's `precisions_cholesky_` is its transpose. All linear algebra here acts on matrices scaled
to unit diagonal, so columns of very different units lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg.lapack import dtrtri

from fusem.kernels.covariances import maximize as maximize_covariances

Array = NDArray[np.float64]
LOG_2PI = math.log(2.0 * math.pi)
EPS = float(np.finfo(np.float64).eps)


class Params(NamedTuple):
    """Gaussian components: K means and covariances, in the form of the family."""

    means: Array  # (K, d)
    covariances: Array  # full (K, d, d), tied (d, d), diag (K, d), spherical (K,)
    whitening: Array  # full (K, d, d), tied (d, d) lower triangles W; diag, spherical: 1 / standard deviation


class SingularComponents(ValueError):
    """Covariances of these components are not positive definite."""

    def __init__(self, components: list[int]) -> None:
        self.components = components
        names = ", ".join(map(str, components[:10])) + (", …" if len(components) > 10 else "")
        super().__init__(
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
            f"number of components, increase reg_covar, or scale the input data. Components: {names}."
        )


def in_two_parts(values: Array, dtype: DTypeLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """`values` rounded to dtype and what the rounding lost, flat."""
    high = values.astype(dtype).ravel()
    return high, (values.ravel() - high).astype(dtype)


def scaled_operands(
    means: Array, scale: Array, dtype: DTypeLike
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Means, what rounding them to dtype did in units of 1 / scale, and the scale; flat."""
    high, low = in_two_parts(means, dtype)
    shift = -low.reshape(means.shape) * scale
    return high, shift.astype(dtype).ravel(), scale.astype(dtype).ravel()


def parts(flat: Array, *sizes: int) -> list[Array]:
    """Consecutive parts of a flat array, and what is left."""
    ends = list(accumulate(sizes))
    return [flat[i:j] for i, j in zip([0, *ends], [*ends, flat.size], strict=True)]


def triangle_size(d: int) -> int:
    """Elements of a lower triangle of order d."""
    return d * (d + 1) // 2


def symmetric_of(triangles: Array, d: int) -> Array:
    """Symmetric matrices (…, d, d) whose lower triangles are given row by row, (… · d (d + 1) / 2)."""
    row, column = np.tril_indices(d)
    matrices = np.empty((triangles.size // triangle_size(d), d, d))
    matrices[:, row, column] = matrices[:, column, row] = triangles.reshape(len(matrices), -1)
    return matrices


def known(counts: Array) -> Array:
    """N to divide by: 1 for components without any responsibility, whose sums are 0."""
    return np.where(counts > 0.0, counts, 1.0)


def beyond_rounding(square: Array, shift: Array) -> Array:
    """square − shift, where it is more than the rounding of its terms; else 0."""
    difference = square - shift
    return np.where(difference > 4.0 * EPS * square, difference, 0.0)


def diagonals(matrices: NDArray[np.floating[Any]]) -> Array:
    """Of a batch of matrices, (…, d, d): a view."""
    return np.asarray(matrices.diagonal(0, -2, -1))


def factorise(covariances: Array) -> tuple[Array, Array]:
    """Lower triangles L with Σ = L Lᵀ, and their inverses W, of a batch of covariances (K, d, d)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(diagonals(covariances))
        unit = covariances / scale[:, :, None] / scale[:, None, :]
    factor = cholesky(unit)
    return scale[:, :, None] * factor, inverse_triangles(factor) / scale[:, None, :]


def cholesky(matrices: Array) -> Array:
    """Cholesky factors of a batch; an error that says which are not positive definite.

    A pivot that is rounding error of a unit diagonal counts as zero: that covariance is singular.
    """
    floor = 4.0 * EPS * matrices.shape[-1]
    try:
        factors = np.linalg.cholesky(matrices)
        regular = (diagonals(factors) ** 2 > floor * diagonals(matrices)).all(axis=1)
        singular = (~regular).nonzero()[0]
    except np.linalg.LinAlgError:
        singular = np.array([k for k, m in enumerate(matrices) if not _positive_definite(m)])
    if singular.size:
        raise SingularComponents(singular.tolist())
    return np.asarray(factors)


def _positive_definite(matrix: Array) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def whitening_of_precision(precisions: Array) -> Array:
    """W with Wᵀ W = Λ of a batch of precision matrices (K, d, d)."""
    scale = np.sqrt(diagonals(precisions))
    unit = precisions / scale[:, :, None] / scale[:, None, :]
    upper = np.linalg.cholesky(unit[:, ::-1, ::-1])[:, ::-1, ::-1]  # unit = upper · upperᵀ
    return np.asarray(np.swapaxes(upper * scale[:, :, None], 1, 2))


def inverse_triangles(triangles: Array) -> Array:
    """Inverses of a batch of regular lower triangles, zeros above, scaled by columns first."""
    scale = np.abs(diagonals(triangles))
    scaled = triangles / scale[:, :, None]
    # a transposed view is in LAPACK's order already
    inverse = np.array([dtrtri(triangle.T, lower=0)[0].T for triangle in scaled])
    return np.asarray(inverse / scale[:, None, :])


def led_back(y: Array, lower: Array) -> Array:
    """Rows L y, each the same whatever the others: the bits of BLAS depend on how many there are."""
    rows = np.zeros_like(y)
    for value, column in zip(y.T, lower.T, strict=True):
        rows += value[:, None] * column
    return rows


def symmetric(factor: Array) -> Array:
    """L Lᵀ, exactly symmetric."""
    product = factor @ np.swapaxes(factor, -1, -2)
    return np.asarray(0.5 * (product + np.swapaxes(product, -1, -2)))


def renewed(params: Params, counts: Array, first: Array, second: Array, reg: Array) -> Params:
    """The M-step of matrices; components without any responsibility keep their parameters.

    Parameters
    ----------
    counts, first, second : arrays
        N (K,), m (K · d), S (K lower triangles, row by row) about `params`.
    """
    *new, singular = maximize_covariances(*params, counts, first, second, reg)
    if singular.any():
        raise SingularComponents(np.flatnonzero(singular).tolist())
    return Params(*new)


Blocks = Iterable[tuple[Array, Array, Array]]  # rows (m, d), responsibilities (m, K), weights (m,)


def weighted_means(blocks: Blocks) -> tuple[Array, Array]:
    """N_k and the means of the rows under given responsibilities."""
    origin: Array | None = None
    counts, sums = np.zeros(1), np.zeros((1, 1))
    for X, resp, _ in blocks:
        if origin is None:
            origin = X.mean(axis=0)
        counts, sums = counts + resp.sum(axis=0), sums + resp.T @ (X - origin)
    counts = counts + 10.0 * np.finfo(np.float64).eps  # scikit-learn's guard
    assert origin is not None
    return counts, sums / counts[:, None] + origin
