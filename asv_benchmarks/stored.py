"""Arrays that benchmarks share: written once by ``setup_cache``, in the folder that asv makes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from asv_benchmarks.cases import Array


def keep(makers: Iterable[tuple[str, Callable[[], Array]]]) -> Path:
    """Write arrays one after the other under their names, each name once; return the folder."""
    folder = Path.cwd()
    for name, make in dict(makers).items():
        np.save(folder / f"{name}.npy", make())
    return folder


def kept(folder: Path, name: str) -> Array:
    """Read what `keep` wrote."""
    array: Array = np.load(folder / f"{name}.npy")
    return array
