"""The families there are, by name."""

from __future__ import annotations

from types import ModuleType

from fusem.families import (
    categorical,
    gaussian_diag,
    gaussian_full,
    gaussian_spherical,
    gaussian_tied,
    multinomial,
    poisson,
)

FAMILIES: dict[str, ModuleType] = {
    "gaussian_full": gaussian_full,
    "gaussian_tied": gaussian_tied,
    "gaussian_diag": gaussian_diag,
    "gaussian_spherical": gaussian_spherical,
    "poisson": poisson,
    "categorical": categorical,
    "multinomial": multinomial,
}
