"""The one table of shapes, and the data and starting parameters that go with each.

Families are those of `tests.cases`. The profile is chosen by the environment variable FUSEM_BENCH: ``quick``
(milliseconds each, for every change), ``full`` (the default, every night) or ``large`` (by hand; as in
RESULTS.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from tests.cases import CASES, invert_matrices

Array = np.ndarray[Any, np.dtype[Any]]

COVARIANCES = tuple(case.covariance_type for case in CASES)
DTYPES = ("float64", "float32")
BLOCK = 1 << 16  # values made at a time, so that making the data hardly raises the memory peak


class Start(TypedDict):
    """Where EM begins, as both libraries' constructors name it."""

    weights_init: Array
    means_init: Array
    precisions_init: Array


TOGETHER, APART = 1.0, 3.0  # standard deviation of the centres, in those of the components


class Case(NamedTuple):
    """One covariance type at one shape; components that overlap, or lie apart."""

    covariance: str
    rows: int
    columns: int
    components: int
    spread: float = TOGETHER

    @property
    def label(self) -> str:
        """How asv and RESULTS.md name the case."""
        where = "-apart" if self.spread == APART else ""
        return f"{self.covariance}-{self.rows}x{self.columns}-k{self.components}{where}"


def every_covariance(*shapes: tuple[int, int, int]) -> list[Case]:
    return [Case(covariance, *shape) for shape in shapes for covariance in COVARIANCES]


PROFILES: dict[str, list[Case]] = {
    "quick": every_covariance((2_000, 2, 3)),
    "full": [
        *every_covariance((200_000, 1, 2), (100_000, 4, 5), (40_000, 16, 8)),
        Case("full", 40_000, 16, 32, APART),
    ],
    "large": [
        Case("full", 5_000_000, 1, 2),
        Case("full", 1_000_000, 2, 5),
        Case("full", 1_000_000, 4, 8),
        Case("full", 1_000_000, 8, 8),
        Case("full", 300_000, 16, 16),
        Case("full", 200_000, 32, 16),
        Case("full", 50_000, 64, 16),
        Case("full", 20_000, 128, 16),
        Case("diag", 500_000, 16, 16),
        Case("diag", 200_000, 64, 64),
        Case("full", 200_000, 32, 64, APART),
        Case("diag", 200_000, 64, 64, APART),
        Case("tied", 500_000, 16, 16),
        Case("spherical", 500_000, 16, 16),
    ],
}


def profile_name() -> str:
    """Return the name of the chosen profile."""
    name = os.environ.get("FUSEM_BENCH", "full")
    if name not in PROFILES:
        raise ValueError(f"FUSEM_BENCH is {name!r}; accepted are {', '.join(PROFILES)}.")
    return name


def profile() -> list[Case]:
    """Return the cases of the chosen profile."""
    return PROFILES[profile_name()]


def few(values: Sequence[str], number: int = 1) -> list[str]:
    """The first of some parameters in the quick profile, else all."""
    return list(values[:number] if profile_name() == "quick" else values)


def by_label(label: str) -> Case:
    covariance, shape, components, *apart = label.split("-")
    rows, columns = shape.split("x")
    spread = APART if apart else TOGETHER
    return Case(covariance, int(rows), int(columns), int(components.removeprefix("k")), spread)


def drawn_centres(case: Case, rng: np.random.Generator) -> Array:
    return rng.normal(size=(case.components, case.columns)) * case.spread


def blobs(case: Case, dtype: str = "float64") -> Array:
    """Draw rows around centres ~ N(0, spread²) with unit covariance, block by block into one array."""
    rng = np.random.default_rng(0)
    centres = drawn_centres(case, rng)
    X = np.empty((case.rows, case.columns), dtype)
    step = max(1, BLOCK // case.columns)
    for first in range(0, case.rows, step):
        block = X[first : first + step]
        block[...] = centres[rng.integers(case.components, size=len(block))]
        block += rng.normal(size=block.shape)
    return X


def start(case: Case, X: Array) -> Start:
    """Return starting parameters that need no k-means: equal weights, K rows, unit covariances.

    Where components lie apart the means are the true ones: two rows of one component would overlap for ever.
    """
    K, d = case.components, case.columns
    family = next(one for one in CASES if one.covariance_type == case.covariance)
    shape = family.draw_covariances(np.random.default_rng(0), K, d).shape
    identity = np.eye(d) if family.invert is invert_matrices else np.float64(1.0)
    rows = np.random.default_rng(1).choice(len(X), size=K, replace=False)
    means = X[np.sort(rows)].astype(np.float64)
    if case.spread == APART:
        means = drawn_centres(case, np.random.default_rng(0))
    return {
        "weights_init": np.full(K, 1 / K),
        "means_init": means,
        "precisions_init": np.broadcast_to(identity, shape).copy(),
    }
