"""What missing values leave open, in whitened coordinates: a subspace, and a unit variance all over it.

With y = W (x − μ), changing the missing values of a row moves y in the span of the columns W_m of W. So the
conditional mean of y given the rest is y without its part in that span, whatever the missing values are
filled with; its conditional covariance is the projection on the span, V Vᵀ; and |y|² without that part is
the squared distance of what was observed. V comes from W_m = V R by Gram–Schmidt; Σ log R_ss is what the
missing columns take from the log normalisation, and R⁻¹ leads back to the units of the data.

Bases are worked out once per pattern and component and kept while there is room. Source: Schur complements,
Anderson 2003, section 2.5; written for triangles W, whose columns are zero above the diagonal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.kernels.patterns import PATTERNS
from fusem.kernels.policy import helper
from fusem.kernels.simd import (
    add,
    add_scaled,
    element,
    lanes,
    less_scaled,
    load,
    mul,
    scaled,
    store,
    sub,
    zeros,
)
from fusem.kernels.tile import aligned, place

BYTES = 8 * 1024 * 1024  # of the bases that are kept, per thread
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
NONE = -1  # place of a basis that is not known


class Bases(NamedTuple):
    """Bases a thread has worked out; flat arrays. R is a lower triangle, with reciprocals on the diagonal."""

    at: NDArray[
        np.int64
    ]  # (PATTERNS · K) where V (columns one after another), then R begin in `store`
    gain: NDArray[np.float64]  # (PATTERNS · K) what a pattern adds to the log normalisation
    store: NDArray[Any]  # in the dtype of the rows
    state: NDArray[np.int64]  # (2) end of what is kept; number of the pass it belongs to
    work: NDArray[np.float64]  # (d · d + d · d) V and R being made
    columns: NDArray[np.int64]  # (d + 1) missing columns
    coefficients: NDArray[Any]  # (d vectors) products of V and y
    inside: NDArray[Any]  # (tile) 1 for the rows of a group, else 0


def bases(n_components: int, d: int, tile: int, vector: int, dtype: DTypeLike) -> Bases:
    """Memory of one thread; `n_components` so many as have covariances of their own."""
    room = max(2 * d * d, BYTES // np.dtype(dtype).itemsize)
    made = Bases(
        at=aligned(PATTERNS * n_components, np.int64),
        gain=aligned(PATTERNS * n_components, np.float64),
        store=aligned(room, dtype),
        state=aligned(2, np.int64),
        work=aligned(2 * d * d, np.float64),
        columns=aligned(d + 1, np.int64),
        coefficients=aligned(d * vector, dtype),
        inside=aligned(tile, dtype),
    )
    made.state[1] = NONE
    return made


@helper
def forget(bases):
    """Make room: of parameters that have changed, or for other patterns."""
    bases.state[0] = 0
    for i in range(bases.at.size):
        bases.at[i] = NONE


@helper
def basis(
    bases,
    matrix,  # IN  (d × d) lower triangle W at m0
    m0,
    number,  # IN  of the pattern
    count,  # IN  its missing columns, in bases.columns
    k,
    n_components,
    d,
):
    """The place of V in bases.store; R stands after it."""
    entry = number * n_components + k
    if bases.at[entry] != NONE:
        return bases.at[entry]
    size = count * d + count * count
    if bases.state[0] + size > bases.store.size:
        forget(bases)
    v, rest, gain = bases.work, count * d, count * HALF_LOG_2PI
    for s in range(count - 1, -1, -1):
        first, row = bases.columns[s], s * d
        for i in range(d):
            v[row + i] = matrix[m0 + i * d + first] if i >= first else 0.0
        for t in range(count):
            v[rest + t * count + s] = 0.0
        for _ in range(2):  # once more, or V would lose its right angles where columns nearly agree
            for t in range(s + 1, count):
                other, part = t * d, 0.0
                for i in range(bases.columns[t], d):
                    part += v[other + i] * v[row + i]
                for i in range(bases.columns[t], d):
                    v[row + i] -= part * v[other + i]
                v[rest + t * count + s] += part
        square = 0.0
        for i in range(first, d):
            square += v[row + i] * v[row + i]
        length = math.sqrt(square)
        for i in range(first, d):
            v[row + i] /= length
        v[rest + s * count + s] = 1.0 / length
        gain -= math.log(length)
    where = bases.state[0]
    for i in range(size):
        bases.store[where + i] = v[i]
    bases.state[0] = where + size
    bases.at[entry] = where
    bases.gain[entry] = gain
    return where


@helper
def remove(
    y,  # INOUT (d columns) at y0: less its part in the span of V
    y0,
    bases,
    v0,  # IN  V in bases.store, R after it
    count,  # IN  columns of V
    first,  # IN  rows of the tile
    last,
    moves,  # OUT (d columns) at y0 or empty: missing values less what they were filled with
    noise,  # IN  (d columns) or empty: standard normal values, to draw the missing ones
    d,
):
    """Conditional mean of the rows of a group, in whitened coordinates."""
    columns, c, inside = bases.columns, bases.coefficients, bases.inside
    step, strip = lanes(y), 4 * lanes(y)
    for r in range(first, last):
        inside[r] = 1.0
    start = columns[0]
    for r in range(first - first % step, last, step):
        tile_at, mask = place(y, r, d), load(inside, r)
        at = y0 + tile_at
        for s in range(count):
            t = u = zeros(y)
            row, i = v0 + s * d, columns[s]
            while i + 2 <= d:
                t = add_scaled(bases.store, row + i, load(y, at + i * strip), t)
                u = add_scaled(bases.store, row + i + 1, load(y, at + i * strip + strip), u)
                i += 2
            if i < d:
                t = add_scaled(bases.store, row + i, load(y, at + i * strip), t)
            store(c, s * step, mul(mask, add(t, u)))
        active = 0
        for i in range(start, d):
            while active < count and columns[active] <= i:
                active += 1
            z = load(y, at + i * strip)
            for s in range(active):
                z = less_scaled(bases.store, v0 + s * d + i, load(c, s * step), z)
            store(y, at + i * strip, z)
        if moves.size > 0:
            triangle = v0 + count * d
            for s in range(count):
                z = load(c, s * step)
                if noise.size > 0:
                    z = sub(z, load(noise, tile_at + columns[s] * strip))
                z = sub(zeros(y), mul(mask, z))
                row = triangle + s * count
                for t in range(s):
                    z = less_scaled(bases.store, row + t, load(c, t * step), z)
                z = scaled(element(bases.store, row + s), z)
                store(c, s * step, z)
                target = at + columns[s] * strip
                store(moves, target, add(load(moves, target), z))
    for r in range(first, last):
        inside[r] = 0.0


@helper
def add_spread(bases, v0, count, mass, stats, second, d):
    """Add mass · V Vᵀ, the conditional covariance of so many rows, to a lower triangle at `second`."""
    for s in range(count):
        first, row = bases.columns[s], v0 + s * d
        for i in range(first, d):
            factor, target = mass * bases.store[row + i], second + i * (i + 1) // 2
            for j in range(first, i + 1):
                stats[target + j] += factor * bases.store[row + j]


@helper
def mass_of(resp, first, last):
    """Σ r over some rows, as float64."""
    total = 0.0
    for r in range(first, last):
        total += resp[r]
    return total
