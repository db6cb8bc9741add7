"""What is this? `open_rows` turns almost anything into rows."""

from __future__ import annotations

import array as stdlib_array
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fusem.data.arrays import ArrayRows
from fusem.data.arrow import ArrowRows, DatasetRows, pyarrow_module
from fusem.data.blocks import FLOAT32, FLOAT64, FloatType, Rows
from fusem.data.chunks import ListRows, StreamRows
from fusem.data.columns import column_list, column_positions
from fusem.data.files import is_readable_name, open_list, open_path
from fusem.data.npy import memmap_watch
from fusem.data.spellings import other_spellings, spellings
from fusem.data.tables import open_pandas, open_polars

ACCEPTED = (
    "an array, a pandas, polars or pyarrow table, the path of a .npy, .parquet or .csv file, a list "
    "of arrays, or a function that returns a fresh iterator over chunks"
)


class _Choice(NamedTuple):
    """What the caller wants of the rows."""

    columns: Any = None
    dtype: FloatType | None = None
    na_values: list[str] | None = None
    flat_chunks: bool = False  # a 1-D chunk is a piece of one column, not a mistake


def open_rows(
    X: Any,
    *,
    columns: Any = None,
    dtype: npt.DTypeLike | None = None,
    na_values: Any = None,
    label: str | None = None,
) -> Rows:
    """Rows from an array, a table, a file, or chunks of any of them, to be read many times.

    Every method of a model that takes ``X`` calls this itself: call it to choose columns or a
    dtype, or to see what fusem makes of a source.

    Parameters
    ----------
    X : array-like, table, path, list, iterable, callable or Rows
        One of

        - an array of shape (n_rows, n_columns), or (n_rows,) for one column. float64 and float32
          are used where they lie, in any memory order; other real dtypes are converted in pieces;
          masked cells become NaN. Also a `numpy.memmap`, and lists of lists.
        - a pandas or polars DataFrame or Series, a pyarrow Table or Dataset. Nulls become NaN.
        - a path to a ``.npy``, ``.parquet`` or ``.csv`` file, to a folder of Parquet files, or a
          glob such as ``'part-*.parquet'``.
        - chunks, each an array of shape (m, n_columns) or a table, of any length: a list of them,
          an object that can be iterated over again and again, or a function without arguments
          that returns a fresh iterator in each call.
    columns : str, int, or list of them, optional
        Columns to take, in this order: names, or positions counted from 0. Default all; of a
        table all must be numeric then.
    dtype : {float32, float64}, optional
        What to compute with. Default float32 if all columns are float32 or float16, else float64.
    na_values : str or list of str, optional
        How a CSV file spells a missing value, beside an empty cell, ``NA``, ``N/A``, ``NaN`` and ``null``:
        cells as they stand there, such as ``["n.d.", "-999"]``.
    label : str, optional
        What errors call the source; default ``X``, or the path.

    Returns
    -------
    rows : Rows
        With the attributes ``n_columns``, ``n_rows`` (``None`` if that takes a pass to find out),
        ``dtype`` and ``names``. Values are not looked at yet: NaN and infinity are found later.

    Raises
    ------
    ValueError
        For empty, complex or more than two-dimensional input, columns that do not exist or are not
        numeric, and damaged files.
    TypeError
        For sparse matrices, iterators that can be read only once, and what holds no rows at all.
    FileNotFoundError
        If there is no such file.
    ImportError
        If a file or table needs pyarrow and it is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import fusem
    >>> fusem.rows(np.arange(12).reshape(4, 3), columns=[0, 2])
    <Rows of X: 4 x 2 float64>

    Chunks that never are in memory together: give the function, not what it returns.

    >>> def chunks():
    ...     for seed in range(3):
    ...         yield np.random.default_rng(seed).normal(size=(1000, 2))
    >>> fusem.rows(chunks)
    <Rows of X: ? x 2 float64>
    """
    chosen = columns if columns is None else column_list(columns)
    wanted = _Choice(chosen, _float_dtype(dtype), spellings(na_values))
    return _not_empty(_recognise(X, wanted, label))


def open_weights(sample_weight: Any, *, label: str = "sample_weight") -> Rows:
    """Open one weight per row, from everything that `open_rows` takes.

    Parameters
    ----------
    sample_weight : array-like, table, path, list, iterable, callable or Rows
        As in `open_rows`, but with a single column. Chunks may have shape (m,) here.
    label : str
        What errors call it.

    Returns
    -------
    weights : Rows
        Of one column of float64. The values are not looked at yet.

    Raises
    ------
    ValueError
        If it has more than one column, or as in `open_rows`.
    TypeError
        As in `open_rows`.

    Examples
    --------
    >>> from fusem.data import open_weights
    >>> open_weights([1, 2, 0.5])
    <Rows of sample_weight: 3 x 1 float64>
    """
    wanted = _Choice(dtype=None if isinstance(sample_weight, Rows) else FLOAT64, flat_chunks=True)
    weights = _not_empty(_recognise(sample_weight, wanted, label))
    if weights.n_columns != 1:
        n_rows = "?" if weights.n_rows is None else weights.n_rows
        raise ValueError(
            f"{weights.label} must be one number per row, got shape "
            f"({n_rows}, {weights.n_columns})."
        )
    return weights


def _float_dtype(dtype: npt.DTypeLike | None) -> FloatType | None:
    if dtype is None:
        return None
    wanted = np.dtype(dtype)
    if wanted not in (FLOAT32, FLOAT64):
        raise ValueError(f"dtype must be float32 or float64, got {wanted}.")
    return FLOAT32 if wanted == FLOAT32 else FLOAT64


def _not_empty(rows: Rows) -> Rows:
    """Refuse what has no rows or no columns, in scikit-learn's words."""
    if rows.n_columns and rows.n_rows != 0:
        return rows
    what = "0 sample(s)" if rows.n_rows == 0 else "0 feature(s)"
    n_rows = "?" if rows.n_rows is None else rows.n_rows
    where = "" if rows.label == "X" else f"{rows.label}: "
    raise ValueError(
        f"{where}Found array with {what} (shape=({n_rows}, {rows.n_columns})) while a minimum of 1 "
        "is required."
    )


def _recognise(X: Any, wanted: _Choice, label: str | None) -> Rows:
    if type(X) is np.ndarray and wanted.na_values is None:  # most of all that is opened
        return _from_array(X, wanted, label or "X")
    if isinstance(X, Rows):
        return _as_it_is(X, wanted)
    if isinstance(X, str | os.PathLike):
        path = repr(os.fsdecode(X))
        name = f"{label} ({path})" if label else path
        return open_path(X, wanted.columns, name, wanted.dtype, wanted.na_values)
    label = label or "X"
    if wanted.na_values is not None and not _may_hold_paths(X):
        raise other_spellings(label)
    rows = _from_library(X, wanted, label)
    if rows is not None:
        return rows
    if isinstance(X, np.ndarray):
        return _from_array(X, wanted, label)
    if isinstance(X, list | tuple):
        return _from_list(X, wanted, label)
    if isinstance(X, range | memoryview | stdlib_array.array) or (
        hasattr(X, "__array__") and not isinstance(X, type)
    ):
        return _from_array(np.asarray(X), wanted, label)
    return _from_chunks(X, wanted, label)


def _may_hold_paths(X: Any) -> bool:
    """Whether X is a list of paths or chunks, or makes such: each is looked at when it is opened."""
    if isinstance(X, list | tuple):
        return any(_is_path(item) for item in X)
    return not hasattr(X, "__array__") and not _libraries(X) & {"pandas", "polars", "pyarrow"}


def _as_it_is(rows: Rows, wanted: _Choice) -> Rows:
    if wanted.na_values is not None:
        raise ValueError(f"{rows!r} is open already: give na_values= where it is opened, not here.")
    if wanted.columns is not None:
        raise ValueError(f"{rows!r} is open already: give columns= where it is opened, not here.")
    if wanted.dtype not in (None, rows.dtype):
        raise ValueError(f"{rows!r} is open already: give dtype= where it is opened, not here.")
    return rows


def _libraries(X: Any) -> set[str]:
    """Names of the packages that define the type of X or one it derives from.

    Asking the packages instead would import them, for people who only have arrays.
    """
    return {cls.__module__.partition(".")[0] for cls in type(X).__mro__}


def _from_library(X: Any, wanted: _Choice, label: str) -> Rows | None:
    """Open objects of other packages; ``None`` if X is none of those known here."""
    columns, dtype, name = wanted.columns, wanted.dtype, type(X).__name__
    libraries = _libraries(X)
    if "pandas" in libraries and hasattr(X, "to_numpy") and hasattr(X, "ndim"):
        return open_pandas(X, columns, label, dtype)
    if "polars" in libraries:
        if name == "LazyFrame":
            raise TypeError(
                f"{label} is a polars LazyFrame, which would be computed anew in every pass. Pass "
                "X.collect(), or write it to a file with X.sink_parquet(path) and pass the path."
            )
        if hasattr(X, "slice"):
            return open_polars(X, columns, label, dtype)
    if "pyarrow" in libraries:
        return _from_arrow(X, wanted, label)
    if hasattr(X, "toarray") and libraries & {"scipy", "sparse", "cupyx"}:
        raise TypeError(
            f"Sparse data was passed for {label}, but dense data is required. "
            "Use X.toarray() to convert it to a dense array, or pass a function that yields "
            "X[a:b].toarray() for one range of rows after the other."
        )
    return None


def _from_arrow(X: Any, wanted: _Choice, label: str) -> Rows | None:
    pa = pyarrow_module("pyarrow", label)
    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    elif isinstance(X, pa.Array | pa.ChunkedArray):
        X = pa.table({"": X})
    if isinstance(X, pa.Table):
        rows = ArrowRows(X, wanted.columns, label, wanted.dtype)
        rows.names = None if rows.names == ("",) else rows.names
        return rows
    if hasattr(X, "get_fragments"):
        return DatasetRows(X, wanted.columns, label, wanted.dtype)
    return None


def _from_array(X: npt.NDArray[Any], wanted: _Choice, label: str) -> Rows:
    width = X.shape[1] if X.ndim == 2 else 1
    positions = column_positions(wanted.columns, None, width, label)
    watch = memmap_watch(X, label)
    return ArrayRows(X, label, positions=positions, dtype=wanted.dtype, watch=watch)


def _from_list(X: list[Any] | tuple[Any, ...], wanted: _Choice, label: str) -> Rows:
    """Tell a list of chunks from a list of rows: chunks have two dimensions of their own."""
    if X and all(_is_path(item) for item in X):
        return open_list(X, wanted.columns, label, wanted.dtype, wanted.na_values)
    if any(_is_chunk(item, wanted) for item in X[:2]):
        return ListRows(X, partial(_open_chunk, wanted), label, wanted.dtype)
    try:
        array = np.asarray(X)
    except ValueError:
        lengths = [np.size(row) for row in X]
        odd = next((i for i, n in enumerate(lengths) if n != lengths[0]), 0)
        raise ValueError(
            f"{label} is a list whose rows have different lengths: row 0 has {lengths[0]} values, "
            f"row {odd} has {lengths[odd]}. For chunks of one column give each the shape (m, 1)."
        ) from None
    return _from_array(array, wanted, label)


def _is_path(item: Any) -> bool:
    return isinstance(item, os.PathLike) or (isinstance(item, str) and is_readable_name(item))


def _is_chunk(item: Any, wanted: _Choice) -> bool:
    if isinstance(item, Rows) or _is_path(item):
        return True
    n_dimensions = _dimensions(item)
    return n_dimensions == 2 or (wanted.flat_chunks and n_dimensions == 1)


def _dimensions(item: Any) -> int | None:
    """Dimensions of an array or table, ``None`` of anything else."""
    shape = getattr(item, "shape", None)
    return len(shape) if isinstance(shape, tuple) else None


def _from_chunks(X: Any, wanted: _Choice, label: str) -> Rows:
    name = type(X).__name__
    if X is None or isinstance(X, int | float | complex | bytes | bytearray | Mapping | Set):
        raise _no_rows(X, label)
    if hasattr(X, "__next__"):
        raise TypeError(
            f"{label} is a one-shot iterator ({name}): it can be read only once, and EM reads the "
            "rows many times. Pass a function that returns a fresh iterator, for example "
            "`lambda: chunks()` where chunks is a generator function."
        )
    open_chunk = partial(_open_chunk, wanted)
    if hasattr(X, "__iter__") and not isinstance(X, type):
        return StreamRows(partial(_iterate, X, label), open_chunk, label, wanted.dtype)
    if callable(X) and not isinstance(X, type):
        _takes_no_argument(X, label)
        return StreamRows(partial(_call, X, label), open_chunk, label, wanted.dtype)
    raise _no_rows(X, label)


def _no_rows(X: Any, label: str) -> TypeError | ValueError:
    name = type(X).__name__
    if isinstance(X, Mapping):
        return TypeError(
            f"{label} is a {name}, which is no table. Pass pandas.DataFrame(X), or "
            "np.column_stack(list(X.values()))."
        )
    if isinstance(X, int | float | complex):
        return ValueError(
            f"Expected 2D array, got scalar array instead:\narray={X}.\n"
            f"{label} must have one row per sample and one column per variable."
        )
    what = (
        "None" if X is None else f"the class {X.__name__}" if name == "type" else f"of type {name}"
    )
    return TypeError(f"{label} is {what}, which holds no rows. fusem takes {ACCEPTED}.")


def _takes_no_argument(function: Callable[..., Any], label: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind()
    except TypeError as error:
        raise TypeError(
            f"{label} is a function that cannot be called without arguments ({error}). Bind them: "
            "`lambda: chunks(path)`."
        ) from None


def _call(function: Callable[[], Any], label: str) -> Iterator[Any]:
    chunks = function()
    is_whole = isinstance(chunks, str | Mapping) or _dimensions(chunks) is not None
    if is_whole or not hasattr(chunks, "__iter__"):
        what = "None" if chunks is None else f"an object of type {type(chunks).__name__}"
        hint = "did it forget `yield`?" if chunks is None else "let it yield such chunks instead."
        raise TypeError(
            f"{label} is a function that returned {what}. It must return an iterator over "
            f"chunks, each an array of shape (m, n_columns) or a table: {hint}"
        )
    fresh: Iterator[Any] = iter(chunks)
    return fresh


def _iterate(chunks: Any, label: str) -> Iterator[Any]:
    iterator: Iterator[Any] = iter(chunks)
    if iterator is chunks:  # an iterator in disguise
        raise TypeError(
            f"{label} is a one-shot iterator ({type(chunks).__name__}): it can be read only once. "
            "Pass a function that returns a fresh iterator, for example `lambda: chunks()`."
        )
    return iterator


def _open_chunk(wanted: _Choice, chunk: Any, label: str, dtype: FloatType | None) -> Rows:
    """Open a chunk like anything else, except that it may be empty and must not be ambiguous."""
    if isinstance(chunk, Rows):
        return chunk
    is_flat = _dimensions(chunk) == 1 or (
        isinstance(chunk, list | tuple) and len(chunk) > 0 and np.ndim(chunk[0]) == 0
    )
    if is_flat and not wanted.flat_chunks:
        raise ValueError(
            f"{label} has one dimension: is it a row or a piece of a column? Give "
            "np.reshape(chunk, (1, -1)) for one row, np.reshape(chunk, (-1, 1)) for one column."
        )
    return _recognise(chunk, wanted._replace(dtype=dtype), label)
