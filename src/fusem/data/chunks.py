"""Rows that come in chunks: a list of them, or a source that can be iterated anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from fusem.data.blocks import FLOAT64, FloatArray, FloatType, Rows, Whole, common_float


class OpenChunk(Protocol):
    """What opens a chunk: `fusem.data.open.open_chunk`, with the columns to take bound to it."""

    def __call__(self, chunk: Any, label: str, dtype: FloatType | None) -> Rows:
        """Open one chunk; it may have no rows."""


class ListRows(Rows):
    """A list of arrays, tables or files, one after the other.

    Parameters
    ----------
    chunks : sequence
        At least one chunk.
    open_chunk : OpenChunk
        What opens each.
    label : str
        What errors call the list.
    dtype : numpy.dtype, optional
        float32 or float64, default float32 if all chunks are.
    """

    def __init__(
        self,
        chunks: Sequence[Any],
        open_chunk: OpenChunk,
        label: str,
        dtype: FloatType | None = None,
    ) -> None:
        opened = [open_chunk(c, _chunk_label(i, label), dtype) for i, c in enumerate(chunks)]
        for rows in opened[1:]:
            _same_columns(opened[0], rows)
        self.dtype = common_float(rows.dtype for rows in opened)
        self._opened = [
            rows if rows.dtype == self.dtype else open_chunk(chunk, rows.label, self.dtype)
            for rows, chunk in zip(opened, chunks)
        ]
        counts = [rows.n_rows for rows in opened]
        self.n_rows = None if None in counts else sum(n for n in counts if n is not None)
        self.n_columns = opened[0].n_columns
        self.names = opened[0].names
        self.label = label

    @property
    def files(self) -> tuple[Path, ...]:
        """Those of all chunks."""
        return tuple(path for rows in self._opened for path in rows.files)

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the blocks of each chunk in turn.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            A view wherever the chunk's own blocks are.
        """
        for rows in self._opened:
            yield from rows.blocks()
        counts = [rows.n_rows for rows in self._opened]
        if None not in counts:  # a file of unknown length was read to its end
            self.n_rows = sum(n for n in counts if n is not None)

    def whole(self) -> Whole | None:
        """All columns of the chunks, where they are files that have the same ones."""
        first = self._opened[0].whole()
        others = [rows.whole() for rows in self._opened[1:]]
        if first is None or any(other is None for other in others):
            return None
        for rows, other in zip(self._opened[1:], others, strict=True):
            if other is not None and other.schema.names != first.schema.names:
                raise ValueError(
                    f"{rows.label} has the columns {', '.join(other.schema.names)}, the first file had "
                    f"{', '.join(first.schema.names)}: they cannot be kept in one table."
                )

        def tables() -> Iterator[Any]:
            for one in (first, *others):
                if one is not None:
                    yield from one.tables()

        return first._replace(tables=tables)


class StreamRows(Rows):
    """Chunks from a fresh iterator in every pass.

    Width, names and dtype are those of the first chunk: one iterator is started, and thrown
    away, to look at it. The number of rows is known after the first complete pass, and every
    later pass must give the same.

    Parameters
    ----------
    start : callable
        Returns a fresh iterator over chunks.
    open_chunk : OpenChunk
        What opens each chunk.
    label : str
        What errors call the source.
    dtype : numpy.dtype, optional
        float32 or float64, default that of the first chunk.
    """

    def __init__(
        self,
        start: Callable[[], Iterator[Any]],
        open_chunk: OpenChunk,
        label: str,
        dtype: FloatType | None = None,
    ) -> None:
        self._start, self._open_chunk, self._forced = start, open_chunk, dtype
        self._last: Iterator[Any] | None = None
        self.label = label
        chunks = self._fresh()
        try:
            first = next(chunks)
        except StopIteration:
            raise ValueError(
                f"Found array with 0 sample(s): {label} gave no chunk at all, "
                "while a minimum of 1 row is required."
            ) from None
        finally:
            _close(chunks)
        opened = open_chunk(first, _chunk_label(0, label), dtype)
        self.n_columns, self.dtype, self.names = opened.n_columns, opened.dtype, opened.names
        self.n_rows = None

    def blocks(self) -> Iterator[FloatArray]:
        """Start the iterator anew and yield what its chunks hold.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            A view of the chunk if that needs no conversion.
        """
        chunks = self._fresh()
        total = number = 0
        sample: _Sample | None = None
        try:
            while True:
                try:
                    chunk = next(chunks)
                except StopIteration:
                    break
                except Exception as error:
                    error.add_note(f"Raised while {self.label} made chunk {number}.")
                    raise
                if sample is not None:
                    sample.check(number, self.label)
                opened = self._opened(chunk, number)
                for block in opened.blocks():
                    total += block.shape[0]
                    self._check_total(total, complete=False)
                    sample = _Sample(block)
                    yield block
                number += 1
                del chunk, opened
        finally:
            _close(chunks)
        self._check_total(total, complete=True)
        self.n_rows = total

    def _fresh(self) -> Iterator[Any]:
        chunks = self._start()
        if chunks is self._last:
            raise ValueError(
                f"{self.label} returned the same iterator again, which is used up after one pass. "
                "It must return a fresh iterator in each call: `lambda: chunks()`, where chunks is a "
                "generator function."
            )
        self._last = chunks
        return chunks

    def _opened(self, chunk: Any, number: int) -> Rows:
        label = _chunk_label(number, self.label)
        opened = self._open_chunk(chunk, label, self._forced)
        if number == 0 and opened.dtype != self.dtype:
            raise ValueError(
                f"{self.label} changed while it was being read: its first chunk is "
                f"{opened.dtype.name} now and was {self.dtype.name} before."
            )
        _same_columns(self, opened)
        if opened.dtype == self.dtype:
            return opened
        if self.dtype != FLOAT64:
            raise ValueError(
                f"{label} is not float32 as the first chunk is, and converting it would lose "
                "digits. Give all chunks the same dtype, or choose one: "
                "fusem.rows(…, dtype=np.float64)."
            )
        return self._open_chunk(chunk, label, self.dtype)

    def _check_total(self, total: int, *, complete: bool) -> None:
        if complete and total == 0:
            before = "." if self.n_rows is None else f", but {self.n_rows} before."
            raise ValueError(
                f"Found array with 0 sample(s): {self.label} gave no rows in this pass{before} "
                "It must give all rows again in every pass."
            )
        if self.n_rows is None or total == self.n_rows or (total < self.n_rows and not complete):
            return
        raise ValueError(
            f"{self.label} changed while it was being read: it gave {self.n_rows} rows before and "
            f"{'' if complete else 'at least '}{total} now. Every pass must give the same rows."
        )


class _Sample:
    """Some values of a block, to notice that its memory was filled again.

    A generator that reads into one buffer and yields that buffer each time changes the rows that
    it gave before, while they may still be in use. Nothing but the values can show it: a
    generator may also yield one unchanged array many times, which is fine.
    """

    def __init__(self, block: FloatArray) -> None:
        self._view = block[:: max(1, len(block) // 8), :: max(1, block.shape[1] // 8)]
        self._bytes = self._view.tobytes()

    def check(self, number: int, label: str) -> None:
        """Raise if the values are no longer the same."""
        if self._view.tobytes() != self._bytes:
            raise ValueError(
                f"{label} wrote chunk {number} over chunk {number - 1}, which may still be in use. "
                "Yield a new array each time: `yield buffer.copy()`."
            )


def _chunk_label(number: int, label: str) -> str:
    return f"chunk {number} (counted from 0) of {label}"


def _same_columns(first: Rows, rows: Rows) -> None:
    """Refuse a chunk whose columns differ from the first chunk's."""
    if rows.n_columns != first.n_columns:
        raise ValueError(
            f"{rows.label} has {rows.n_columns} columns, the first chunk had {first.n_columns}."
        )
    if rows.names != first.names and None not in (rows.names, first.names):
        assert rows.names is not None
        assert first.names is not None
        raise ValueError(
            f"{rows.label} has the columns {', '.join(rows.names)}, the first chunk had "
            f"{', '.join(first.names)}: same names, same order, please (or say columns=[…])."
        )


def _close(chunks: Iterator[Any]) -> None:
    """Close a generator that was not read to its end, and with it what it holds open."""
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
