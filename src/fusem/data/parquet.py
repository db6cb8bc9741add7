"""Rows of Parquet files, streamed by record batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fusem.data.arrow import (
    batch_rows,
    batch_to_block,
    choose_numeric,
    number_dtype,
    pyarrow_module,
    schema_dtype,
)
from fusem.data.blocks import FLOAT32, FLOAT64, FloatArray, FloatType, Rows, Whole
from fusem.data.columns import enumerated, not_numeric, string_names
from fusem.data.file_mark import FileMark

# Read buffers, one per column: with them pyarrow decodes page by page instead of holding whole
# row groups. Measured on 4e6 x 8 doubles: the same 40 million rows/s, a third of the memory.
BUFFER_BYTES = 2**18
MOST_BUFFERS_BYTES = 2**24


class _File(NamedTuple):
    path: Path
    label: str
    mark: FileMark
    n_rows: int


class ParquetRows(Rows):
    """One Parquet file, or several with the same columns, read one after the other.

    The first file decides which columns there are and in which order; in the others they are
    found by name, and may have another numeric type.

    Parameters
    ----------
    paths : list of Path
        The files, at least one.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call them together.
    dtype : numpy.dtype, optional
        float32 or float64, default float32 if that holds every column of every file.
    """

    def __init__(
        self, paths: list[Path], columns: Any, label: str, dtype: FloatType | None = None
    ) -> None:
        self.label = label
        self._columns: list[str] = []
        self._files: list[_File] = []
        dtypes = []
        for path in paths:
            name = label if len(paths) == 1 else repr(str(path))
            mark = FileMark(path, name)
            with _opened(path, name) as file:
                schema, n_rows = file.schema_arrow, file.metadata.num_rows
            if not self._files:
                positions = choose_numeric(schema, columns, name)
                self._columns = [schema.names[j] for j in positions]
            else:
                positions = _find(self._columns, schema, name, self._files[0].label)
            if positions:
                dtypes.append(schema_dtype(schema, positions))
            self._files.append(_File(path, name, mark, n_rows))
        if len(set(self._columns)) < len(self._columns):
            raise ValueError(
                f"{label} has several columns of one name, which cannot be told apart."
            )
        self.n_columns = len(self._columns)
        self.n_rows = sum(file.n_rows for file in self._files)
        self.dtype = dtype or (FLOAT64 if FLOAT64 in dtypes else FLOAT32)
        self.names = string_names(self._columns)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(file.path for file in self._files)

    def blocks(self) -> Iterator[FloatArray]:
        """Read the files anew.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            One converted record batch, a fresh array.
        """
        step = batch_rows(self.n_columns, self.dtype)
        for file in self._files:
            file.mark.check()
            with _opened(file.path, file.label, self.n_columns) as reader:
                # Found by name in each batch: pyarrow gives columns in the file's own order.
                for batch in reader.iter_batches(batch_size=step, columns=self._columns):
                    columns = [batch.column(name) for name in self._columns]
                    yield batch_to_block(columns, batch.num_rows, self.dtype)
            file.mark.check()

    def whole(self) -> Whole:
        """All columns of the first file, and those of the others that have the same names."""
        with _opened(self._files[0].path, self._files[0].label) as file:
            schema = file.schema_arrow
        arrow, names = pyarrow_module("pyarrow", self.label), list(schema.names)

        def tables() -> Iterator[Any]:
            step = batch_rows(len(names), FLOAT64)
            for file in self._files:
                file.mark.check()
                with _opened(file.path, file.label, len(names)) as reader:
                    _check_has(names, reader.schema_arrow, file.label, self._files[0].label)
                    for batch in reader.iter_batches(batch_size=step):
                        yield arrow.Table.from_batches([batch]).select(names).cast(schema)
                file.mark.check()

        return Whole(schema, [names.index(name) for name in self._columns], tables)


@contextmanager
def _opened(path: Path, label: str, n_columns: int = 1) -> Iterator[Any]:
    """Open a file for reading with little memory; errors of pyarrow get the file's name."""
    parquet = pyarrow_module("pyarrow.parquet", label)
    arrow = pyarrow_module("pyarrow", label)
    buffer = max(2**14, min(BUFFER_BYTES, MOST_BUFFERS_BYTES // max(1, n_columns)))
    try:
        with parquet.ParquetFile(path, buffer_size=buffer, pre_buffer=False) as file:
            yield file
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(
            f"{label} cannot be read as Parquet; it is damaged, cut short or something else. "
            f"pyarrow says: {error}"
        ) from error


def _find(names: list[str], schema: Any, label: str, first: str) -> list[int]:
    """Positions of the first file's columns in another file."""
    _check_has(names, schema, label, first)
    positions = [schema.names.index(name) for name in names]
    bad = [j for j in positions if number_dtype(schema.field(j).type) is None]
    if bad:
        numeric = [f.name for f in schema if number_dtype(f.type) is not None]
        raise not_numeric([(schema.names[j], schema.field(j).type) for j in bad], numeric, label)
    return positions


def _check_has(names: list[str], schema: Any, label: str, first: str) -> None:
    """Refuse a file that lacks columns of the first one."""
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise ValueError(
            f"{label} has no column {enumerated(missing)}, which {first} has. Read files with "
            "other columns apart, or choose common ones: columns=[…]."
        )
