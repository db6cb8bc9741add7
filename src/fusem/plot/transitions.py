"""The transition matrix of a hidden Markov model, in colours and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusem.plot.style import INK, MUTED, component_colors, dress, prepared_axes
from fusem.plot.view import check_chain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 20  # states that are all named
LEAST_SIZE = 5.0  # points; where numbers would have to be smaller a bar of colours stands for them
SHADES = ("#ffffff", "#cfe3f1", "#5ba3cf", "#0072B2", "#084a76")
DARK = 0.35  # probabilities whose numbers are white


def transitions(model: Any, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the probabilities of the next state, a row for each state.

    On the right stands how many rows a state lasts on average, 1 / (1 − its probability of itself). The
    colours go with the square root of the probability, that rare transitions are seen. Where there is no
    room for numbers a bar of colours stands for them.

    Parameters
    ----------
    model : GaussianHMM, GMMHMM, PoissonHMM, CategoricalHMM, MultinomialHMM or HMM
        A fitted model.
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

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> model = fusem.PoissonHMM(2)
    >>> model.startprob_, model.transmat_ = [1, 0], [[0.9, 0.1], [0.05, 0.95]]
    >>> model.lambdas_ = [[2.0], [9.0]]
    >>> ax = fusem.plot.transitions(model, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['0.90', '0.10', '0.050', '0.95']
    """
    check_chain(model, "transitions")
    moves = np.asarray(model._model().transitions)
    K = len(moves)
    side = min(9.0, 2.6 + 0.55 * K)
    ax = prepared_axes(ax, width=side + 0.8, height=side)
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    shades = LinearSegmentedColormap.from_list("fusem", SHADES)
    image = ax.imshow(moves, cmap=shades, norm=PowerNorm(0.5, 0.0, 1.0), aspect="equal")
    ax.grid(False)
    ax.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    ax.grid(True, which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ticks = np.arange(K) if K <= MOST_TICKS else np.arange(0, K, -(-K // 10))
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.set_yticks(ticks, [str(k) for k in ticks])
    size = _size_of_numbers(ax, K)
    if size < LEAST_SIZE:
        ax.figure.colorbar(image, ax=ax, label="probability", ticks=[0, 0.01, 0.1, 0.3, 0.6, 1])
    else:
        _write(ax, moves, size)
        _stays(ax, moves)
    if K <= MOST_TICKS:
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            for label, color in zip(labels, component_colors(K), strict=True):
                label.set(color=color, fontweight="bold")
    dress(
        ax,
        title="transition probabilities" if title is None else title,
        xlabel="next state",
        ylabel="state",
    )
    return ax


def _size_of_numbers(ax: Axes, K: int) -> float:
    """Points of the numbers' letters, so that seven fit into a cell."""
    box = ax.get_window_extent()
    cell = min(box.width, box.height) * 72.0 / ax.figure.dpi / K
    return float(min(10.0, cell / 4.4))


def _write(ax: Axes, moves: Any, size: float) -> None:
    for i, j in np.ndindex(*moves.shape):
        p = float(moves[i, j])
        color = MUTED if p == 0 else "white" if p >= DARK else INK
        ax.text(j, i, probability(p), ha="center", va="center", fontsize=size, color=color)


def _stays(ax: Axes, moves: Any) -> None:
    """How long each state lasts, on the right."""
    from matplotlib.ticker import FixedLocator

    right = ax.secondary_yaxis("right")
    right.spines[:].set_visible(False)
    right.yaxis.set_major_locator(FixedLocator(list(range(len(moves)))))
    with np.errstate(divide="ignore"):
        rows = 1.0 / (1.0 - np.diag(moves))
    right.set_yticklabels([_duration(float(n)) for n in rows])
    right.tick_params(length=0, labelcolor=INK, labelsize=9)
    right.set_ylabel("rows that it lasts on average", fontsize=10, color=INK)


def _duration(rows: float) -> str:
    if not np.isfinite(rows):
        return "for ever"
    return f"{rows:.1f}" if rows < 100 else f"{rows:,.0f}" if rows < 1e6 else f"{rows:.1e}"


def probability(p: float) -> str:
    """A probability in two digits; those near 0 and 1 are not rounded to what they are not."""
    if p in (0.0, 1.0):
        return f"{p:.0f}"
    if p < 1e-4:
        return "<0.0001"
    if p > 0.99:
        return ">0.9999" if p > 0.9999 else f"{p:.4f}"
    return f"{p:.2f}" if p >= 0.0995 else f"{p:#.2g}"
