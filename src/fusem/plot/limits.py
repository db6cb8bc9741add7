"""What stretch a picture shows: the components and the rows near them, whatever lies far away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusem.plot.view import Array, Marginal

Flags = NDArray[np.bool_]
LIGHT = 0.01  # weight below which a component may be left out ...
FAR = 5.0  # ... if it lies farther from the others than this many times their stretch
NEAR = 0.5  # rows are shown up to this share of the components' stretch beyond it
CENTRE = 0.005, 0.995  # of rows that a model does not fit, what is shown
MARGIN = 0.03


class Limits(NamedTuple):
    """Ends of each of m axes (m,), and how many rows and components are not to be seen between them."""

    low: Array
    high: Array
    rows: int  # beyond the ends
    components: int
    holes: int = 0  # rows that miss a value of the axes and have no place


def limits(along: Marginal, rows: Array | None, reach: float) -> Limits:
    """Choose what to show of m columns.

    Parameters
    ----------
    along : Marginal
        The components, along the columns to be drawn.
    rows : ndarray of shape (n, m), or None
        The rows to be drawn.
    reach : float
        Every component is shown up to so many standard deviations.

    Returns
    -------
    Limits
        A stray row, or a component that holds little more than such rows, does not shrink the rest.
    """
    low, high, shown = _components(along, reach)
    alive = along.weights > 0
    beyond = holes = 0
    if rows is not None:
        complete = np.isfinite(rows).all(axis=1)
        holes = len(rows) - int(np.count_nonzero(complete))
        rows = rows[complete]
    if rows is not None and len(rows):
        near = _inside(rows, low, high, NEAR)
        if 2 * np.count_nonzero(near) >= len(rows):
            first, last = rows[near].min(axis=0), rows[near].max(axis=0)
        else:  # the model is not one of these rows
            first, last = np.quantile(rows, CENTRE, axis=0)
        low, high = np.minimum(low, first), np.maximum(high, last)
        beyond = len(rows) - int(np.count_nonzero(_inside(rows, low, high, 0.0)))
    flat = ~(high > low)
    low, high = low - flat, high + flat
    margin = MARGIN * (high - low)
    left_out = int(np.count_nonzero(alive & ~shown))
    return Limits(low - margin, high + margin, beyond, left_out, holes)


def _components(along: Marginal, reach: float) -> tuple[Array, Array, Flags]:
    """Ends of the components' stretch on each axis, and which components it holds."""
    sd = np.sqrt(np.diagonal(along.covariances, axis1=1, axis2=2))
    lows, highs = along.means - reach * sd, along.means + reach * sd
    alive = along.weights > 0
    heavy = along.weights >= LIGHT * along.weights.sum()
    if not heavy.any():  # so many that none is
        heavy = alive
    low, high = lows[heavy].min(axis=0), highs[heavy].max(axis=0)
    fits = _inside(lows, low, high, FAR) & _inside(highs, low, high, FAR)
    shown = heavy | (alive & fits)
    return lows[shown].min(axis=0), highs[shown].max(axis=0), shown


def _inside(points: Array, low: Array, high: Array, share: float) -> Flags:
    """Which points (n, m) lie between the ends, or beyond by at most a share of the stretch."""
    room = share * (high - low)
    inside: Flags = np.asarray(((points >= low - room) & (points <= high + room)).all(axis=1))
    return inside


def with_beyond(title: str | None, found: Limits, n_rows: int, n_components: int) -> str | None:
    """Say under a title what lies outside the picture, where nothing is covered; what has no place too."""
    parts = []
    if found.rows:
        parts.append(f"{found.rows:,} of {n_rows:,} rows")
    if found.components:
        parts.append(f"{found.components:,} of {n_components:,} components")
    outside = f"outside: {' and '.join(parts)}" if parts else None
    return with_missing(with_note(title, outside), found.holes, n_rows)


def with_missing(title: str | None, n_missing: int, n_rows: int) -> str | None:
    """Say under a title how many rows have no place in a picture."""
    note = f"not drawn, values are missing: {n_missing:,} of {n_rows:,} rows"
    return with_note(title, note if n_missing else None)


def with_note(title: str | None, note: str | None) -> str | None:
    """A title with a line below it, if there is one to say."""
    return f"{title}\n{note}" if title and note else title or note
