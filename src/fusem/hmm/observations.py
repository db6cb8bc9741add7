"""What a hidden Markov model is given: rows, and the sequences they belong to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, open_rows
from fusem.data.arrays import ArrayRows
from fusem.em.completion import completed
from fusem.em.spaces import lent_array
from fusem.em.start import exponent_of
from fusem.em.workers import ALONE, Workers
from fusem.hmm.layout import Ints, check_lengths
from fusem.hmm.spool import spooled
from fusem.kernels.scan_codes import scan_codes

PART = 65536  # rows looked at at a time
FEW_VALUES = 1 << 21  # to look at takes less than a millisecond, to wake a thread a quarter of one
NOTHING_KNOWN: Ints = np.empty(0, dtype=np.int64)
# Bytes: rows that take no more are converted once, not part by part in every pass.
CONVERTED = 16 << 20
# Of codes: rows that are looked at first, and those of one look.
START, LOOK = 2048, 1 << 19
START_ROWS = 50_000  # rows that a start looks at, evenly spread


class Observations:
    """Rows of sequences, any part of them at any time.

    The recursions read the rows of a sequence from both ends. Arrays, memory maps and ``.npy`` files are read
    where they are, and converted part by part where they are integers; if they are not many, once. What comes
    in a stream (other files, chunks, tables) is copied once, to a temporary file if it is large.

    Parameters
    ----------
    X : array-like, list of arrays (one sequence each), or another source of rows
        The rows of all sequences, one after the other.
    lengths : array-like of int, optional
        Rows of each sequence; one sequence without.
    open_as : function
        Makes `Rows` of X, or says what is wrong with it.

    Attributes
    ----------
    rows : Rows
        The same, in order.
    lengths : array of shape (n_sequences,)
    n_rows, n_columns, dtype
    states : array of shape (n_rows,) or None
        States that are known, −1 where not; None unless set.
    """

    def __init__(
        self, X: Any, lengths: Any = None, open_as: Callable[[Any], Rows] = open_rows
    ) -> None:
        own = [len(sequence) for sequence in X] if is_list_of_sequences(X) else None
        if own is not None and 0 in own:
            raise ValueError(
                f"Sequence {own.index(0)} of the list has no rows: every sequence must have at least one. "
                "Drop empty sequences."
            )
        if own is not None:
            X = list(X)
        self.rows = open_as(X)
        self.n_columns, self.dtype = self.rows.n_columns, self.rows.dtype
        plain = isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray)
        raw = X if plain and X.ndim == 2 and X.dtype.kind in "iufb" else None
        self._given = raw
        self._to_convert = raw is not None and raw.dtype != self.dtype and self._few(raw.shape)
        self._converting = threading.Lock()
        self._source: NDArray[Any] | ArrayRows
        if raw is not None:
            self._source = raw
        elif isinstance(self.rows, ArrayRows) and not self._few((len(self.rows), self.n_columns)):
            self._source = self.rows
        else:
            self._source = spooled(self.rows)
        self.n_rows = len(self._source)
        self.lengths: Ints = check_lengths(own if lengths is None else lengths, self.n_rows)
        if own is not None and not np.array_equal(self.lengths, own):
            raise ValueError(
                f"lengths are {shortened(self.lengths)}, but the arrays of the list, each a sequence, have "
                f"{shortened(own)} rows. Leave lengths out, or give the rows as one array "
                "(np.concatenate)."
            )
        self.states: Ints | None = None
        self._codes: list[tuple[NDArray[np.uint8], int] | None] | None = None  # once looked for

    @property
    def ends(self) -> Ints:
        """Where each sequence ends."""
        return np.cumsum(self.lengths)

    def part(self, first: int, last: int) -> NDArray[Any]:
        """Some rows, in the dtype of the kernels: a view, or a converted copy."""
        if self._to_convert:
            self._convert()
        if isinstance(self._source, ArrayRows):
            return self._source.part(first, last)
        return np.asarray(self._source[first:last], dtype=self.dtype)

    def _convert(self) -> None:
        """Convert all rows, when the first are wanted: codes are read as they were given."""
        with self._converting:
            if self._to_convert:
                converted = lent_array((self.n_rows, self.n_columns), self.dtype)
                converted[:] = self._source
                self._source, self._to_convert = converted, False

    def codes(self) -> tuple[NDArray[np.uint8], int] | None:
        """The rows and the largest of them, if they are one column of whole numbers from 0 to 255.

        Of few rows they are kept.
        """
        if self.n_columns != 1:
            return None
        if self._codes is None:
            found = self._find_codes()
            if self.n_rows > FEW_VALUES:
                return found
            self._codes = [found]
        return self._codes[0]

    def _find_codes(self) -> tuple[NDArray[np.uint8], int] | None:
        """Look at a few rows first: most rows that are no codes begin with none."""
        codes, largest = lent_array((self.n_rows,), np.uint8), 0
        bounds = [0, *range(min(START, self.n_rows), self.n_rows, LOOK), self.n_rows]
        for first, last in pairwise(bounds):
            given = self.part(first, last) if self._given is None else self._given[first:last]
            found = scan_codes(given[:, 0], codes[first:last])
            if found < 0:
                return None
            largest = max(largest, found)
        return codes, largest

    def integers(self) -> Iterator[NDArray[Any]] | None:
        """The rows as they were given, in parts, where they are integers."""
        given = self._given
        if given is None or given.dtype.kind not in "iu":
            return None
        return (given[first : first + PART] for first in range(0, self.n_rows, PART))

    def _few(self, shape: tuple[int, ...]) -> bool:
        """Whether the rows are few enough to be converted once."""
        return math.prod(shape) * self.dtype.itemsize <= CONVERTED

    def look_at(self, work: Callable[[int, NDArray[Any]], None], workers: Workers) -> None:
        """Call ``work(first_row, part)`` for all rows; what is soon done wakes no other thread."""
        few = self.n_rows * self.n_columns <= FEW_VALUES
        parts = iter(range(0, self.n_rows, PART))
        (ALONE if few else workers).run(
            parts, lambda first: work(first, self.part(first, first + PART))
        )

    def known(self, first: int, last: int) -> Ints:
        """Known states of some rows, −1 where not known; empty where nothing is known."""
        return NOTHING_KNOWN if self.states is None else self.states[first:last]


def is_list_of_sequences(X: Any) -> bool:
    """Whether X is a list of 2-D arrays rather than of rows."""
    return isinstance(X, (list, tuple)) and bool(X) and all(getattr(x, "ndim", 0) == 2 for x in X)


def n_rows_of(X: Any) -> int | None:
    """Number of rows of arrays, tables and lists; None of a source that does not say it."""
    if is_list_of_sequences(X):
        return sum(len(sequence) for sequence in X)
    if hasattr(X, "shape"):
        return int(X.shape[0]) if X.shape else None
    return len(X) if isinstance(X, (list, tuple)) else getattr(X, "n_rows", None)


def shortened(numbers: Any) -> str:
    """The first of some numbers, for a message."""
    return ", ".join(map(str, list(numbers)[:5])) + (", …" if len(numbers) > 5 else "")


def start_rows(observations: Observations) -> NDArray[np.float64]:
    """Rows that a start looks at: all, or some evenly spread.

    Complete ones where most are, else all that have a value, with others drawn around the mean of the column.
    """
    step = max(1, observations.n_rows // START_ROWS)
    rows = np.concatenate(
        [
            observations.part(first, min(first + PART * step, observations.n_rows))[::step]
            for first in range(0, observations.n_rows, PART * step)
        ]
    )
    missing = np.isnan(rows)
    complete = ~missing.any(axis=1)
    if 2 * complete.sum() > len(rows):
        return np.asarray(rows[complete], dtype=np.float64)
    if missing.all(axis=0).any():
        raise ValueError(
            f"None of the {len(rows)} rows that a start looks at has a value in column "
            f"{np.flatnonzero(missing.all(axis=0))[0]}: drop it, or set the parameters of the states and "
            "leave their letters out of init_params."
        )
    exponent = exponent_of(rows)
    some = np.ldexp(rows[~missing.all(axis=1)].astype(np.float64), -exponent)
    centre, scale = np.nanmean(some, axis=0), np.nanstd(some, axis=0)
    rng = np.random.RandomState(0)  # a start does not depend on the caller's for this
    return np.ldexp(completed(some, None, 1, False, centre, scale, rng, 0), exponent)
