"""Curves: the log-likelihood per sweep, a log-likelihood scan, a parameter's path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusem.plot.style import INK, PALETTE, TRUTH, dress, prepared_axes, quiet_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def trace(model: Any, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood per row at each sweep of the fit, before its M-step.

    Of a hidden Markov model it is that of all sequences, with the log-density of its priors.

    Parameters
    ----------
    model : GaussianMixture or hidden Markov model
        A fitted model; its ``history_`` is drawn.
    title : str, optional
        Title of the axes; by default whether and when the fit converged.
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
        When the model has no history (its parameters were assigned, not fitted).

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> x = np.random.default_rng(0).normal([[1.0]] * 300 + [[9.0]] * 700, 2.0)
    >>> model = fusem.GaussianMixture(2, random_state=0).fit(x)
    >>> ax = fusem.plot.trace(model, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'sweep'
    """
    history = getattr(model, "history_", None)
    if history is None or len(history) == 0:
        raise ValueError("The model has no history of sweeps; fit it, then draw its trace.")
    ax = prepared_axes(ax)
    sweeps = np.asarray(history["iteration"])
    values = np.asarray(history["log_likelihood"], dtype=np.float64)
    marker = "o" if len(sweeps) <= 60 else None
    ax.plot(sweeps, values, color=PALETTE[0], linewidth=1.8, marker=marker, markersize=3.5)
    _whole_numbers(ax)
    if title is None:
        state = "converged" if model.converged_ else "not converged"
        title = f"{state} after {len(sweeps)} sweeps"
    of_all = hasattr(model, "transmat_")
    value = "log-likelihood, with priors" if of_all else "log-likelihood per row"
    dress(ax, title=title, xlabel="sweep", ylabel=value)
    _plain_numbers(ax)
    return ax


def loglik_scan(
    grid: ArrayLike,
    loglik: ArrayLike,
    truth: float | None = None,
    *,
    label: str = "parameter",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a log-likelihood scanned over one parameter, its peak marked.

    Parameters
    ----------
    grid : array-like of shape (n_values,)
        Values of the parameter.
    loglik : array-like of shape (n_values,)
        Log-likelihood at each value, as `fusem.profile_loglik` returns it.
    truth : float, optional
        The true value, drawn as a red line.
    label : str, default="parameter"
        Name of the parameter, for the horizontal axis.
    title : str, optional
        Title of the axes; by default where the peak is.
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
        When the two arrays differ in shape or hold no finite log-likelihood.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> ax = fusem.plot.loglik_scan(
    ...     [0.1, 0.3, 0.5], [-2.7, -2.5, -2.6], truth=0.3, label="p", ax=Figure().subplots()
    ... )
    >>> ax.get_title(loc="left")
    'highest at p = 0.3'
    """
    values, heights = _pair(grid, loglik)
    finite = np.isfinite(heights)
    if not finite.any():
        raise ValueError("loglik holds no finite value, so there is no curve to draw.")
    ax = prepared_axes(ax)
    peak = int(np.argmax(np.where(finite, heights, -np.inf)))
    if truth is not None:
        ax.axvline(truth, color=TRUTH, linewidth=1.5, label=f"true value {truth:g}")
    ax.plot(
        values[finite],
        heights[finite],
        color=PALETTE[0],
        linewidth=1.8,
        marker="o" if len(values) <= 60 else None,
        markersize=4,
    )
    ax.plot(
        values[peak],
        heights[peak],
        linestyle="none",
        marker="o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=1.5,
        label="highest",
    )
    if title is None:
        title = f"highest at {label} = {values[peak]:.4g}"
    dress(ax, title=title, xlabel=label, ylabel="log-likelihood per row")
    quiet_legend(ax)
    return ax


def parameter_path(
    values: ArrayLike,
    truth: float | None = None,
    *,
    iterations: ArrayLike | None = None,
    label: str = "parameter",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how one parameter moved over the iterations of a fit.

    Parameters
    ----------
    values : array-like of shape (n_iterations,)
        The parameter's value at each iteration.
    truth : float, optional
        The true value, drawn as a red line.
    iterations : array-like of shape (n_iterations,), optional
        Iteration numbers; 0, 1, 2, … by default.
    label : str, default="parameter"
        Name of the parameter, for the vertical axis.
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
        When the two arrays differ in shape.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import fusem
    >>> ax = fusem.plot.parameter_path(
    ...     [0.5, 0.4, 0.31, 0.3], truth=0.3, label="p", ax=Figure().subplots()
    ... )
    >>> ax.get_ylabel()
    'p'
    """
    if iterations is None:
        iterations = np.arange(np.asarray(values).shape[0])
    steps, path = _pair(iterations, values)
    ax = prepared_axes(ax)
    if truth is not None:
        ax.axhline(truth, color=TRUTH, linewidth=1.5, label=f"true value {truth:g}")
    ax.plot(steps, path, color=PALETTE[0], linewidth=1.8, label="estimate")
    ax.plot(steps[-1:], path[-1:], color=PALETTE[0], marker="o", markersize=5)
    _whole_numbers(ax)
    dress(ax, title=title, xlabel="iteration", ylabel=label)
    if truth is not None:
        quiet_legend(ax)
    return ax


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            f"Two 1-D arrays of one length are needed; these have shapes {x.shape} and {y.shape}."
        )
    return x, y


def _whole_numbers(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plain_numbers(ax: Axes) -> None:
    """Show -2.6341 rather than an offset beside a power of ten."""
    from matplotlib.ticker import ScalarFormatter

    ax.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
