"""Step 1: the log-likelihood is highest at the parameters that made the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fusem.demo.truth import NAMES, TRUTH, Array, as_model

# Where each parameter is in the model, and the values to try: the truth is one of them.
SCANS = {
    "p": ("weights[0]", np.arange(11) / 10),
    "mean1": ("means[0]", np.arange(-1.0, 3.1, 0.5)),
    "sd1": ("sd[0]", np.arange(1.0, 3.1, 0.25)),
    "mean2": ("means[1]", np.arange(7.0, 11.1, 0.5)),
    "sd2": ("sd[1]", np.arange(2.0, 4.1, 0.25)),
}


class Scan(NamedTuple):
    """The mean log-likelihood per row over one parameter, the others true."""

    name: str
    grid: Array
    loglik: Array
    truth: float

    @property
    def peak(self) -> float:
        """Value of the parameter with the highest log-likelihood."""
        return float(self.grid[np.argmax(self.loglik)])


def scan_all(x: Array, echo: Callable[[str], None]) -> list[Scan]:
    """Scan each of the five parameters, one pass over the data for each."""
    import fusem

    model = as_model(TRUTH)
    scans = []
    echo("   Log-likelihood per row over one parameter, the others at their true values:")
    for name in NAMES:
        parameter, grid = SCANS[name]
        scan = Scan(
            name, grid, fusem.profile_loglik(model, x, parameter, grid), getattr(TRUTH, name)
        )
        scans.append(scan)
        echo("")
        echo(f"   {name:<7}" + "".join(f"{value:8g}" for value in scan.grid))
        echo("   loglik " + "".join(f"{value:8.3f}" for value in scan.loglik))
        echo(f"   highest at {name} = {scan.peak:g} (true value {scan.truth:g})")
    return scans
