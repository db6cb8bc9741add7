"""The M-step of covariance matrices, in whitened coordinates: from factors to factors, without an inverse.

With Σ = L Lᵀ, W = L⁻¹ and the statistic N, m, S about the current parameters,

    A = S/N − m mᵀ/N² + W diag(reg) Wᵀ = G Gᵀ,   L ← L G,   W ← G⁻¹ W,   μ ← μ + L m/N.

A is of order one whatever the data's scale, so the covariance stays positive definite. Per component 7 d³ / 6
multiply–adds in five products and solutions of triangles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusem.kernels.policy import Kernel
from fusem.kernels.triangles import factorise, order_of, solve, subtract_product, width_of

Array = NDArray[np.float64]
SQUARES = 4


def _maximize(
    means,  # IN  (K · d) parameters now
    covariances,  # IN  (K · d · d)
    whitening,  # IN  (K · d · d) lower triangles W
    counts,  # IN  (K) N
    first,  # IN  (K · d) m
    second,  # IN  (K · d (d + 1) / 2) S, lower triangles row by row
    reg,  # IN  (d) what is added to the variances
    floor,  # IN  pivots of A below this times its diagonal are rounding error
    order,  # IN  of a square in the scratch, and the elements between its rows
    width,
    m,  # SCRATCH zeros: SQUARES squares and two columns
    new_means,  # OUT
    new_covariances,  # OUT
    new_whitening,  # OUT
    singular,  # OUT (K) whether A is not positive definite
):
    """The next parameters; those of components without any responsibility stay."""
    n_components, d = counts.size, reg.size
    w, t, a, g = 0, order * width, 2 * order * width, 3 * order * width
    shift, diagonal = 4 * order * width, 4 * order * width + order
    for i in range(d, order):
        m[w + i * (width + 1)] = m[g + i * (width + 1)] = 1.0
    for k in range(n_components):
        mean, matrix = k * d, k * d * d
        singular[k] = False
        if not counts[k] > 0.0:
            for i in range(d):
                new_means[mean + i] = means[mean + i]
            for i in range(d * d):
                new_covariances[matrix + i] = covariances[matrix + i]
                new_whitening[matrix + i] = whitening[matrix + i]
            continue
        for i in range(d):
            m[shift + i] = first[mean + i] / counts[k]
        p = k * d * (d + 1) // 2
        for i in range(d):
            row = matrix + i * d
            for j in range(i + 1):
                m[w + i * width + j] = m[t + j * width + i] = whitening[row + j]
                m[a + j * width + i] = second[p] / counts[k] - m[shift + i] * m[shift + j]
                p += 1
        for i in range(d, order):
            for j in range(order):
                m[a + j * width + i] = 1.0 if i == j else 0.0
        for i in range(d):  # L m/N, and Wᵀ to −diag(reg) Wᵀ
            row = t + i * width
            m[shift + i] /= m[row + i]
            new_means[mean + i] = means[mean + i] + m[shift + i]
            for j in range(i + 1, d):
                m[shift + j] -= m[row + j] * m[shift + i]
            for j in range(i, d):
                m[row + j] *= -reg[i]
        subtract_product(m, w, t, a, order, width)
        for i in range(order):
            m[diagonal + i] = m[a + i * (width + 1)]
        if not factorise(m, a, diagonal, floor, order, width):
            singular[k] = True
            continue
        for i in range(d):
            for j in range(i + 1):
                m[g + i * width + j] = m[a + j * width + i]
        solve(m, w, width, 1, g, order, width)  # L G
        solve(m, a, 1, width, w, order, width)  # G⁻¹ W
        for i in range(d):
            for j in range(i + 1):
                m[t + j * width + i] = -m[g + i * width + j]
            for j in range(width):
                m[a + i * width + j] = 0.0
        subtract_product(m, g, t, a, order, width)
        for i in range(d):
            row = matrix + i * d
            for j in range(d):
                new_whitening[row + j] = m[w + i * width + j]
                new_covariances[row + j] = m[a + min(i, j) * width + max(i, j)]


kernel = Kernel(_maximize, "covariances_maximize")


def maximize(
    means: Array,
    covariances: Array,
    whitening: Array,
    counts: Array,
    first: Array,
    second: Array,
    reg: Array,
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Means (K, d), covariances (K, d, d), their W, and which components (K,) are singular."""
    d = len(reg)
    order, width = order_of(d), width_of(d)
    scratch = np.zeros(order * (SQUARES * width + 2))
    renewed = np.empty(means.shape), np.empty(covariances.shape), np.empty(whitening.shape)
    singular = np.empty(len(counts), dtype=np.bool_)
    floor = 4.0 * np.finfo(np.float64).eps * d
    given = (array.ravel() for array in (means, covariances, whitening, counts, first, second))
    new = (array.ravel() for array in (*renewed, singular))
    kernel[np.float64](*given, reg, floor, order, width, scratch, *new)
    return *renewed, singular
