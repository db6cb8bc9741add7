"""Start and transition probabilities: their M-step under Dirichlet priors, and checks of given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.mixture.assigned import as_numbers

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of sums of float64: such probabilities are left as they are
SUM_TOLERANCE = (
    1e-5 + 1e-8
)  # that of hmmlearn (np.allclose): float32 and rounded probabilities pass


def renewed(before: Array, counts: Array, prior: Any) -> Array:
    """Probabilities from expected counts, the last axis summing to 1.

    What is 0 before stays 0. Where nothing was counted, what was before stays.

    Parameters
    ----------
    prior : float, array or None
        Parameters of the Dirichlet prior; None (or 1) for maximum likelihood.
    """
    raw = counted(before, counts, prior)
    total = raw.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0.0, raw / total, before)


def counted(before: Array, counts: Array, prior: Any) -> Array:
    """Counts with those of the prior, 0 for what is 0 before."""
    more = 0.0 if prior is None else np.asarray(prior, dtype=np.float64) - 1.0
    return np.asarray(np.where(before > 0.0, np.maximum(counts + more, 0.0), 0.0))


def log_prior(probabilities: Array, prior: Any) -> float:
    """Logarithm of the Dirichlet density, but for a constant.

    What cannot happen, and so is not estimated, is left out. A parameter below 1 draws its probability to 0,
    where the density has no bound: 0 counts as the smallest number, and the objective does not fall there.
    """
    if prior is None:
        return 0.0
    power = np.broadcast_to(np.asarray(prior, dtype=np.float64) - 1.0, probabilities.shape)
    counted = (power < 0.0) | ((power > 0.0) & (probabilities > 0.0))
    logarithms = np.log(np.maximum(probabilities[counted], np.finfo(np.float64).tiny))
    return float((power[counted] * logarithms).sum())


def normalised(probabilities: Array, sums: Array) -> Array:
    """Probabilities divided by their sums; the same array where these are 1 up to rounding."""
    if np.abs(sums - 1.0).max(initial=0.0) <= ROUNDING:
        return probabilities
    return np.asarray(probabilities / sums[..., None])


def check_probabilities(
    name: str, values: Any, shape: tuple[int, ...], columns: str = "n_components"
) -> Array:
    """Probabilities of the given shape, the last axis summing to 1; else an error that says what is wrong.

    Sums within `SUM_TOLERANCE` of 1 will do: where they are off by more than rounding, what is returned is
    divided by them.
    """
    given = as_numbers(values, name)
    if given.shape != shape:
        expected = "(n_components,)" if len(shape) == 1 else f"(n_components, {columns})"
        raise ValueError(f"{name} must have shape {expected} = {shape}, not {given.shape}.")
    right = given >= 0.0
    if not right.all():
        where = ", ".join(str(int(i)) for i in np.argwhere(~right)[0])
        raise ValueError(
            f"{name} must hold probabilities, but {name}[{where}] is {given[~right][0]:g}."
        )
    sums = given.sum(axis=-1)
    if np.abs(sums - 1.0).max(initial=0.0) <= SUM_TOLERANCE:
        return normalised(given, sums)
    if given.ndim == 1:
        raise ValueError(f"{name} must sum to 1 (got {sums:.8g})")
    raise ValueError(f"{name} rows must sum to 1 (got row sums of {sums})")
