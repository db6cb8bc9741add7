"""The look that all pictures share: one palette, quiet axes, no global setting touched."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colour-blind-safe palette without its yellow (too pale for a line on white)
# and with the black kept for the total; the order keeps neighbours far apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Up to nine components: Paul Tol's "muted" scheme, as safe but less vivid.
WIDE_PALETTE = (
    "#332288",
    "#CC6677",
    "#117733",
    "#88CCEE",
    "#AA4499",
    "#999933",
    "#44AA99",
    "#882255",
    "#DDCC77",
)
INK = "#222222"
MUTED = "#8a8f98"
FILL = "#d5dae1"
GRID = "#e8eaee"
TRUTH = "#c1121f"
MOST_NAMES = 12


class PlotDependencyError(ImportError):
    """matplotlib, which is optional, is not installed."""


def require_matplotlib() -> None:
    """Say how to get matplotlib if it is missing.

    Raises
    ------
    PlotDependencyError
        When matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise PlotDependencyError(
            "Pictures need matplotlib, which is not installed: pip install 'fusem[plot]'"
        )


def component_colors(n_components: int) -> list[str]:
    """Pick one colour per component: from a palette, past the longest from a colormap."""
    for palette in (PALETTE, WIDE_PALETTE):
        if n_components <= len(palette):
            return list(palette[:n_components])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # No set of so many colours is safe for every eye: the ellipses are numbered as well.
    colormap = colormaps["turbo"]
    return [to_hex(colormap(0.05 + 0.9 * k / (n_components - 1))) for k in range(n_components)]


def component_labels(n_components: int) -> list[str]:
    """Name the components in a legend; past a dozen, all by one entry: so many names hide the picture."""
    if n_components <= MOST_NAMES:
        return [f"component {k}" for k in range(n_components)]
    return [f"{n_components} components", *["_"] * (n_components - 1)]


def prepared_axes(ax: Axes | None, *, width: float = 6.4, height: float = 4.0) -> Axes:
    """Return `ax`, or the axes of a new figure, dressed in the shared style."""
    require_matplotlib()
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    ax.grid(True, color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def dress(
    ax: Axes, *, title: str | None, xlabel: str | None, ylabel: str | None, room: float = 0.0
) -> None:
    """Set title and labels in the shared style; None leaves one as it is.

    Between axes and title so many points more than usual are left free.
    """
    if title is not None:
        ax.set_title(title, fontsize=11, color=INK, loc="left", pad=6.0 + room)
    if xlabel is not None:
        ax.set_xlabel(xlabel, fontsize=10, color=INK)
    if ylabel is not None:
        ax.set_ylabel(ylabel, fontsize=10, color=INK)


def quiet_legend(ax: Axes) -> None:
    """Draw a legend without a frame (paper under it hides lines), unless nothing has a label."""
    if entries := ax.get_legend_handles_labels()[0]:
        legend = ax.legend(fontsize=9, labelcolor=INK, ncols=1 + len(entries) // 9)
        legend.get_frame().set(facecolor="white", edgecolor="none", alpha=0.9)
