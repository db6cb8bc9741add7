"""The contract between sources of rows and the engine: `Rows`, and `segments` of fixed length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
FloatType = np.dtype[np.floating[Any]]

FLOAT32: FloatType = np.dtype(np.float32)
FLOAT64: FloatType = np.dtype(np.float64)

# What must be converted (integers, other byte orders, columns of tables) is converted in pieces
# of at most this size: they stay in the second-level cache, and memory does not grow with the data.
PIECE_BYTES = 2**19


class Whole(NamedTuple):
    """A file with all its columns, as it is. Types are pyarrow's."""

    schema: Any  # pyarrow.Schema: of a CSV file all text
    positions: list[int]  # those of the rows' columns
    tables: Callable[
        [], Iterator[Any]
    ]  # a new pass: pyarrow.Table of bounded size, each of this schema
    nulls: frozenset[str] | None = None  # how a CSV file spells a missing value


class Rows(ABC):
    """Rows of a known width, to be read as often as wanted, one block after the other.

    `open_rows` makes one from almost anything; derive from this class for a source of your own.
    A subclass sets the attributes and writes `blocks`, nothing else.

    Attributes
    ----------
    n_columns : int
        Number of columns of every block.
    dtype : numpy.dtype
        ``float32`` or ``float64`` in native byte order: the dtype of every block.
    n_rows : int or None
        Number of rows, ``None`` if it is not known before the first complete pass.
    names : tuple of str, or None
        Column names, if the source has any and all of them are strings.
    label : str
        What errors call the source, such as ``X`` or ``'table.parquet'``.
    in_place : bool
        Whether all rows are one block of memory that is there anyway.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem.data import Rows
    >>> class Ramp(Rows):
    ...     n_columns, n_rows, dtype, label = 1, 6, np.dtype(np.float64), "a ramp"
    ...
    ...     def blocks(self):
    ...         yield np.array([[0.0], [1.0], [2.0], [3.0]])
    ...         yield np.array([[4.0], [5.0]])
    >>> Ramp().to_array().ravel()
    array([0., 1., 2., 3., 4., 5.])
    """

    n_columns: int
    dtype: FloatType
    n_rows: int | None
    names: tuple[str, ...] | None = None
    label: str = "X"
    in_place: bool = False

    @abstractmethod
    def blocks(self) -> Iterator[FloatArray]:
        """Start a new pass over the rows.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            The next m >= 0 rows, of dtype ``self.dtype``, with any strides: a source does not
            copy what is usable as it is. A block must not be written to after it was yielded.
        """

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that the rows are read from in every pass: nothing is written over them."""
        return ()

    def whole(self) -> Whole | None:
        """All columns of the file that these are columns of, also those that hold no numbers.

        Returns
        -------
        whole : Whole or None
            None where there is no such file, or nothing but numbers in it.
        """
        return None

    def to_array(self) -> FloatArray:
        """All rows as one array.

        Returns
        -------
        array : ndarray of shape (n_rows, n_columns)
            A view, not a copy, if the source holds its rows as one such array already. Do not
            write to it.

        Raises
        ------
        ValueError
            As in `segments`.
        """
        with _one_pass(self) as blocks:
            arrays = list(blocks)
        if len(arrays) == 1:
            return arrays[0]
        return np.concatenate([np.empty((0, self.n_columns), self.dtype), *arrays])

    def __repr__(self) -> str:
        n_rows = "?" if self.n_rows is None else f"{self.n_rows:,}"
        return f"<Rows of {self.label}: {n_rows} x {self.n_columns} {self.dtype.name}>"


def segments(
    rows: Rows, weights: Rows | None, segment_rows: int
) -> Iterator[tuple[int, FloatArray, npt.NDArray[np.float64] | None]]:
    """Re-batch one pass over rows, and over their weights, into segments of equal length.

    Where a segment begins and ends depends on the row index alone, never on the blocks that the
    rows come in.

    Parameters
    ----------
    rows : Rows
        The rows.
    weights : Rows of one column, or None
        One weight per row.
    segment_rows : int
        Rows per segment; the last segment may have fewer.

    Yields
    ------
    first_row : int
        Index of the segment's first row.
    X : ndarray of shape (m, n_columns)
        The rows: a view into the block if one block holds all of them, else a fresh array.
    w : ndarray of shape (m,), float64 and contiguous, or None
        Their weights, as given.

    Raises
    ------
    ValueError
        If `rows` and `weights` differ in length, a block has not the announced width and dtype,
        or a pass does not give ``n_rows`` rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fusem.data import open_rows, segments
    >>> chunks = open_rows([np.zeros((3, 2)), np.ones((4, 2))])
    >>> [(first, X.shape) for first, X, _ in segments(chunks, None, 4)]
    [(0, (4, 2)), (4, (3, 2))]
    """
    if segment_rows < 1:
        raise ValueError(f"segment_rows must be at least 1, got {segment_rows}.")
    if weights is None:
        return ((first, X, None) for first, X in _segments_of(rows, segment_rows))
    if weights.n_columns != 1:
        raise ValueError(
            f"{weights.label} has {weights.n_columns} columns: there must be one weight per row."
        )
    if None not in (rows.n_rows, weights.n_rows) and rows.n_rows != weights.n_rows:
        raise _unequal(rows, str(rows.n_rows), weights, str(weights.n_rows))
    return _weighted_segments(rows, weights, segment_rows)


def common_float(dtypes: Iterable[np.dtype[Any]]) -> FloatType:
    """The dtype rule of every source: float32 if all columns are float32 or float16, else float64.

    Parameters
    ----------
    dtypes : iterable of numpy.dtype
        Dtypes of the columns or chunks, at least one.

    Returns
    -------
    dtype : numpy.dtype
        ``float32`` or ``float64``.
    """
    return FLOAT32 if all(d.kind == "f" and d.itemsize <= 4 for d in dtypes) else FLOAT64


def piece_rows(n_columns: int, dtype: FloatType, most_bytes: int = PIECE_BYTES) -> int:
    """Rows of a piece of bounded size, a power of two so that pieces tile segments.

    Parameters
    ----------
    n_columns : int
        Number of columns.
    dtype : numpy.dtype
        Dtype after conversion.
    most_bytes : int, optional
        Size of the piece.

    Returns
    -------
    rows : int
        Number of rows, at least 1.
    """
    most = max(1, most_bytes // (max(1, n_columns) * dtype.itemsize))
    return 1 << (most.bit_length() - 1)


@contextmanager
def _one_pass(rows: Rows) -> Iterator[Iterator[FloatArray]]:
    """Check the blocks of one pass against what was announced; close the source at the end."""
    blocks = rows.blocks()
    try:
        yield _checked(rows, blocks)
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()


def _checked(rows: Rows, blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    """Pass blocks on; refuse those of another width or dtype, and another number of rows."""
    total = number = 0  # no enumerate: it would hold a block while the next one is made
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != rows.n_columns or block.dtype != rows.dtype:
            raise ValueError(
                f"{rows.label} announced {rows.n_columns} columns of {rows.dtype.name}, but its "
                f"block {number} (counted from 0) has shape {block.shape} and dtype {block.dtype}."
            )
        total += block.shape[0]
        number += 1  # noqa: SIM113
        if rows.n_rows is not None and total > rows.n_rows:  # where they go there may be no room
            raise ValueError(
                f"{rows.label} announced {rows.n_rows} rows, but gave {total} or more."
            )
        yield block
        del block
    if rows.n_rows is not None and total != rows.n_rows:
        raise ValueError(f"{rows.label} announced {rows.n_rows} rows, but gave {total}.")


def _segments_of(rows: Rows, segment_rows: int) -> Iterator[tuple[int, FloatArray]]:
    """Cut the blocks of one pass into (first row, segment)."""
    first = 0  # row index of the segment that is being filled
    held: FloatArray | None = None  # its rows so far, all from one block: maybe the last block
    buffer: FloatArray | None = None  # or, from several blocks, copied
    filled = 0
    with _one_pass(rows) as blocks:
        for block in blocks:
            start, stop = 0, block.shape[0]
            while start < stop:
                take = min(segment_rows - filled, stop - start)
                part = block[start : start + take]
                start += take
                if filled == 0:
                    held = part
                else:
                    if buffer is None:
                        assert held is not None
                        buffer = _buffer_like(held, rows, segment_rows, first)
                        buffer[:filled] = held
                        held = None
                    buffer[filled : filled + take] = part
                filled += take
                if filled == segment_rows:
                    segment = held if buffer is None else buffer
                    assert segment is not None
                    held = buffer = None
                    yield first, segment
                    del segment
                    first, filled = first + segment_rows, 0
                del part
            del block  # or its memory would be held while the next one is made
        if filled:
            segment = held if buffer is None else buffer[:filled]
            assert segment is not None
            yield first, segment


def _buffer_like(held: FloatArray, rows: Rows, segment_rows: int, first: int) -> FloatArray:
    """Allocate a segment whose memory order is that of its first part: copying then is a memcpy."""
    if rows.n_rows is not None:
        segment_rows = max(held.shape[0], min(segment_rows, rows.n_rows - first))
    by_column = abs(held.strides[0]) < abs(held.strides[1])
    shape = (segment_rows, rows.n_columns)
    return np.empty(shape, rows.dtype, order="F" if by_column else "C")


def _weighted_segments(
    rows: Rows, weights: Rows, segment_rows: int
) -> Iterator[tuple[int, FloatArray, npt.NDArray[np.float64]]]:
    with (
        closing(_segments_of(rows, segment_rows)) as of_rows,  # type: ignore[type-var]
        closing(_segments_of(weights, segment_rows)) as of_weights,  # type: ignore[type-var]
    ):
        for row_part, weight_part in zip_longest(of_rows, of_weights):
            if row_part is None or weight_part is None or len(row_part[1]) != len(weight_part[1]):
                raise _unequal(
                    rows,
                    _how_many(rows, row_part, weight_part, segment_rows),
                    weights,
                    _how_many(weights, weight_part, row_part, segment_rows),
                )
            first, X = row_part
            w = np.ascontiguousarray(weight_part[1][:, 0], dtype=np.float64)
            # numba types read-only arrays apart: they would compile every kernel once more
            yield first, X, w if w.flags.writeable else w.copy()


def _how_many(
    rows: Rows,
    mine: tuple[int, FloatArray] | None,
    other: tuple[int, FloatArray] | None,
    segment_rows: int,
) -> str:
    """Say how many rows a source has, when its pass stopped at the first unequal segment."""
    if rows.n_rows is not None:
        return str(rows.n_rows)
    if mine is None:
        assert other is not None
        return str(other[0])
    seen = mine[0] + len(mine[1])
    return str(seen) if len(mine[1]) < segment_rows else f"at least {seen}"


def _unequal(rows: Rows, n_rows: str, weights: Rows, n_weights: str) -> ValueError:
    return ValueError(
        f"{rows.label} has {n_rows} rows and {weights.label} has {n_weights}: "
        "there must be one weight per row."
    )
