"""Step 2: EM by hand, with the two calls that any loop of one's own needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fusem.demo.truth import NAMES, TRUTH, Array, Parameters, as_model, of_model

PRINT_EVERY = 4
MAX_ITERATIONS = 400
TOLERANCE = 1e-7


class Path(NamedTuple):
    """Parameters at each iteration (0: the start), the log-likelihood there, and the model."""

    parameters: list[Parameters]
    logliks: list[float]
    model: Any


def em_by_hand(x: Array, seed: int, echo: Callable[[str], None]) -> Path:
    """Run EM from p = 0.5, two values of the data as means, the sample's standard deviation."""
    model = as_model(random_start(x, np.random.default_rng([seed, 1])))
    parameters, logliks = [of_model(model)], [float("-inf")]
    change = float("inf")
    while change > TOLERANCE and len(logliks) <= MAX_ITERATIONS:
        loglik = model.update(model.statistics(x))
        change = loglik - logliks[-1]
        parameters.append(of_model(model))
        logliks.append(loglik)
    # `update` returns the log-likelihood before its step: move each beside its parameters.
    logliks = [*logliks[1:], model.score(x)]
    _print(parameters, logliks, echo)
    return Path(parameters, logliks, model)


def random_start(x: Array, rng: np.random.Generator) -> Parameters:
    """Start where nothing is known: equal weights, two of the values, the common spread."""
    low, high = np.sort(rng.choice(x, size=2, replace=False))
    sd = float(np.std(x, ddof=1))
    return Parameters(p=0.5, mean1=float(low), sd1=sd, mean2=float(high), sd2=sd)


def _print(parameters: list[Parameters], logliks: list[float], echo: Callable[[str], None]) -> None:
    echo("   iteration" + "".join(f"{name:>9}" for name in NAMES) + "     loglik")
    last = len(parameters) - 1
    for iteration, (values, loglik) in enumerate(zip(parameters, logliks, strict=True)):
        if iteration % PRINT_EVERY == 0 and iteration != last:
            echo(f"   {iteration:>9}" + _cells(values) + f"  {loglik:9.6f}")
    echo(f"   {'final':>9}" + _cells(parameters[-1]) + f"  {logliks[-1]:9.6f}")
    echo(f"   {'truth':>9}" + _cells(TRUTH))
    echo(f"   {last} iterations")


def _cells(values: Parameters) -> str:
    return "".join(f"{value:9.4f}" for value in values)
