"""Two columns: the rows, and each component's ellipses of one and two standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusem.data.open import open_rows
from fusem.plot.limits import Limits, limits, with_beyond
from fusem.plot.style import INK, component_colors, dress, prepared_axes
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

# Up to here rows are dots in their component's colour; beyond, a picture of their density,
# because dots on top of each other show only the outline of a cloud.
MAX_DOTS = 5_000
MAX_ROWS = 1_000_000
PIXELS = 220


def ellipses(
    model: Any,
    X: Any = None,
    *,
    columns: tuple[int | str, int | str] = (0, 1),
    sigmas: Sequence[float] = (1.0, 2.0),
    labels: bool | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the components of a mixture as ellipses along two of its columns.

    Parameters
    ----------
    model : GaussianMixture
        A fitted model of at least two columns, of any covariance type.
    X : data of shape (n_rows, n_columns), optional
        Anything that `fusem.rows` accepts. Up to 5,000 rows are drawn as dots in the colour of
        their component, more as a picture of their density (a million sampled rows at most). How
        many of them lie too far away to be shown, or miss a value of the two columns, is said under
        the title.
    columns : pair of int or str, default=(0, 1)
        The two columns, by number or by name: horizontal, vertical.
    sigmas : sequence of float, default=(1, 2)
        Radii of the ellipses in standard deviations.
    labels : bool, optional
        Write each component's number at its mean; by default up to 20 components.
    title : str, optional
        Title of the axes; by default what the rings are, and of how many columns two are drawn.
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
        When the model has one column only, or no such column.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> X = np.random.default_rng(0).normal([[0.0, 0.0]] * 300 + [[6.0, 3.0]] * 700)
    >>> model = fusem.GaussianMixture(2, random_state=0).fit(X)
    >>> ax = fusem.plot.ellipses(model, X, ax=Figure().subplots())
    >>> len(ax.patches)  # two components, one and two sigma
    4
    """
    check_mixture(model, "ellipses")
    if model.means_.shape[1] < 2:
        raise ValueError("ellipses needs a model of two columns or more; draw this one by density.")
    first, second = (column_index(model, column) for column in columns)
    if first == second:
        raise ValueError(f"columns={columns!r}: choose two different columns.")
    ax = prepared_axes(ax, width=6.0, height=5.0)
    along = marginal(model, (first, second))
    shades = component_colors(len(along.weights))
    rows = None if X is None else sampled_rows(model, X, MAX_ROWS)[0]
    seen = None if rows is None else rows[:, [first, second]]
    shown = limits(along, seen, max(sigmas))
    dots = rows is None or len(rows) <= MAX_DOTS
    if rows is not None and seen is not None:
        placed = ~np.isnan(seen).any(axis=1)
        if dots and placed.any():
            labels_of_rows = model.predict(open_rows(rows[placed]))
            _draw_dots(ax, seen[placed], np.asarray(shades)[labels_of_rows])
        elif placed.any():
            _draw_image(ax, seen[placed], shown)
    _draw_ellipses(ax, along, shades, sigmas, tint=dots)
    if labels if labels is not None else len(along.weights) <= 20:
        _draw_labels(ax, along)
    ax.set_xlim(shown.low[0], shown.high[0])
    ax.set_ylim(shown.low[1], shown.high[1])
    if title is None:
        title = _title(sigmas, model.means_.shape[1])
    dress(
        ax,
        title=with_beyond(title, shown, 0 if rows is None else len(rows), len(along.weights)),
        xlabel=column_label(model, first),
        ylabel=column_label(model, second),
    )
    return ax


def _title(sigmas: Sequence[float], n_columns: int) -> str:
    radii = " and ".join(f"{sigma:g}" for sigma in sigmas)
    unit = "standard deviation" if list(sigmas) == [1] else "standard deviations"
    return f"rings: {radii} {unit}" + (f"; 2 of {n_columns} columns" if n_columns > 2 else "")


def _draw_dots(ax: Axes, rows: NDArray[np.float64], shade: NDArray[np.str_]) -> None:
    size = float(np.clip(6000 / max(len(rows), 1), 3, 18))
    ax.scatter(rows[:, 0], rows[:, 1], s=size, c=shade.tolist(), alpha=0.45, linewidths=0)


def _draw_image(ax: Axes, rows: NDArray[np.float64], shown: Limits) -> None:
    from matplotlib.colors import LogNorm

    x, y = rows.T
    ends = np.stack([shown.low, shown.high], axis=1)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=PIXELS, range=ends)
    image = np.ma.masked_equal(counts.T, 0)
    # Logarithmic: a sparse component beside a dense one would vanish on a linear scale.
    norm = LogNorm(0.5, max(counts.max(), 1) * 20)
    ax.pcolormesh(x_edges, y_edges, image, cmap="Greys", norm=norm, rasterized=True)
    ax.grid(False)


def _draw_ellipses(
    ax: Axes, along: Marginal, shades: list[str], sigmas: Sequence[float], *, tint: bool
) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Ellipse
    from matplotlib.patheffects import Normal, withStroke

    inner = min(sigmas)
    for k in np.flatnonzero(along.weights > 0):
        spread, axes = np.linalg.eigh(along.covariances[k])
        width, height = 2 * np.sqrt(np.maximum(spread[::-1], 0.0))
        angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
        centre = (float(along.means[k, 0]), float(along.means[k, 1]))
        for sigma in sigmas:
            filled = tint and sigma == inner
            ellipse = Ellipse(centre, sigma * width, sigma * height, angle=angle, zorder=3)
            ellipse.set_facecolor(to_rgba(shades[k], 0.10) if filled else "none")
            ellipse.set_edgecolor(shades[k])
            ellipse.set_linewidth(2.0 if sigma == inner else 1.3)
            if not tint:  # a pale rim, so that a line stays visible on dense data
                ellipse.set_path_effects([withStroke(linewidth=4, foreground="white"), Normal()])
            ax.add_patch(ellipse)


def _draw_labels(ax: Axes, along: Marginal) -> None:
    from matplotlib.patheffects import withStroke

    for k in np.flatnonzero(along.weights > 0):
        ax.annotate(
            str(k),
            (float(along.means[k, 0]), float(along.means[k, 1])),
            ha="center",
            va="center",
            fontsize=10,
            fontweight="bold",
            color=INK,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            zorder=4,
        )
