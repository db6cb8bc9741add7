"""Fits from several starts, of which the one that ends highest is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from fusem.em.history import Sweep
from fusem.em.loop import Run
from fusem.exceptions import warn
from fusem.hmm.engine import ChainModel

if TYPE_CHECKING:
    from fusem.hmm.fitting import Fit

Report = Callable[[Sweep], None] | None


def seeds_of(random_state: Any, n_starts: int) -> list[Any]:
    """What seeds each start: of one start the random state itself."""
    if n_starts == 1:
        return [random_state]
    return [int(seed) for seed in check_random_state(random_state).randint(2**31, size=n_starts)]


def best_of(
    seeds: Iterable[Any],
    fit_from: Callable[[np.random.RandomState, Report], tuple[Fit, Run[ChainModel]]],
    on_iteration: Report,
) -> tuple[Fit, Run[ChainModel]]:
    """The fit whose objective ends highest.

    A start that fails, such as by a state that shrinks to one row, is told and left out; if all fail, the
    first error is raised.
    """
    best: tuple[Fit, Run[ChainModel]] | None = None
    failed: list[tuple[int, ValueError]] = []
    for number, seed in enumerate(seeds):
        try:
            found = fit_from(check_random_state(seed), _numbered(on_iteration, number))
        except ValueError as error:
            failed.append((number + 1, error))
            continue
        if best is None or found[1].lower_bound > best[1].lower_bound:
            best = found
    if best is None:
        raise failed[0][1]
    for number, reason in failed:
        warn(RuntimeWarning, f"Start {number} failed: {reason}")
    return best


def _numbered(report: Report, number: int) -> Report:
    return None if report is None else lambda sweep: report(sweep._replace(start=number))
