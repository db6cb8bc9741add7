"""One column: the histogram of the data under the fitted density and its components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusem.plot.limits import limits, with_beyond
from fusem.plot.style import (
    FILL,
    INK,
    component_colors,
    component_labels,
    dress,
    prepared_axes,
    quiet_legend,
)
from fusem.plot.view import (
    Marginal,
    check_mixture,
    column_index,
    column_label,
    marginal,
    sampled_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Enough that a histogram with 200 bars is smooth, few enough to read in well under a second.
MAX_ROWS = 1_000_000
GRID_POINTS = 800
REACH = 3.0  # standard deviations of each component that are shown


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
        Beyond a million rows the histogram is made from a sample of them. How many of them lie
        too far away to be shown, or have no value in the column, is said under the title.
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
    TypeError
        When the model is no Gaussian mixture.

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
    check_mixture(model, "density")
    ax = prepared_axes(ax)
    index = column_index(model, column)
    along = marginal(model, (index,))
    values, weights, n_rows = np.empty(0), None, 0
    if X is not None:
        rows, weights = sampled_rows(model, X, MAX_ROWS, sample_weight=sample_weight)
        values, n_rows = rows[:, index], len(rows)
    shown = limits(along, values[:, None], REACH)
    known = ~np.isnan(values)
    values, weights = values[known], None if weights is None else weights[known]
    low, high = float(shown.low[0]), float(shown.high[0])
    if values.size:
        _histogram(ax, values, weights, bins, (low, high))
    title = with_beyond(title, shown, n_rows, len(along.weights))
    grid = np.linspace(low, high, GRID_POINTS)
    curves = component_densities(along, grid)
    if components and len(curves) > 1:
        names, shades = component_labels(len(curves)), component_colors(len(curves))
        for curve, shade, name in zip(curves, shades, names, strict=True):
            if not values.size:
                ax.fill_between(grid, curve, color=shade, alpha=0.12, linewidth=0)
            ax.plot(grid, curve, color=shade, linewidth=1.6, label=name)
    ax.plot(grid, curves.sum(axis=0), color=color or INK, linewidth=2.0, label=label)
    ax.set_xlim(low, high)
    ax.set_ylim(bottom=0)
    dress(ax, title=title, xlabel=column_label(model, index), ylabel="density")
    quiet_legend(ax)
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
