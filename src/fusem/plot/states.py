"""A series and the hidden states behind it, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.plot.limits import with_note
from fusem.plot.stretches import Array, Stretches, stretches
from fusem.plot.style import (
    INK,
    MOST_NAMES,
    component_colors,
    dress,
    prepared_axes,
)
from fusem.plot.view import check_chain, column_index, column_label, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LANES = 6  # columns drawn unless told
NAME, NUMBER, LINE = 66.0, 36.0, 15.0  # points in the legend: of a name, a number, a line of them
MOST_NUMBERS = 40  # of states, past the names
MOST_ENDS = 60  # of sequences that are marked
TINT = 0.22
LANE, GAP, BAND = 1.0, 0.12, 0.45  # heights: a column, between two, the states
CENTRE = (0.001, 0.999)  # quantiles; values far beyond are counted, not drawn


class Lane(NamedTuple):
    """Where a column is drawn: `low` at `bottom`, `high` a height of LANE above."""

    low: float
    high: float
    bottom: float

    def place(self, values: Any) -> Array:
        """Heights of values."""
        return np.asarray(self.bottom + LANE * (values - self.low) / (self.high - self.low))


def states(
    model: Any,
    X: Any,
    lengths: Any = None,
    *,
    columns: Any = None,
    rows: tuple[int, int] | None = None,
    proba: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw columns over time, behind them and in a band below the state of each row.

    Up to 2,000 rows are drawn one by one. More are drawn in 1,000 stretches, each from its least value to
    its greatest, and in the band the shares of the states: no row is left out, as the title says.

    Parameters
    ----------
    model : GaussianHMM, GMMHMM, PoissonHMM, CategoricalHMM, MultinomialHMM or HMM
        A fitted model.
    X : data of shape (n_rows, n_columns), or a list of such sequences
        Whatever `predict` takes.
    lengths : array-like of int, optional
        Rows of each sequence. Up to 60 ends of sequences are marked by a line.
    columns : int, str, or list of them, optional
        Columns to draw, by number or by name; by default the first six.
    rows : pair of int, optional
        First row to draw, and the one after the last, of all sequences. Their states are those given the
        whole of their sequences all the same.
    proba : bool, default=False
        Show the probabilities of the states in the band, instead of the states of `predict`.
    title : str, optional
        Title of the axes; by default how many rows and sequences there are.
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
        When there are no such columns or rows.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> quakes = np.array([13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18])[:, None]
    >>> model = fusem.PoissonHMM(2, random_state=0, n_iter=100).fit(quakes)
    >>> ax = fusem.plot.states(model, quakes, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'row'
    """
    check_chain(model, "states")
    chosen = _chosen(model, columns)
    observations = model._observe(X, lengths, width(model))
    first, last = (0, observations.n_rows) if rows is None else _checked(rows, observations.n_rows)
    given = observations.rows, observations.lengths
    path = model.predict(*given)[first:last]
    K = model.n_components
    parts = stretches(first, last)
    of_path = parts.shares(path, K)
    values = np.asarray(observations.part(first, last)[:, chosen], dtype=np.float64)
    ends = observations.ends[:-1]
    ends = ends[(ends > first) & (ends < last)]
    if ax is None:
        ax = prepared_axes(None, width=9.0, height=1.6 + 1.3 * len(chosen))
    else:
        ax = prepared_axes(ax)
    lanes, outside = _lanes(values)
    shades = component_colors(K)
    top = lanes[0].bottom + LANE
    _tint(ax, parts, of_path, shades, top)
    shares = parts.means(model.predict_proba(*given)[first:last]) if proba else of_path
    _band(ax, parts, shares, shades)
    for lane, column in zip(lanes, values.T, strict=True):
        _series(ax, parts, column, ends - first, lane)
    if len(ends) <= MOST_ENDS:
        ax.vlines(ends - 0.5, 0.0, top, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    _axes(ax, lanes, [column_label(model, j) for j in chosen], "probability" if proba else "state")
    ax.set_xlim(first - 0.5, last - 0.5)
    ax.set_ylim(0.0, top)
    if title is None:
        title = _title(observations, first, last, len(chosen), width(model))
    told = None if parts.single else _thinned(parts)
    beyond = f"outside: {outside:,} of {last - first:,} rows" if outside else None
    title = with_note(with_note(title, told), beyond)
    dress(ax, title=title, xlabel="row", ylabel=None, room=_legend(ax, shades))
    return ax


def _chosen(model: Any, columns: Any) -> list[int]:
    if columns is None:
        return list(range(min(width(model), MOST_LANES)))
    names = [columns] if np.ndim(columns) == 0 else list(columns)
    if not names:
        raise ValueError("columns=[] draws nothing: name at least one column.")
    return [column_index(model, name) for name in names]


def _checked(rows: tuple[int, int], n_rows: int) -> tuple[int, int]:
    first, last = (int(row) for row in rows)
    if not 0 <= first < last <= n_rows:
        raise ValueError(f"rows={rows!r}: give first and last + 1 of rows 0 to {n_rows - 1}.")
    return first, last


def _lanes(values: Array) -> tuple[list[Lane], int]:
    """A lane for each column, the first on top, and how many rows have a value beyond."""
    lanes, beyond = [], np.zeros(len(values), dtype=bool)
    for j, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
        if known.size:
            near = np.quantile(known, CENTRE)
            room = max(near[1] - near[0], np.finfo(float).tiny)
            if high - low > 3.0 * room:
                low, high = max(low, near[0] - room / 2), min(high, near[1] + room / 2)
        flat = not high > low
        low, high = low - flat, high + flat
        margin = 0.04 * (high - low)
        bottom = BAND + GAP + (values.shape[1] - 1 - j) * (LANE + GAP)
        lanes.append(Lane(float(low - margin), float(high + margin), bottom))
        beyond |= (column < low - margin) | (column > high + margin)
    return lanes, int(np.count_nonzero(beyond))


def _tint(ax: Axes, parts: Stretches, shares: Array, shades: list[str], top: float) -> None:
    """The background: the colour of the state, of stretches the mean of their states'."""
    from matplotlib.colors import to_rgb

    colors = 1.0 - TINT * (1.0 - shares @ np.array([to_rgb(shade) for shade in shades]))
    ax.imshow(
        colors[None],
        extent=(parts.edges[0] - 0.5, parts.edges[-1] - 0.5, BAND, top),
        aspect="auto",
        interpolation="nearest",
        zorder=0.5,
    )


def _band(ax: Axes, parts: Stretches, shares: Array, shades: list[str]) -> None:
    """The shares of the states, one above the other."""
    below = np.zeros(len(shares))
    for shade, share in zip(shades, shares.T, strict=True):
        above = np.minimum(below + BAND * share, BAND)
        ax.stairs(
            above, parts.edges - 0.5, baseline=below, fill=True, color=shade, linewidth=0, zorder=1
        )
        below = above


def _series(ax: Axes, parts: Stretches, values: Array, ends: NDArray[np.int64], lane: Lane) -> None:
    middle = (parts.edges[:-1] + parts.edges[1:] - 1) / 2
    if not parts.single:
        low, high = (lane.place(each(values)) for each in (parts.least, parts.greatest))
        thick = 0.004 * LANE  # that a stretch of equal values is seen
        ax.fill_between(
            middle, _within(low - thick, lane), _within(high + thick, lane),
            step="mid", color=INK, linewidth=0, alpha=0.8, zorder=2,
        )  # fmt: skip
        return
    marker = "." if len(values) <= 300 else None
    height = lane.place(values)
    height[(height < lane.bottom) | (height > lane.bottom + LANE)] = np.nan
    ax.plot(
        np.insert(middle, ends, np.nan), np.insert(height, ends, np.nan),
        color=INK, linewidth=0.9, marker=marker, markersize=3.5, zorder=2,
    )  # fmt: skip


def _within(heights: Array, lane: Lane) -> Array:
    return np.clip(heights, lane.bottom, lane.bottom + LANE)


def _axes(ax: Axes, lanes: list[Lane], names: list[str], band: str) -> None:
    """Ticks in the units of each column, and the names of columns and band."""
    from matplotlib.ticker import MaxNLocator

    at, texts = [], []
    for lane in lanes:
        locator = MaxNLocator(nbins=4, steps=[1, 2, 5, 10])
        ticks = np.asarray(locator.tick_values(lane.low, lane.high))
        ticks = ticks[(ticks >= lane.low) & (ticks <= lane.high)]
        at += lane.place(ticks).tolist()
        texts += [f"{tick:.6g}" for tick in ticks]
    ax.set_yticks(at, texts)
    ax.grid(False)
    for name, lane in zip(names, lanes, strict=True):
        _beside(ax, name, lane.bottom + LANE / 2, -42.0, rotation=90, ha="center")
    _beside(ax, band, BAND / 2, -7.0, ha="right")
    for lane in lanes[1:]:
        ax.axhspan(lane.bottom + LANE, lane.bottom + LANE + GAP, color="white", zorder=0.6)
    ax.axhspan(BAND, BAND + GAP, color="white", zorder=0.6)
    ax.spines["left"].set_visible(False)


def _beside(ax: Axes, name: str, height: float, points: float, **how: Any) -> None:
    """A name left of the axes, so many points away."""
    ax.annotate(
        name, (0.0, height), xycoords=("axes fraction", "data"), xytext=(points, 0.0),
        textcoords="offset points", fontsize=10, color=INK, va="center", **how,
    )  # fmt: skip


def _legend(ax: Axes, shades: list[str]) -> float:
    """Names of the states' colours above the axes; the points that they take."""
    from matplotlib.patches import Patch

    K = len(shades)
    if K > MOST_NUMBERS:
        return 0.0
    points = ax.get_window_extent().width * 72.0 / ax.figure.dpi
    names = [f"state {k}" if K <= MOST_NAMES else str(k) for k in range(K)]
    lines = -(-K // max(1, int(points / (NAME if K <= MOST_NAMES else NUMBER))))
    ax.legend(
        handles=[Patch(color=shade, label=name) for shade, name in zip(shades, names, strict=True)],
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=-(-K // lines), fontsize=9,
        labelcolor=INK, frameon=False, borderpad=0.2, borderaxespad=0.2, handlelength=1.2,
        columnspacing=1.2,
    )  # fmt: skip
    return LINE * lines


def _title(observations: Any, first: int, last: int, n_drawn: int, n_columns: int) -> str:
    n, K = observations.n_rows, len(observations.lengths)
    text = f"{n:,} rows" if last - first == n else f"rows {first:,} to {last - 1:,} of {n:,}"
    if K > 1:
        text += f", {K:,} sequences"
    return text + (f"; {n_drawn} of {n_columns} columns" if n_drawn < n_columns else "")


def _thinned(parts: Stretches) -> str:
    sizes = np.diff(parts.edges)
    size = (
        f"{sizes.min():,}" if sizes.min() == sizes.max() else f"{sizes.min():,} to {sizes.max():,}"
    )
    return f"each stretch of {size} rows from its least value to its greatest, states by share"
