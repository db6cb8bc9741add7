"""Responsibilities γ(x): the probability of each component, over the sorted data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusem.data.open import open_rows
from fusem.plot.limits import with_missing
from fusem.plot.style import component_colors, component_labels, dress, prepared_axes, quiet_legend
from fusem.plot.view import check_mixture, column_label, sampled_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points than a screen has columns cannot be seen.
MAX_ROWS = 5_000


def responsibilities(
    model: Any,
    X: Any,
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the probability of each component for every value of one-column data, sorted.

    Parameters
    ----------
    model : GaussianMixture
        A fitted model of one column.
    X : data of shape (n_rows, 1) or (n_rows,)
        Anything that `fusem.rows` accepts; beyond 5,000 rows a sample of them is drawn. How many of
        them have no value is said under the title.
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
        When the model has more than one column, or no row has a value.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> x = np.random.default_rng(0).normal([[1.0]] * 300 + [[9.0]] * 700, 2.0)
    >>> model = fusem.GaussianMixture(2, random_state=0).fit(x)
    >>> ax = fusem.plot.responsibilities(model, x, ax=Figure().subplots())
    >>> ax.get_ylabel()
    'responsibility γ(x)'
    """
    check_mixture(model, "responsibilities")
    n_columns = model.means_.shape[1]
    if n_columns != 1:
        raise ValueError(
            f"responsibilities draws a model of one column; this one has {n_columns}: "
            "call model.predict_proba for the numbers."
        )
    rows, _ = sampled_rows(model, X, MAX_ROWS)
    values = np.sort(rows[~np.isnan(rows[:, 0]), 0])
    if not values.size:
        raise ValueError(f"None of {len(rows):,} rows has a value (all are NaN): nothing to draw.")
    ax = prepared_axes(ax)
    shares = model.predict_proba(open_rows(values))
    shades = component_colors(shares.shape[1])
    for share, shade, name in zip(shares.T, shades, component_labels(len(shades)), strict=True):
        ax.plot(values, share, color=shade, linewidth=1.8, label=name)
    # A fringe of ticks shows where the data are: a curve between distant values is no evidence.
    ax.plot(values, np.full(values.size, -0.012), "|", color="#555555", alpha=0.15, markersize=5)
    ax.set_ylim(-0.02, 1.02)
    title = with_missing(title, len(rows) - len(values), len(rows))
    dress(ax, title=title, xlabel=column_label(model, 0), ylabel="responsibility γ(x)")
    quiet_legend(ax)
    return ax
