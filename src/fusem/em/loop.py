"""The EM loop of one start: sweep, step, stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from fusem.em.history import Sweep
from fusem.em.tree import Statistic

Params = TypeVar("Params")
# Relative fall of the log-likelihood that rounding of the sums may cause, by dtype of the rows.
ROUNDING = {"float64": 1e-10, "float32": 1e-6}


class Run(NamedTuple, Generic[Params]):
    """How a start ended."""

    params: Params
    sweeps: list[Sweep]
    converged: bool
    lower_bound: float
    rounding: float


def mean_log_likelihood(params: object, statistic: Statistic) -> float:
    """Log-likelihood per row."""
    return float(statistic[0] / statistic[1])


def expectation_maximisation(
    params: Params,
    sweep: Callable[[Params], Statistic],
    maximize: Callable[[Params, Statistic], Params],
    *,
    tol: float,
    max_iter: int,
    lower_bound: float = -np.inf,
    rounding: float = ROUNDING["float64"],
    start: int = 0,
    on_sweep: Callable[[Sweep], None] | None = None,
    objective: Callable[[Params, Statistic], float] = mean_log_likelihood,
    finished: Callable[[], bool] | None = None,
) -> Run[Params]:
    """Iterate until the objective changes by less than `tol`.

    A fall of more than rounding is never convergence; it stays in the record of sweeps.

    Parameters
    ----------
    params : Params
        Where to begin; not changed.
    sweep : function
        Parameters to statistic; its first elements are log-likelihood, weight and number of rows.
    maximize : function
        Parameters and their statistic to the next parameters.
    tol, max_iter
        When to stop.
    lower_bound : float
        Mean log-likelihood of a fit that is being continued.
    rounding : float
        Relative fall of the log-likelihood that is none.
    start : int
        Number of the start, for the record.
    on_sweep : function, optional
        Called after every sweep.
    objective : function
        What EM increases, from parameters and their statistic: the mean log-likelihood per row unless told.
    finished : function, optional
        Whether to stop after an iteration, instead of `tol`.
    """
    sweeps: list[Sweep] = []
    converged = False
    for iteration in range(1, max_iter + 1):
        began = time.perf_counter()
        statistic = sweep(params)
        previous, lower_bound = lower_bound, objective(params, statistic)
        change = lower_bound - previous
        params = maximize(params, statistic)
        seconds = time.perf_counter() - began
        sweeps.append(
            Sweep(start, iteration, lower_bound, change, seconds, statistic[2] / max(seconds, 1e-9))
        )
        if on_sweep is not None:
            on_sweep(sweeps[-1])
        small = abs(change) < tol and change >= -slack(lower_bound, rounding)
        if small if finished is None else finished():
            converged = True
            break
    return Run(params, sweeps, converged, lower_bound, rounding)


def slack(log_likelihood: float, rounding: float) -> float:
    """How far a mean log-likelihood may fall by rounding alone."""
    return rounding * max(1.0, abs(log_likelihood))


def falls(sweeps: list[Sweep], rounding: float) -> list[Sweep]:
    """The sweeps at which the log-likelihood fell by more than rounding; the first has none before it."""
    return [sweep for sweep in sweeps[1:] if sweep.change < -slack(sweep.log_likelihood, rounding)]
