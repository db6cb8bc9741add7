"""Step 4: the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusem import plot
from fusem.demo.by_hand import Path as ParameterPath
from fusem.demo.scan import Scan
from fusem.demo.truth import NAMES, TRUTH, as_model
from fusem.plot.density import component_densities
from fusem.plot.style import (
    FILL,
    INK,
    PALETTE,
    dress,
    prepared_axes,
    quiet_legend,
    require_matplotlib,
)
from fusem.plot.view import marginal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_WEIGHTS = {0.0: PALETTE[0], 0.3: INK, 0.6: PALETTE[2], 0.9: PALETTE[1]}
SYMBOLS = {"p": "p", "mean1": "μ₁", "sd1": "σ₁", "mean2": "μ₂", "sd2": "σ₂"}


def draw_all(
    out: Path, x: Any, scans: list[Scan], path: ParameterPath, echo: Callable[[str], None]
) -> list[Path]:
    """Draw every picture into the folder `out` and return their paths.

    Raises
    ------
    PlotDependencyError
        When matplotlib is not installed.
    """
    require_matplotlib()
    out.mkdir(parents=True, exist_ok=True)
    figures = {
        "density": fitted_density(x, path),
        "densities-by-weight": densities_by_weight(x),
        "loglik-scans": loglik_scans(scans),
        "parameter-paths": parameter_paths(path),
        "responsibilities": responsibilities(x, path),
    }
    pictures = []
    for name, figure in figures.items():
        picture = out / f"{name}.png"
        figure.savefig(picture, dpi=150)
        pictures.append(picture)
    echo(f"   {len(pictures)} written to {out}")
    return pictures


def fitted_density(x: Any, path: ParameterPath) -> Figure:
    """Histogram with the fitted density and its components."""
    figure = _figure(7.0, 4.4)
    title = f"{len(x)} values, the fitted density and its two components"
    _count_from_one(plot.density(path.model, x, ax=figure.subplots(), title=title))
    return figure


def densities_by_weight(x: Any) -> Figure:
    """Densities for several mixing weights, the other parameters true."""
    figure = _figure(7.0, 4.4)
    ax = prepared_axes(figure.subplots())
    heights, edges = np.histogram(x, bins=60, density=True)
    ax.stairs(heights, edges, fill=True, color=FILL, label="data")
    grid = np.linspace(edges[0], edges[-1], 600)
    for p, shade in SHOWN_WEIGHTS.items():
        along = marginal(as_model(TRUTH._replace(p=p)), (0,))
        true = p == TRUTH.p
        ax.plot(
            grid,
            component_densities(along, grid).sum(axis=0),
            color=shade,
            linewidth=2.6 if true else 1.7,
            label=f"p = {p:g}" + (" (true)" if true else ""),
        )
    ax.set_ylim(bottom=0)
    ax.set_xlim(grid[0], grid[-1])
    title = "p·N(1, 2²) + (1 − p)·N(9, 3²) for four weights p"
    dress(ax, title=title, xlabel="value", ylabel="density")
    quiet_legend(ax)
    return figure


def loglik_scans(scans: list[Scan]) -> Figure:
    """Draw the scans of the log-likelihood: the weight large, the other four beside it."""
    figure = _figure(12.0, 5.4)
    axes = figure.subplot_mosaic(
        [["p", "mean1", "mean2"], ["p", "sd1", "sd2"]], width_ratios=[1.3, 1, 1]
    )
    for scan in scans:
        plot.loglik_scan(
            scan.grid, scan.loglik, scan.truth, label=SYMBOLS[scan.name], ax=axes[scan.name]
        )
    return figure


def parameter_paths(path: ParameterPath) -> Figure:
    """Each parameter over the iterations of EM, and the log-likelihood they reach."""
    figure = _figure(12.0, 5.6)
    axes = figure.subplot_mosaic([["p", "mean1", "mean2"], ["loglik", "sd1", "sd2"]])
    for name in NAMES:
        values = [getattr(parameters, name) for parameters in path.parameters]
        plot.parameter_path(values, getattr(TRUTH, name), label=SYMBOLS[name], ax=axes[name])
    plot.parameter_path(path.logliks, label="log-likelihood per row", ax=axes["loglik"])
    return figure


def responsibilities(x: Any, path: ParameterPath) -> Figure:
    """Probability of each component over the sorted values."""
    figure = _figure(7.0, 4.0)
    title = "Which component does a value come from?"
    _count_from_one(plot.responsibilities(path.model, x, ax=figure.subplots(), title=title))
    return figure


def _count_from_one(ax: Axes) -> None:
    """Call the components 1 and 2, as the demo's texts and its formula do."""
    for line in ax.lines:
        word, _, number = str(line.get_label()).partition(" ")
        if word == "component":
            line.set_label(f"{word} {int(number) + 1}")
    quiet_legend(ax)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    # Not through pyplot: no window, no global state, and quicker to import.
    return Figure(figsize=(width, height), layout="constrained")
