"""One statistic of the same rows from every kind of source."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from asv_benchmarks.cases import Array, Case, blobs, profile_name, start
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.mixins import REPEAT

ROWS = {"smoke": 2_000, "small": 100_000, "large": 5_000_000}
CHUNK = 10_000
SOURCES = ("array", "columns", "npy", "chunks", "frame", "parquet", "csv")


class Sources:
    """`GaussianMixture.statistics` of 8 columns, K = 4."""

    param_names: ClassVar[list[str]] = ["source"]
    params: ClassVar[tuple[str, ...]] = SOURCES
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup(self, source: str) -> None:
        case = Case("diag", ROWS[profile_name()], 8, 4)
        X = blobs(case)
        self.folder = tempfile.TemporaryDirectory()
        self.subject = Fusem(case, start(case, X), 1)
        self.source = as_source(X, source, Path(self.folder.name))
        self.subject.fit(self.source)
        self.subject.model.statistics(self.source)

    def teardown(self, source: str) -> None:
        self.folder.cleanup()

    def time_statistics(self, source: str) -> None:
        self.subject.model.statistics(self.source)


def as_source(X: Array, source: str, folder: Path) -> Any:
    """The rows as a source of some kind."""

    def chunks() -> Iterator[Array]:
        for first in range(0, len(X), CHUNK):
            yield X[first : first + CHUNK]

    path = folder / f"table.{source}"
    names = [f"c{j}" for j in range(X.shape[1])]
    if source == "columns":
        return np.asfortranarray(X)
    if source == "npy":
        np.save(path, X)
        return path
    if source == "chunks":
        return chunks
    if source == "frame":
        return pd.DataFrame(X, columns=names)
    if source == "parquet":
        pq.write_table(pa.table(dict(zip(names, X.T, strict=True))), path)
        return path
    if source == "csv":
        pd.DataFrame(X, columns=names).to_csv(path, index=False)
        return path
    return X
