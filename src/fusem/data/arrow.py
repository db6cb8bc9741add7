"""Arrow columns to numbers: what Parquet, CSV, pyarrow tables and data sets have in common."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fusem.data.blocks import FLOAT64, FloatArray, FloatType, Rows, common_float, piece_rows
from fusem.data.columns import column_positions, not_numeric, string_names

# Larger than the pieces of other sources: each column of a batch costs Python calls, and more
# rows than this gain nothing.
BATCH_BYTES = 2**22
MOST_BATCH_ROWS = 2**18
LEAST_BATCH_ROWS = 2**10


def pyarrow_module(name: str, label: str) -> Any:
    """Import a part of pyarrow, or say how to get it.

    Parameters
    ----------
    name : str
        Such as ``pyarrow.parquet``.
    label : str
        What needs it.

    Returns
    -------
    module : module
        The module.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise ImportError(
            f"Reading {label} needs pyarrow, which is not installed: pip install pyarrow",
            name=error.name,
        ) from None


def batch_rows(n_columns: int, dtype: FloatType) -> int:
    """Rows per record batch, so that one converted batch is a bounded piece.

    Parameters
    ----------
    n_columns : int
        Number of columns.
    dtype : numpy.dtype
        Dtype after conversion.

    Returns
    -------
    rows : int
        A power of two.
    """
    return min(MOST_BATCH_ROWS, max(LEAST_BATCH_ROWS, piece_rows(n_columns, dtype, BATCH_BYTES)))


def choose_numeric(schema: Any, columns: Any, label: str) -> list[int]:
    """Positions of the columns asked for, default all; refuse those that hold no numbers.

    Parameters
    ----------
    schema : pyarrow.Schema
        Names and types to choose from.
    columns : None, str, int, or iterable of str and int
        The choice.
    label : str
        What errors call the source.

    Returns
    -------
    positions : list of int
        In the order asked for. By default the index columns that pandas writes beside the data
        are left out.

    Raises
    ------
    ValueError
        Names every column chosen that is not numeric, and the numeric ones.
    """
    names = list(schema.names)
    positions = column_positions(columns, names, len(names), label)
    if positions is None:
        positions = [j for j, name in enumerate(names) if not name.startswith("__index_level_")]
    numeric = [j for j in range(len(names)) if number_dtype(schema.field(j).type) is not None]
    bad = [j for j in positions if j not in set(numeric)]
    if bad:
        kinds = [(names[j], schema.field(j).type) for j in bad]
        raise not_numeric(kinds, [names[j] for j in numeric], label)
    return positions


def number_dtype(kind: Any) -> np.dtype[Any] | None:
    """NumPy dtype that stands for an Arrow type in `common_float`, ``None`` if it is no number.

    Parameters
    ----------
    kind : pyarrow.DataType
        Type of a column.

    Returns
    -------
    dtype : numpy.dtype or None
        The column's own for floats, float64 for everything else that can be converted.
    """
    types = importlib.import_module("pyarrow.types")
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_floating(kind):
        return np.dtype(f"float{kind.bit_width}")
    if types.is_integer(kind) or types.is_boolean(kind):
        return FLOAT64
    return FLOAT64 if types.is_decimal(kind) or types.is_null(kind) else None


def schema_dtype(schema: Any, positions: list[int]) -> FloatType:
    """Dtype of the rows made of some columns.

    Parameters
    ----------
    schema : pyarrow.Schema
        Names and types.
    positions : list of int
        The columns, all numeric.

    Returns
    -------
    dtype : numpy.dtype
        float32 or float64.
    """
    kinds = (number_dtype(schema.field(j).type) for j in positions)
    return common_float(kind for kind in kinds if kind is not None)


def batch_to_block(columns: list[Any], n_rows: int, dtype: FloatType) -> FloatArray:
    """Convert the columns of one record batch; nulls become NaN.

    Parameters
    ----------
    columns : list of pyarrow.Array
        Of equal length.
    n_rows : int
        That length.
    dtype : numpy.dtype
        float32 or float64.

    Returns
    -------
    block : ndarray of shape (n_rows, len(columns))
        A fresh array, column after column in memory: each column is one contiguous copy.
    """
    block = np.empty((len(columns), n_rows), dtype)
    for values, column in zip(block, columns):
        values[:] = _numbers(column)
    return block.T


def _numbers(column: Any) -> Any:
    pa = importlib.import_module("pyarrow")
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif not types.is_floating(column.type) and not types.is_integer(column.type):
        column = column.cast(pa.float64())
    if column.null_count and types.is_floating(column.type) and column.type.bit_width == 16:
        column = column.cast(pa.float32())
    return column.to_numpy(zero_copy_only=False)


class ArrowRows(Rows):
    """A pyarrow Table or RecordBatch, converted batch by batch.

    Parameters
    ----------
    table : pyarrow.Table
        The columns.
    columns : None, str, int, or iterable of str and int
        The choice.
    label : str
        What errors call it.
    dtype : numpy.dtype, optional
        float32 or float64, default by the columns.
    """

    def __init__(self, table: Any, columns: Any, label: str, dtype: FloatType | None) -> None:
        positions = choose_numeric(table.schema, columns, label)
        self._table = table.select(positions)
        self.n_rows = table.num_rows
        self.n_columns = len(positions)
        self.dtype = schema_dtype(table.schema, positions) if dtype is None else dtype
        self.names = string_names(self._table.column_names)
        self.label = label

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the batches of the table.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            A fresh array.
        """
        step = batch_rows(self.n_columns, self.dtype)
        for batch in self._table.to_batches(max_chunksize=step):
            yield batch_to_block(batch.columns, batch.num_rows, self.dtype)


class DatasetRows(Rows):
    """A `pyarrow.dataset.Dataset`, scanned anew in every pass: for remote or partitioned data.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        Where the columns come from.
    columns : None, str, int, or iterable of str and int
        The choice.
    label : str
        What errors call it.
    dtype : numpy.dtype, optional
        float32 or float64, default by the columns.
    """

    def __init__(self, dataset: Any, columns: Any, label: str, dtype: FloatType | None) -> None:
        positions = choose_numeric(dataset.schema, columns, label)
        self._dataset = dataset
        self._columns = [dataset.schema.names[j] for j in positions]
        self.n_rows = None
        self.n_columns = len(positions)
        self.dtype = schema_dtype(dataset.schema, positions) if dtype is None else dtype
        self.names = string_names(self._columns)
        self.label = label

    def blocks(self) -> Iterator[FloatArray]:
        """Scan the data set.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            A fresh array.
        """
        pa = pyarrow_module("pyarrow", self.label)
        total = 0
        try:
            for batch in self._batches():
                total += batch.num_rows
                yield batch_to_block(batch.columns, batch.num_rows, self.dtype)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.label} cannot be read any more: {error}") from error
        if self.n_rows is None:
            self.n_rows = total

    def _batches(self) -> Any:
        # Little read-ahead: the default holds up to 16 batches of 4 files in memory.
        return self._dataset.to_batches(
            columns=self._columns,
            batch_size=batch_rows(self.n_columns, self.dtype),
            batch_readahead=2,
            fragment_readahead=1,
        )
