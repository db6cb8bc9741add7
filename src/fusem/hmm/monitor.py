"""What a fit says while it runs and remembers afterwards."""

from __future__ import annotations

import sys
from collections import deque


class ConvergenceMonitor:
    """Log-likelihoods of a fit, iteration by iteration.

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
        self.converged = False

    @property
    def iter(self) -> int:
        """Iterations done."""
        return len(self.history)

    def report(self, log_prob: float) -> None:
        """An iteration is done."""
        if self.verbose:
            delta = log_prob - self.history[-1] if self.history else float("nan")
            sys.stderr.write(f"{self.iter + 1:>10d} {log_prob:>16.8f} {delta:>+16.8f}\n")
        self.history.append(log_prob)

    def __repr__(self) -> str:
        return (
            f"ConvergenceMonitor(tol={self.tol}, n_iter={self.n_iter}, iter={self.iter}, "
            f"converged={self.converged})"
        )
