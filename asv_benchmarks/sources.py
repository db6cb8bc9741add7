"""One statistic of the same rows from every kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from asv_benchmarks.cases import Array, Case, blobs, profile_name, start
from asv_benchmarks.libraries import Fusem
from asv_benchmarks.mixins import REPEAT

ROWS = {"quick": 2_000, "full": 100_000, "large": 5_000_000}
CHUNK = 10_000
FILES = ("npy", "parquet", "csv")
SOURCES = ("array", "columns", "chunks", "frame", *FILES)


class Sources:
    """`GaussianMixture.statistics` of 8 columns, K = 4."""

    param_names: ClassVar[list[str]] = ["source"]
    params: ClassVar[tuple[str, ...]] = SOURCES
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup_cache(self) -> Path:
        """Write the files, once for all sources, where asv keeps what benchmarks share."""
        folder = Path.cwd()
        for source in FILES:
            write(blobs(case()), source, folder)
        return folder

    def setup(self, folder: Path, source: str) -> None:
        X = blobs(case())
        self.subject = Fusem(case(), start(case(), X), 1)
        self.source = as_source(X, source, folder)
        self.subject.fit(self.source)
        self.subject.model.statistics(self.source)

    def time_statistics(self, folder: Path, source: str) -> None:
        self.subject.model.statistics(self.source)


def case() -> Case:
    return Case("diag", ROWS[profile_name()], 8, 4)


def as_source(X: Array, source: str, folder: Path) -> Any:
    """The rows as a source of some kind."""

    def chunks() -> Iterator[Array]:
        for first in range(0, len(X), CHUNK):
            yield X[first : first + CHUNK]

    if source in FILES:
        return folder / f"table.{source}"
    made: dict[str, Callable[[Array], Any]] = {
        "columns": np.asfortranarray,
        "chunks": lambda _: chunks,
        "frame": frame,
    }
    return made[source](X) if source in made else X


def frame(X: Array) -> Any:
    import pandas as pd

    return pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])


def write(X: Array, source: str, folder: Path) -> None:
    """The rows as a file of some kind."""
    path = folder / f"table.{source}"
    if source == "npy":
        np.save(path, X)
    elif source == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pandas(frame(X), preserve_index=False), path)
    else:
        frame(X).to_csv(path, index=False)
