"""The same rows from every kind of source: opened, one statistic, a fit, what a fitted model is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

import fusem
from asv_benchmarks.cases import Array, Case, blobs, few, profile_name, start
from asv_benchmarks.libraries import THREADS, Fusem
from asv_benchmarks.mixins import REPEAT
from asv_benchmarks.quiet import fit_quietly

ROWS = {"quick": 2_000, "full": 100_000, "large": 5_000_000}
CHUNK = 10_000
# Packages that need not be installed, for the sources that are made by them.
PACKAGES = {"frame": "pandas", "polars": "polars", "arrow": "pyarrow", "parquet": "pyarrow"}
FILES = ("npy", "parquet", "csv")
SOURCES = ("array", "columns", "chunks", "list", "frame", "polars", "arrow", *FILES)


class Sources:
    """`GaussianMixture` of 8 columns, K = 4."""

    estimators: ClassVar[tuple[str, ...]] = ("GaussianMixture", "Rows")
    param_names: ClassVar[list[str]] = ["source"]
    params: ClassVar[tuple[str, ...]] = SOURCES
    repeat: ClassVar[tuple[int, int, float]] = REPEAT

    def setup_cache(self) -> Path:
        """Write the files, once for all sources, where asv keeps what benchmarks share."""
        folder = Path.cwd()
        for source in FILES:
            if installed(source):
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

    def time_fit(self, folder: Path, source: str) -> None:
        fit_quietly(self.subject.model, self.source)

    def time_predict(self, folder: Path, source: str) -> None:
        self.subject.model.predict(self.source)

    def time_rows(self, folder: Path, source: str) -> None:
        for _ in fusem.rows(self.source).blocks():
            pass

    def time_to_array(self, folder: Path, source: str) -> None:
        fusem.rows(self.source).to_array()


class ChainSources:
    """`GaussianHMM` of the same rows, a list one sequence each; a stream is copied to a file first."""

    estimators: ClassVar[tuple[str, ...]] = ("GaussianHMM",)
    param_names: ClassVar[list[str]] = ["source"]
    params: ClassVar[list[str]] = few(SOURCES)
    repeat: ClassVar[tuple[int, int, float]] = REPEAT
    setup_cache = Sources.setup_cache

    def setup(self, folder: Path, source: str) -> None:
        self.source = as_source(blobs(case()), source, folder)
        self.model = fusem.GaussianHMM(4, n_iter=2, tol=0.0, random_state=0, n_jobs=THREADS)
        fit_quietly(self.model, self.source)

    def time_fit(self, folder: Path, source: str) -> None:
        # fitted parameters would be logged as overwritten
        fit_quietly(clone(self.model), self.source)

    def time_predict(self, folder: Path, source: str) -> None:
        self.model.predict(self.source)


def case() -> Case:
    return Case("diag", ROWS[profile_name()], 8, 4)


def installed(source: str) -> bool:
    """Whether a source can be made here."""
    return source not in PACKAGES or find_spec(PACKAGES[source]) is not None


def as_source(X: Array, source: str, folder: Path) -> Any:
    """The rows as a source of some kind; NotImplementedError (asv leaves it out) without its package."""
    if not installed(source):
        raise NotImplementedError(f"{PACKAGES[source]} is not installed")

    def chunks() -> Iterator[Array]:
        for first in range(0, len(X), CHUNK):
            yield X[first : first + CHUNK]

    if source in FILES:
        return folder / f"table.{source}"
    made: dict[str, Callable[[Array], Any]] = {
        "columns": np.asfortranarray,
        "chunks": lambda _: chunks,
        "list": lambda _: list(chunks()),
        "frame": frame,
        "polars": polars_table,
        "arrow": arrow_table,
    }
    return made[source](X) if source in made else X


def columns(X: Array) -> dict[str, Array]:
    """The columns by name."""
    return {f"c{j}": np.ascontiguousarray(column) for j, column in enumerate(X.T)}


def frame(X: Array) -> Any:
    import pandas as pd

    return pd.DataFrame(X, columns=list(columns(X)))


def polars_table(X: Array) -> Any:
    import polars as pl

    return pl.DataFrame(columns(X))


def arrow_table(X: Array) -> Any:
    import pyarrow as pa

    return pa.table(columns(X))


def write(X: Array, source: str, folder: Path) -> None:
    """The rows as a file of some kind."""
    path = folder / f"table.{source}"
    if source == "npy":
        np.save(path, X)
    elif source == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(arrow_table(X), path)
    else:
        header = ",".join(columns(X))
        np.savetxt(path, X, delimiter=",", header=header, comments="", fmt="%.17g")
