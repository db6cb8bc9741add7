"""The same rows from everywhere: what `fit` accepts, made of one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Sizes of chunks that lie across, on, and just beside every boundary of 1024-row leaves.
UNEVEN = (1, 2, 1021, 1024, 1025, 7, 4096, 333, 2048, 3000)


def cut(X: np.ndarray, sizes) -> list[np.ndarray]:
    """Cut rows into chunks of the given sizes, taken in turn until the rows are used up."""
    chunks, first, turn = [], 0, 0
    while first < len(X):
        size = sizes[turn % len(sizes)]
        chunks.append(X[first : first + size])
        first, turn = first + size, turn + 1
    return chunks


class Chunks:
    """A re-iterable of chunks that is neither a list nor a function."""

    def __init__(self, chunks: list[np.ndarray]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.chunks)


def strided(X: np.ndarray) -> np.ndarray:
    """Return a view with gaps between rows and between columns."""
    wide = np.full((2 * len(X), 3 * X.shape[1]), np.nan, dtype=X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def reversed_view(X: np.ndarray) -> np.ndarray:
    """Return a view with negative strides."""
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def other_byte_order(X: np.ndarray) -> np.ndarray:
    return X.astype(X.dtype.newbyteorder())


def memmap(X: np.ndarray, folder: Path) -> np.ndarray:
    return np.load(npy(X, folder), mmap_mode="r")


def npy(X: np.ndarray, folder: Path) -> str:
    path = folder / f"rows-{X.dtype.name}-{len(X)}.npy"
    np.save(path, X)
    return str(path)


def npy_in_fortran_order(X: np.ndarray, folder: Path) -> Path:
    path = folder / f"fortran-{X.dtype.name}-{len(X)}.npy"
    np.save(path, np.asfortranarray(X))
    return path


def generator_function(X: np.ndarray, sizes) -> Callable[[], Iterator[np.ndarray]]:
    def chunks() -> Iterator[np.ndarray]:
        yield from cut(X, sizes)

    return chunks


SOURCES: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "C order": lambda X, folder: np.ascontiguousarray(X),
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: strided(X),
    "negative strides": lambda X, folder: reversed_view(X),
    "read-only": lambda X, folder: read_only(X),
    "other byte order": lambda X, folder: other_byte_order(X),
    "memmap": memmap,
    ".npy path": npy,
    "Fortran .npy path": npy_in_fortran_order,
    "one chunk": lambda X, folder: [X],
    "list of uneven chunks": lambda X, folder: cut(X, UNEVEN),
    "list with an empty chunk": lambda X, folder: [X[:5], X[:0], X[5:]],
    "tuple of Fortran chunks": lambda X, folder: tuple(map(np.asfortranarray, cut(X, [700]))),
    "re-iterable": lambda X, folder: Chunks(cut(X, [1024])),
    "generator function": lambda X, folder: generator_function(X, [999]),
}


def tables(X: np.ndarray, folder: Path) -> dict[str, Any]:
    """Return the rows as tables of several libraries, and as Parquet, with columns x0, x1, …."""
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{j}" for j in range(X.shape[1])]
    columns = {name: np.ascontiguousarray(X[:, j]) for j, name in enumerate(names)}
    table = pa.table(columns)
    path = folder / f"table-{X.dtype.name}.parquet"
    pq.write_table(table, path, row_group_size=1700)
    half = len(X) // 2
    for part, rows in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(rows, folder / f"part{part}-{X.dtype.name}.parquet", row_group_size=600)
    return {
        "pandas": pd.DataFrame(columns),
        "polars": pl.DataFrame(columns),
        "pyarrow": table,
        "Parquet path": path,
        "Parquet glob": str(folder / f"part*-{X.dtype.name}.parquet"),
    }
