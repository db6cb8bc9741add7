"""What a fit says while it runs and remembers afterwards."""

from __future__ import annotations

import sys
from collections import deque
from inspect import getattr_static
from numbers import Integral, Real
from typing import Any


class ConvergenceMonitor:
    """Log-likelihoods of a fit, iteration by iteration.

    One of a class derived from this, or of hmmlearn's, that is assigned to `monitor_` before `fit` is told
    every iteration, and its property `converged` says when to stop; of one of this class itself `tol` and
    `n_iter` do, where they were changed, in place of the estimator's. Of several starts it keeps the last,
    and what it was told by a fit that failed.

    Attributes
    ----------
    history : deque of float
        Log-likelihood of all sequences at the parameters each iteration began with.
    iter : int
        Iterations done.
    converged : bool
        Whether the last change was less than `tol`.
    """

    def __init__(self, tol: float, n_iter: int, verbose: bool) -> None:
        self.tol, self.n_iter, self.verbose = tol, n_iter, verbose
        self.history: deque[float] = deque()

    converged = False  # of the class: one that is derived may make it a property
    _given: tuple[float, int] | None = None  # the settings of the estimator that made it

    @property
    def is_as_given(self) -> bool:
        """Whether an estimator made it, and nobody changed its settings."""
        return self._given == (self.tol, self.n_iter)

    @property
    def iter(self) -> int:
        """Iterations done."""
        return len(self.history)

    def _reset(self) -> None:
        """A fit begins."""
        self.history.clear()

    def report(self, log_prob: float) -> None:
        """An iteration is done."""
        if self.verbose:
            delta = log_prob - self.history[-1] if self.history else float("nan")
            sys.stderr.write(f"{self.iter + 1:>10d} {log_prob:>16.8f} {delta:>+16.8f}\n")
        self.history.append(log_prob)

    def __repr__(self) -> str:
        converged = bool(self.history) and self.converged  # one's own may need an iteration first
        return (
            f"{type(self).__name__}(tol={self.tol}, n_iter={self.n_iter}, iter={self.iter}, "
            f"converged={converged})"
        )


def new_monitor(tol: float, n_iter: int, verbose: bool) -> ConvergenceMonitor:
    """Of a fit whose parameters say when to stop; one's own is made of the class."""
    made = ConvergenceMonitor(tol, n_iter, verbose)
    made._given = tol, n_iter
    return made


class NewMonitor:
    """As an attribute of a class: of an estimator that has no monitor yet, one that was told nothing."""

    def __get__(self, estimator: Any, owner: type) -> Any:
        if estimator is None:
            return self
        made = new_monitor(estimator.tol, estimator.n_iter, estimator.verbose)
        return vars(estimator).setdefault("monitor_", made)


def decides(monitor: Any) -> bool:
    """Whether a monitor is one of a class of one's own, whose `converged` says when to stop."""
    return type(monitor) is not ConvergenceMonitor


def check_settings(monitor: ConvergenceMonitor) -> None:
    """Raise an error where they are no numbers to stop by."""
    n_iter, tol = monitor.n_iter, monitor.tol
    if isinstance(n_iter, bool) or not isinstance(n_iter, Integral) or n_iter < 0:
        raise ValueError(f"monitor_.n_iter is {n_iter!r}: it must be a whole number, 0 or more.")
    if isinstance(tol, bool) or not isinstance(tol, Real) or tol != tol:
        raise ValueError(f"monitor_.tol is {tol!r}: it must be a number.")


def monitor_of(estimator: Any) -> Any:
    """The user's own monitor, reset; else a new one, with the settings of the last if they were changed."""
    monitor = vars(estimator).get("monitor_")
    if monitor is None or (not decides(monitor) and monitor.is_as_given):
        return new_monitor(estimator.tol, estimator.n_iter, estimator.verbose)
    if not decides(monitor):
        check_settings(monitor)
        if monitor._given is not None:
            made = ConvergenceMonitor(monitor.tol, monitor.n_iter, monitor.verbose)
            made._given = monitor._given
            return made
    # getattr would compute a property, which may need an iteration first
    if not hasattr(monitor, "report") or getattr_static(monitor, "converged", None) is None:
        raise ValueError(
            f"monitor_ must have report(log_prob) and converged, which {monitor!r} has not: derive it from "
            "fusem.hmm.monitor.ConvergenceMonitor, or delete the attribute."
        )
    if hasattr(monitor, "_reset"):
        monitor._reset()
    return monitor
