"""Sequences that a model gives no density: which they are, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.exceptions import ImpossibleSequenceWarning, warn
from fusem.hmm.layout import Ints
from fusem.hmm.observations import Observations

Array = NDArray[np.float64]
NAMED = 5  # at most


def impossible(evidence: Array) -> Ints:
    """Numbers of the sequences without density."""
    return np.flatnonzero(~(evidence > -np.inf))


def zero_impossible(
    values: NDArray[Any], what: str, evidence: Array, observations: Observations
) -> None:
    """Write zeros at all rows of sequences without density, and warn where there are some.

    Parameters
    ----------
    values : array of shape (n_rows, …)
        What is said of every row.
    what : str
        And is called.
    """
    if (evidence > -np.inf).all():
        return
    numbers = impossible(evidence)
    last = observations.ends[numbers] - 1
    first = last + 1 - observations.lengths[numbers]
    for begin, end in zip(first, last + 1, strict=True):
        values[begin:end] = 0
    named = [
        f"{k} (rows {a} to {b})" for k, a, b in zip(numbers[:NAMED], first, last, strict=False)
    ]
    more = f" and {numbers.size - NAMED} more" if numbers.size > NAMED else ""
    subject = (
        f"Sequence {named[0]} is" if len(named) == 1 else f"Sequences {', '.join(named)}{more} are"
    )
    warn(
        ImpossibleSequenceWarning,
        f"{subject} impossible under the model: a start, transition or value of probability 0, or values so "
        f"far from every state that their density underflows. Their {what} are 0, which says nothing. Allow "
        "what happens there (startprob_, transmat_, known states), or drop the sequence.",
    )
