"""Rows of pandas and polars tables: their columns, converted slice by slice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fusem.data.arrays import ArrayRows, objects_to_float
from fusem.data.blocks import (
    FLOAT64,
    FloatArray,
    FloatType,
    Rows,
    common_float,
    piece_rows,
)
from fusem.data.columns import column_positions, not_numeric, string_names

# A column: how to get rows start...stop of it, as something NumPy can assign to floats.
Column = Callable[[int, int], Any]

# polars types whose values NumPy reads where they lie, if none is null.
_POLARS_PLAIN = frozenset(
    ["Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
)


class ColumnRows(Rows):
    """Columns of equal length, put side by side in bounded pieces.

    Parameters
    ----------
    columns : sequence of callables
        ``column(start, stop)`` returns these rows of it.
    n_rows : int
        Length of each.
    dtype : numpy.dtype
        float32 or float64.
    names : tuple of str or None
        Column names.
    label : str
        What errors call the table.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        n_rows: int,
        dtype: FloatType,
        names: tuple[str, ...] | None,
        label: str,
    ) -> None:
        self._columns = columns
        self.n_columns, self.n_rows = len(columns), n_rows
        self.dtype, self.names, self.label = dtype, names, label

    def blocks(self) -> Iterator[FloatArray]:
        """Convert the next rows.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            A fresh array, column after column in memory.
        """
        n_rows = self.n_rows or 0
        step = piece_rows(self.n_columns, self.dtype)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            block = np.empty((self.n_columns, stop - start), self.dtype)
            for values, column in zip(block, self._columns):
                values[:] = column(start, stop)
            yield block.T


def open_pandas(table: Any, columns: Any, label: str, dtype: FloatType | None) -> Rows:
    """Open a pandas DataFrame, Series or Index.

    Parameters
    ----------
    table : pandas.DataFrame, pandas.Series or pandas.Index
        The table.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns; integers are positions, not labels.
    label : str
        What errors call it.
    dtype : numpy.dtype or None
        float32 or float64, default by the columns.

    Returns
    -------
    rows : Rows
        Views if all columns lie in one float array, as they do after ``DataFrame(array)``.

    Raises
    ------
    ValueError
        Names the columns that are not numeric.
    """
    frame = table if table.ndim == 2 else table.to_frame()
    labels = list(frame.columns)
    positions = column_positions(columns, labels, len(labels), label)
    chosen = range(len(labels)) if positions is None else positions
    names = string_names([labels[j] for j in chosen])
    if _is_one_array(frame):
        return ArrayRows(frame.to_numpy(), label, positions=positions, dtype=dtype, names=names)
    kinds = [_pandas_dtype(frame.iloc[:, j]) for j in range(len(labels))]
    bad = [(labels[j], frame.dtypes.iloc[j]) for j in chosen if kinds[j] is None]
    if any(kind.kind == "c" for _, kind in bad):
        raise ValueError(
            f"Complex data not supported\n{label}: {bad[0][1]} in column {bad[0][0]!r}"
        )
    if bad:
        numeric = [name for name, kind in zip(labels, kinds) if kind is not None]
        raise not_numeric(bad, numeric, label)
    sources = [_pandas_column(frame.iloc[:, j], labels[j], label) for j in chosen]
    dtype = dtype or common_float(kinds[j] or FLOAT64 for j in chosen)
    return ColumnRows(sources, len(frame), dtype, names, label)


def open_polars(table: Any, columns: Any, label: str, dtype: FloatType | None) -> Rows:
    """Open a polars DataFrame or Series.

    Parameters
    ----------
    table : polars.DataFrame or polars.Series
        The table.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call it.
    dtype : numpy.dtype or None
        float32 or float64, default by the columns.

    Returns
    -------
    rows : Rows
        Nulls are NaN.

    Raises
    ------
    ValueError
        Names the columns that are not numeric.
    """
    series = table.get_columns() if hasattr(table, "get_columns") else [table]
    labels = [column.name for column in series]
    positions = column_positions(columns, labels, len(labels), label)
    chosen = series if positions is None else [series[j] for j in positions]
    bad = [(column.name, column.dtype) for column in chosen if _polars_dtype(column.dtype) is None]
    if bad:
        numeric = [column.name for column in series if _polars_dtype(column.dtype) is not None]
        raise not_numeric(bad, numeric, label)
    names = [column.name for column in chosen]
    kinds = [_polars_dtype(column.dtype) or FLOAT64 for column in chosen]
    return ColumnRows(
        [_polars_column(column) for column in chosen],
        len(table),
        dtype or common_float(kinds),
        None if names == [""] else tuple(names),
        label,
    )


def _pandas_dtype(series: Any) -> np.dtype[Any] | None:
    """Dtype that a column counts as in `common_float`; ``None`` if it is no number."""
    kind, types = series.dtype, sys.modules["pandas"].api.types
    if isinstance(kind, np.dtype):
        if kind.kind == "O":  # before version 3 also text
            return None if types.infer_dtype(series, skipna=True) == "string" else kind
        return kind if kind.kind in "biuf" else None
    if kind.kind == "f":  # nullable, Arrow or sparse
        return np.dtype(getattr(kind, "numpy_dtype", None) or kind.subtype)  # type: ignore[no-any-return]
    return FLOAT64 if types.is_numeric_dtype(kind) or types.is_bool_dtype(kind) else None


def _pandas_column(series: Any, name: Any, label: str) -> Column:
    kind = series.dtype
    if not isinstance(kind, np.dtype):
        # Nullable, Arrow or sparse: no NumPy array of the whole column exists, and none is made.
        return lambda start, stop: series.iloc[start:stop].to_numpy(np.float64, na_value=np.nan)
    if kind.kind == "O":
        array = series.to_numpy().copy()
        array[series.isna().to_numpy()] = None  # pandas' NA is no float; None becomes NaN
        array = objects_to_float(array, f"Column {name!r} of {label}")
    else:
        array = series.to_numpy()
    return lambda start, stop: array[start:stop]


def _is_one_array(frame: Any) -> bool:
    """Tell whether ``frame.to_numpy()`` is a view of numbers, without making the copy if not."""
    first = frame.dtypes.iloc[0] if frame.shape[1] else None
    if not isinstance(first, np.dtype) or first.kind not in "biuf" or not len(frame):
        return False
    if not (frame.dtypes == first).all():
        return False
    row = frame.iloc[:1].to_numpy()
    return all(np.shares_memory(row, frame.iloc[:1, j].to_numpy()) for j in (0, -1))


def _polars_dtype(kind: Any) -> np.dtype[Any] | None:
    """Dtype that a column counts as in `common_float`; ``None`` if it is no number."""
    if kind.is_float():
        return np.dtype(str(kind).lower())
    return FLOAT64 if kind.is_numeric() or str(kind) in ("Boolean", "Null") else None


def _polars_column(series: Any) -> Column:
    float64 = sys.modules["polars"].Float64
    plain = str(series.dtype) in _POLARS_PLAIN and not series.null_count()

    def rows(start: int, stop: int) -> Any:
        part = series.slice(start, stop - start)
        return part.to_numpy() if plain else part.cast(float64).to_numpy()

    return rows
