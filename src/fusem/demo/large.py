"""Step 5: a file of ten million rows, read in chunks; memory does not grow with it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fusem.demo.truth import TRUTH, Parameters, draw, of_model

CHUNK_ROWS = 1_000_000


class LargeFit(NamedTuple):
    """What came of the large fit."""

    n_rows: int
    sweeps: int
    seconds: float
    rows_per_second: float
    parameters: Parameters


def fit_large_file(n_rows: int, seed: int, echo: Callable[[str], None]) -> LargeFit:
    """Write the rows to a file in a temporary folder and fit it by its path."""
    import fusem

    with tempfile.TemporaryDirectory(prefix="fusem-demo-") as folder:
        path = Path(folder) / "rows.npy"
        _write(path, n_rows, seed)
        echo(f"   file: {path.stat().st_size / 1e6:.0f} MB")
        began = time.perf_counter()
        model = fusem.GaussianMixture(n_components=2, tol=1e-6, max_iter=200, random_state=seed)
        model.fit(path)
        seconds = time.perf_counter() - began
    sweeps = len(model.history_)
    # The rate of the sweeps; the whole fit also makes the start.
    rate = n_rows * sweeps / float(np.sum(model.history_["seconds"]))
    found = of_model(model)
    echo(f"   {sweeps} sweeps, {rate / 1e6:.1f} million rows per second in each.")
    echo(f"   {seconds:.2f} s for the whole fit, the start included.")
    echo("   fit    " + "  ".join(f"{n} {v:.4f}" for n, v in found._asdict().items()))
    echo("   truth  " + "  ".join(f"{n} {v:.4f}" for n, v in TRUTH._asdict().items()))
    return LargeFit(n_rows, sweeps, seconds, rate, found)


def _write(path: Path, n_rows: int, seed: int) -> None:
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(n_rows, 1))
    for stream, first in enumerate(range(0, n_rows, CHUNK_ROWS), start=10):
        chunk = rows[first : first + CHUNK_ROWS, 0]
        chunk[:] = draw(len(chunk), seed, stream=stream)
    rows.flush()
