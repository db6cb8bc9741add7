"""Sequences cut into blocks of time steps, and blocks into segments: nothing here depends on threads."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
BLOCK_BYTES = 512 * 1024  # of what a block keeps of its steps: it is to stay in the second cache
MOST_STEPS = 4096
KEPT = 3 * 8  # bytes per step and lane: factors, α, γ
TILE_STEPS = 256


class Layout(NamedTuple):
    """Pieces, runs of steps of one sequence, in order; blocks of one or more pieces each."""

    pieces: Ints  # (P + 1) first row of each piece
    sequence: Ints  # (P) the sequence it belongs to
    opens: NDArray[np.bool_]  # (P) whether a sequence begins with it
    closes: NDArray[np.bool_]  # (P) whether one ends with it
    blocks: Ints  # (B + 1) first piece of each block
    long: list[tuple[int, int]]  # first block and last + 1 of each sequence of several blocks

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.blocks) - 1

    def of_sequences(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-likelihoods of whole sequences from those of their pieces, each given the pieces before.

        After an impossible piece there is nothing to be given: the next one's is no number.
        """
        total = np.bincount(self.sequence, weights=np.where(np.isnan(evidence), -np.inf, evidence))
        return np.asarray(total, dtype=np.float64)

    def rows(self, first: int, last: int) -> tuple[int, int]:
        """Rows of some blocks."""
        begin, end = self.pieces[self.blocks[[first, last]]]
        return int(begin), int(end)


def steps_per_block(width: int) -> int:
    """Steps of a block whose states take so many lanes; some blocks have up to twice as many."""
    steps = BLOCK_BYTES // (2 * KEPT * width) // TILE_STEPS * TILE_STEPS
    return min(MOST_STEPS, max(TILE_STEPS, steps))


def layout_of(lengths: Ints, steps: int) -> Layout:
    """Cut sequences into blocks: of whole sequences, those longer than `steps` into several.

    Parameters
    ----------
    lengths : array of shape (n_sequences,)
        Rows of each, positive.
    steps : int
        Rows of a block, about; at most twice as many.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    is_long = lengths > steps
    n_pieces = np.where(is_long, -(-lengths // steps), 1)
    sequence = np.repeat(np.arange(len(lengths)), n_pieces)
    first_piece = np.concatenate([[0], np.cumsum(n_pieces)])
    within = np.arange(len(sequence)) - first_piece[sequence]
    pieces = np.append(starts[sequence] + within * steps, starts[-1])
    # short sequences share a block while they begin within the same `steps` rows after the last long one
    after_long = np.maximum.accumulate(np.where(is_long, starts[1:], 0))
    origin = np.where(is_long, 0, after_long)[sequence]
    part = (pieces[:-1] - origin) // steps
    new = np.ones(len(sequence), dtype=bool)
    new[1:] = is_long[sequence[1:]] | is_long[sequence[:-1]] | (part[1:] != part[:-1])
    blocks = np.append(np.flatnonzero(new), len(sequence))
    block_of = np.cumsum(new) - 1
    first, last = first_piece[:-1][is_long], first_piece[1:][is_long] - 1
    long = list(zip(block_of[first].tolist(), (block_of[last] + 1).tolist(), strict=True))
    return Layout(pieces, sequence, within == 0, within == n_pieces[sequence] - 1, blocks, long)


def are_whole(values: NDArray[Any]) -> bool:
    """Whether all are finite whole numbers."""
    if values.dtype.kind == "O":
        return all(isinstance(value, Integral) for value in values)
    return bool(
        values.dtype.kind == "f" and (np.isfinite(values) & (values == np.floor(values))).all()
    )


def check_lengths(lengths: Any, n_rows: int) -> Ints:
    """Lengths of the sequences as integers; an error that says what is wrong with them."""
    if n_rows == 0:
        raise ValueError("Found array with 0 sample(s), no rows, while a minimum of 1 is required.")
    if lengths is None:
        given = np.array([n_rows])
    else:
        given = np.asarray(lengths)
        given = given.reshape(1) if given.ndim == 0 else given
    if given.ndim != 1 or given.size == 0:
        raise ValueError(
            f"lengths must be a list of sequence lengths, but its shape is {given.shape}."
        )
    if given.dtype.kind not in "iu" and not are_whole(given):
        raise ValueError("lengths must be whole numbers: the rows of each sequence.")
    given = given.astype(np.int64)
    if given.min() <= 0:
        wrong = int((given <= 0).argmax())
        raise ValueError(
            f"lengths[{wrong}] is {given[wrong]}: every sequence must have at least one row. "
            "Drop empty sequences."
        )
    # one that is longer than all rows may make the sum overflow
    total = sum(given.tolist()) if given.max() > n_rows else int(given.sum())
    if total != n_rows:
        raise ValueError(
            f"lengths sum to {total}, but there are {n_rows} rows (n_samples={n_rows}): give the "
            "rows of every sequence."
        )
    return given
