"""Values that counts and codes cannot be: errors that name the first."""

from __future__ import annotations

import numpy as np

from fusem.em.values import column_name
from fusem.hmm.observations import Observations

PART = 65536  # rows looked at at a time


def check_counts(observations: Observations, least: int | None = None, what: str = "counts") -> int:
    """The largest value, where all are whole numbers ≥ 0 or missing; an error that names the first other.

    Parameters
    ----------
    least : int, optional
        Values must be less than this.
    what : str
        What errors call them.
    """
    largest = -1.0
    for first in range(0, observations.n_rows, PART):
        X = observations.part(first, min(first + PART, observations.n_rows))
        known = ~np.isnan(X)
        wrong = known & ~((X >= 0) & (np.floor(X) == X) & np.isfinite(X))
        if least is not None:
            wrong |= known & (least <= X)
        if wrong.any():
            negative = known & (X < 0)
            chosen = negative if negative.any() else wrong
            row, column = (int(i) for i in np.argwhere(chosen)[0])
            value, place = (
                X[row, column],
                f"row {first + row}, {column_name(observations.rows, column)}",
            )
            limit = "" if least is None else f" less than {least}, as many as the model knows"
            sign = "Negative values in data. " if negative.any() else ""
            raise ValueError(
                f"{sign}{what.capitalize()} must be whole numbers ≥ 0{limit}, but "
                f"{observations.rows.label} holds {value:g} at {place}."
            )
        if known.any():
            largest = max(largest, float(X[known].max()))
    return int(largest)
