"""Whether values are missing in rows of sequences, and which emissions take such rows."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fusem.em.values import not_finite, what_is_in
from fusem.em.workers import Workers
from fusem.hmm.observations import Observations
from fusem.kernels.scan_finite import INFINITE, MISSING

FIRST_ROWS = 8192


def begins_complete(observations: Observations) -> bool:
    """Whether the first rows have all values, and no infinity."""
    return what_is_in(observations.part(0, FIRST_ROWS)) not in (MISSING, INFINITE)


def has_missing(observations: Observations, workers: Workers) -> bool:
    """Whether any value is NaN; an error for infinity."""
    what_is_in(observations.part(0, 0))  # compiles in this thread
    found = []

    def work(_first: int, part: NDArray[Any]) -> None:
        kind = what_is_in(part)
        if kind == INFINITE:
            raise not_finite(observations.rows)
        found.append(kind)

    observations.look_at(work, workers)
    return MISSING in found


def check_missing(missing: bool, family: Any) -> None:
    """Raise where values are missing that a family cannot leave out."""
    if missing and family.kernels.tile.log_density_missing is None:
        raise ValueError(
            f"X has missing values (NaN), which {family.NAME} emissions do not take. Drop the rows, or fill "
            "them in."
        )
