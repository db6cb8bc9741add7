"""One column: the histogram of the data under the fitted density and its components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusem.plot.style import FILL, INK, component_colors, dress, prepared_axes, quiet_legend
from fusem.plot.view import Marginal, column_index, column_label, marginal, sampled_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Enough that a histogram with 200 bars is smooth, few enough to read in well under a second.
MAX_ROWS = 1_000_000
GRID_POINTS = 800


def density(
    model: Any,
    X: Any = None,
    *,
    column: int | str = 0,
    sample_weight: Any = None,
    bins: int | None = None,
    components: bool = True,
    label: str = "mixture",
    color: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of a mixture along one column, over a histogram of the data.

    Parameters
    ----------
    model : GaussianMixture
        A fitted model.
    X : data of shape (n_rows, n_columns), optional
        Anything that `fusem.rows` accepts. Without it only the density is drawn.
        Beyond a million rows the histogram is made from a sample of them.
    column : int or str, default=0
        The column to look along; with several columns the density is the marginal one.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows in the histogram.
    bins : int, optional
        Number of bars; by default chosen by the rule of Freedman and Diaconis.
    components : bool, default=True
        Draw each component, scaled by its weight, under the mixture's density.
    label : str, default="mixture"
        What the legend calls the density.
    color : str, optional
        Colour of the density's line; near black by default.
    title : str, optional
        Title of the axes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default into a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    ValueError
        When the model has no such column.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> x = np.random.default_rng(0).normal([[1.0]] * 300 + [[9.0]] * 700, 2.0)
    >>> model = fusem.GaussianMixture(2, random_state=0).fit(x)
    >>> ax = fusem.plot.density(model, x, ax=Figure().subplots())
    >>> ax.get_ylabel()
    'density'
    """
    ax = prepared_axes(ax)
    index = column_index(model, column)
    along = marginal(model, (index,))
    values = weights = None
    if X is not None:
        rows, weights = sampled_rows(model, X, MAX_ROWS, sample_weight=sample_weight)
        values = rows[:, index]
    low, high = _view(along, values)
    if values is not None:
        _histogram(ax, values, weights, bins, (low, high))
    grid = np.linspace(low, high, GRID_POINTS)
    curves = component_densities(along, grid)
    if components and len(curves) > 1:
        for k, (curve, shade) in enumerate(zip(curves, component_colors(len(curves)), strict=True)):
            if values is None:
                ax.fill_between(grid, curve, color=shade, alpha=0.12, linewidth=0)
            ax.plot(grid, curve, color=shade, linewidth=1.6, label=f"component {k}")
    ax.plot(grid, curves.sum(axis=0), color=color or INK, linewidth=2.0, label=label)
    ax.set_xlim(low, high)
    ax.set_ylim(bottom=0)
    dress(ax, title=title, xlabel=column_label(model, index), ylabel="density")
    quiet_legend(ax, columns=1 + len(curves) // 8)
    return ax


def component_densities(along: Marginal, grid: ArrayLike) -> NDArray[np.float64]:
    """Return each component's density times its weight on a grid: shape (K, n_points)."""
    sd = np.sqrt(along.covariances[:, 0, 0])[:, None]
    z = (np.asarray(grid, dtype=np.float64)[None, :] - along.means[:, :1]) / sd
    # Squares of far points may overflow to inf, whose density is rightly 0.
    with np.errstate(over="ignore"):
        shape = np.exp(-0.5 * z * z)
    heights: NDArray[np.float64] = along.weights[:, None] * shape / (np.sqrt(2 * np.pi) * sd)
    return heights


def _view(along: Marginal, values: NDArray[np.float64] | None) -> tuple[float, float]:
    """Choose the stretch to show: the data, but not a stray point far from every component."""
    sd = np.sqrt(along.covariances[:, 0, 0])
    alive = along.weights > 0
    means = along.means[:, 0]
    low = float(np.min((means - 4 * sd)[alive]))
    high = float(np.max((means + 4 * sd)[alive]))
    if values is not None and values.size:
        first, last = float(np.min(values)), float(np.max(values))
        if last >= low and first <= high:  # else the model is not one of this data: show the data
            first, last = max(first, low), min(last, high)
        low, high = first, last
    if not high > low:
        low, high = low - 1.0, high + 1.0
    margin = 0.02 * (high - low)
    return low - margin, high + margin


def _histogram(
    ax: Axes,
    values: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    bins: int | None,
    view: tuple[float, float],
) -> None:
    """Draw bars whose areas are shares of all rows, those out of view included."""
    if bins is None:
        quarter, three_quarters = np.quantile(values, (0.25, 0.75))
        width = 2 * (three_quarters - quarter) * values.size ** (-1 / 3)
        bins = int(np.clip((view[1] - view[0]) / width if width > 0 else 60, 20, 200))
    heights, edges = np.histogram(values, bins=bins, range=view, weights=weights)
    total = values.size if weights is None else float(weights.sum())
    heights = heights / (total * np.diff(edges))
    ax.stairs(heights, edges, fill=True, color=FILL, label="data")
