"""Peak memory beyond the data of other fits than those of Gaussian mixtures of complete rows in memory.

``python -m asv_benchmarks.footprint KIND ROWS`` prints the bytes.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import fusem
from asv_benchmarks import counts, hmm, memory
from asv_benchmarks.cases import Array, Case, blobs, few, profile_name, start
from asv_benchmarks.libraries import THREADS, Fusem
from asv_benchmarks.missing import with_holes
from asv_benchmarks.peak import peak
from asv_benchmarks.quiet import fit_quietly
from tests.cases import COUNT_CASES

ROWS = {"quick": 20_000, "full": 200_000, "large": 2_000_000}
FEW = 2_000
COLUMNS, COMPONENTS, CHUNK, ITERATIONS = 8, 4, 10_000, 3
PART = 1 << 20  # codes drawn at a time
CHAIN = hmm.Case("GaussianHMM", COMPONENTS, COLUMNS, covariance="diag")
KINDS = ("chunks", "missing", "counts", "imputer", "hmm", "gmmhmm", "codes")
LONG = 50  # times as many steps of one sequence of codes, in a file: in the large profile 10⁸


def chunks(X: Array, rows: int) -> Iterator[Array]:
    """The same rows again and again: all of them are never in memory together."""
    for first in range(0, rows, CHUNK):
        yield X[: rows - first].copy()


def codes(rows: int) -> Path:
    """A file of symbols, a byte each, which is there as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="footprint-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, rng = folder / "codes.npy", np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(rows, 1))
    for first in range(0, rows, PART):
        part = file[first : first + PART]
        part[:] = rng.integers(COMPONENTS, size=part.shape)
    file.flush()
    return path


def prepared(kind: str, rows: int) -> tuple[Any, Any]:
    """A model before its fit, and its rows."""
    if kind == "counts":
        label = f"{COUNT_CASES[0].estimator}-{rows}x{COLUMNS}-k{COMPONENTS}"
        return counts.CountFusem(label, ITERATIONS).model, counts.drawn(label, "float64")
    if kind == "hmm":
        X, _, begin = hmm.rows(CHAIN, rows)
        return hmm.model(fusem, CHAIN, begin, ITERATIONS, tol=0.0, n_jobs=THREADS), X
    if kind == "gmmhmm":
        made: Any = fusem.GMMHMM(
            COMPONENTS, 2, n_iter=ITERATIONS, tol=0.0, n_jobs=THREADS, random_state=0
        )
        return made, hmm.rows(CHAIN, rows)[0]
    if kind == "codes":
        made = fusem.CategoricalHMM(
            COMPONENTS,
            n_iter=ITERATIONS,
            tol=0.0,
            n_features=COMPONENTS,
            n_jobs=THREADS,
            random_state=0,
        )
        return made, codes(rows * LONG)
    case = Case("full", CHUNK if kind == "chunks" else rows, COLUMNS, COMPONENTS)
    X = blobs(case)
    if kind == "imputer":
        made = fusem.EMImputer(
            COMPONENTS, max_iter=ITERATIONS, tol=0.0, n_jobs=THREADS, random_state=0
        )
        return made, with_holes(X, "random")
    model = Fusem(case, start(case, X), ITERATIONS).model
    return model, partial(chunks, X, rows) if kind == "chunks" else with_holes(X, "random")


class Footprint:
    """Bytes that a fit needs beyond its data; of chunks, all that are in memory during the fit."""

    param_names: ClassVar[list[str]] = ["kind"]
    params: ClassVar[list[str]] = few(KINDS)  # each starts two processes
    timeout: ClassVar[int] = 900

    def track_memory_beyond_data(self, kind: str) -> int:
        memory.printed(__name__, kind, str(FEW))  # compiles, which needs memory of its own
        return int(memory.printed(__name__, kind, str(ROWS[profile_name()])))

    track_memory_beyond_data.unit = "bytes"  # type: ignore[attr-defined]


def main(kind: str, rows: str) -> None:
    model, X = prepared(kind, int(rows))
    before = peak()
    fit_quietly(model, X)
    print(peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
