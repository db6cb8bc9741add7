"""The main job on built-in data: what ``fusem demo`` runs.

Five steps, each in its own file, on values from a mixture whose parameters are known: scan the
log-likelihood, run EM by hand, repeat from random starts, draw pictures, fit a large file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fusem.demo.by_hand import Path as ParameterPath
from fusem.demo.by_hand import em_by_hand
from fusem.demo.large import LargeFit, fit_large_file
from fusem.demo.restarts import Restarts, random_restarts
from fusem.demo.scan import Scan, scan_all
from fusem.demo.truth import TRUTH, draw

__all__ = ["DemoResult", "run"]

Echo = Callable[[str], None]


class DemoResult(NamedTuple):
    """What each step found, for those who want to check it."""

    scans: list[Scan]
    path: ParameterPath
    restarts: Restarts
    pictures: list[Path]
    large: LargeFit
    seconds: float


def run(
    out: Path | str = "fusem-demo",
    *,
    n_values: int = 5000,
    n_starts: int = 20,
    n_large: int = 10_000_000,
    seed: int = 0,
    echo: Echo = print,
) -> DemoResult:
    """Run the demo, print what it finds and write its pictures.

    Parameters
    ----------
    out : path, default="fusem-demo"
        Folder for the pictures; made if it is not there.
    n_values : int, default=5000
        Number of values in steps 1 to 4.
    n_starts : int, default=20
        Number of random starts in step 3.
    n_large : int, default=10_000_000
        Number of rows of the file in step 5.
    seed : int, default=0
        Seed of everything random.
    echo : callable, default=print
        Called with each line of text.

    Returns
    -------
    DemoResult
        What each step found. ``pictures`` is empty when matplotlib is not installed.
    """
    began = time.perf_counter()
    out = Path(out)
    x = draw(n_values, seed)
    echo(f"1. {n_values} values from {TRUTH.formula}")
    scans = scan_all(x, echo)
    echo("\n2. EM by hand: model.update(model.statistics(x)) until the log-likelihood stands still")
    path = em_by_hand(x, seed, echo)
    echo(f"\n3. EM from {n_starts} random starts")
    restarts = random_restarts(x, n_starts, seed, echo)
    echo("\n4. Pictures")
    pictures = _pictures(out, x, scans, path, echo)
    echo(f"\n5. {n_large:,} such rows in a .npy file, read in chunks")
    large = fit_large_file(n_large, seed, echo)
    seconds = time.perf_counter() - began
    echo(f"\nDone in {seconds:.1f} s.")
    if pictures:
        echo("Pictures:")
        for picture in pictures:
            echo(f"  {picture}")
    return DemoResult(scans, path, restarts, pictures, large, seconds)


def _pictures(
    out: Path, x: object, scans: list[Scan], path: ParameterPath, echo: Echo
) -> list[Path]:
    from fusem.plot.style import PlotDependencyError

    try:
        from fusem.demo.pictures import draw_all

        return draw_all(out, x, scans, path, echo)
    except PlotDependencyError as error:
        echo(f"   No pictures: {error}")
        return []
