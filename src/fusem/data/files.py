"""Paths: one file, several, a folder of Parquet files or a glob."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusem.data.arrays import mapped_file
from fusem.data.blocks import FloatType, Rows
from fusem.data.chunks import ListRows
from fusem.data.csv import CsvRows
from fusem.data.npy import open_npy
from fusem.data.parquet import ParquetRows
from fusem.data.spellings import other_spellings

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
READABLE = (".npy", *PARQUET, *CSV)

_OTHERS = {
    ".npz": "It may hold several arrays; pass one of them: np.load(path)['name'].",
    ".arrow": "Pass pyarrow.dataset.dataset(path, format='ipc').",
    ".feather": "Pass pyarrow.dataset.dataset(path, format='feather').",
    ".h5": "Pass a function that yields its rows in chunks.",
    ".hdf5": "Pass a function that yields its rows in chunks.",
    ".pkl": "Load it, and pass the array or table.",
    ".pickle": "Load it, and pass the array or table.",
    ".json": "Pass pandas.read_json(path).",
    ".xlsx": "Pass pandas.read_excel(path).",
    ".txt": "Pass np.loadtxt(path), or name it .csv if its values are separated by commas.",
    ".dat": "Pass np.loadtxt(path), or np.memmap(path, dtype, shape=…) for a raw file.",
    ".bin": "Pass np.memmap(path, dtype, mode='r', shape=…).",
    ".zip": "Unpack it first.",
}


def is_readable_name(text: str) -> bool:
    """Tell whether a string looks like the path of data rather than a value.

    Parameters
    ----------
    text : str
        Any string.

    Returns
    -------
    is_path : bool
        True if it ends as readable files do, or exists.
    """
    return text.lower().endswith(READABLE) or os.path.exists(text)  # noqa: PTH110 - may be no path


def open_path(
    path: str | os.PathLike[Any],
    columns: Any,
    label: str,
    dtype: FloatType | None,
    na_values: Sequence[str] | None = None,
) -> Rows:
    """Open a file, a folder or a glob.

    Parameters
    ----------
    path : str or PathLike
        ``.npy``, ``.parquet``, ``.csv``; a folder with Parquet files in it; or a glob such as
        ``'part-*.parquet'``, whose files are read in the order of their names.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call it.
    dtype : numpy.dtype or None
        float32 or float64, default by the contents.
    na_values : sequence of str, optional
        More spellings of a missing value in CSV files.

    Returns
    -------
    rows : Rows
        Nothing but headers was read yet.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no file matches.
    ValueError
        If the file is of another kind, or damaged.
    ImportError
        If pyarrow is needed and missing.
    """
    paths = _resolve(path, label)
    name = repr(str(paths[0])) if len(paths) == 1 and glob.has_magic(os.fsdecode(path)) else label
    return open_paths(paths, columns, name, dtype, na_values)


def open_list(
    paths: Sequence[str | os.PathLike[Any]],
    columns: Any,
    label: str,
    dtype: FloatType | None,
    na_values: Sequence[str] | None = None,
) -> Rows:
    """Open a list of files, folders and globs, read one after the other.

    Parameters
    ----------
    paths : sequence of str and PathLike
        As in `open_path`, at least one.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call the list.
    dtype : numpy.dtype or None
        float32 or float64, default by the contents.
    na_values : sequence of str, optional
        More spellings of a missing value in CSV files.

    Returns
    -------
    rows : Rows
        All their rows.
    """
    found = [file for path in paths for file in _resolve(path, repr(os.fsdecode(path)))]
    name = label if len(found) > 1 else repr(str(found[0]))
    return open_paths(found, columns, name, dtype, na_values)


def open_paths(
    paths: Sequence[Path],
    columns: Any,
    label: str,
    dtype: FloatType | None,
    na_values: Sequence[str] | None = None,
) -> Rows:
    """Open files that are read one after the other.

    Parameters
    ----------
    paths : sequence of Path
        At least one file.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call them together.
    dtype : numpy.dtype or None
        float32 or float64, default by the contents.
    na_values : sequence of str, optional
        More spellings of a missing value in CSV files.

    Returns
    -------
    rows : Rows
        All their rows.
    """
    if na_values is not None and not all(path.name.lower().endswith(CSV) for path in paths):
        raise other_spellings(label)
    if all(path.name.lower().endswith(PARQUET) for path in paths):
        return ParquetRows(list(paths), columns, label, dtype)
    if len(paths) > 1:
        names = [str(path) for path in paths]

        def open_one(chunk: str, label: str, dtype: FloatType | None) -> Rows:
            return open_path(chunk, columns, repr(chunk), dtype, na_values)

        return ListRows(names, open_one, label, dtype)
    path = paths[0]
    name = path.name.lower()
    if name.endswith(".npy"):
        return open_npy(path, label, columns, dtype)
    if name.endswith(CSV):
        return CsvRows(path, columns, label, dtype, na_values or ())
    remedy = next((text for end, text in _OTHERS.items() if name.endswith(end)), None)
    kinds = ", ".join(READABLE)
    raise ValueError(
        f"{label}: fusem does not read {path.suffix or 'files without a suffix'}; it reads {kinds}. "
        f"{remedy or 'For anything else pass an array, a table, or a function that yields chunks.'}"
    )


def _resolve(path: str | os.PathLike[Any], label: str) -> list[Path]:
    """Files that a path stands for, at least one."""
    text = os.fsdecode(path)
    if not text:
        raise ValueError(f"{label} is an empty string, not the path of a file.")
    if "://" in text:
        raise ValueError(
            f"{label}: fusem reads local files. For data elsewhere pass "
            f"pyarrow.dataset.dataset({text!r})."
        )
    found = Path(text).expanduser()
    if found.is_dir():
        return _parquet_files(found, label)
    if found.exists():
        return [found]
    if not glob.has_magic(text):
        raise FileNotFoundError(_no_such_file(found, text))
    matches = [Path(name) for name in sorted(glob.glob(str(found), recursive=True))]  # noqa: PTH207
    matches = [match for match in matches if match.is_file()]
    if not matches:
        raise FileNotFoundError(f"No file matches {text!r} (looked from {Path.cwd()}).")
    return matches


def _parquet_files(folder: Path, label: str) -> list[Path]:
    """Parquet files in a folder and the folders in it, by path; hidden ones are other tools'."""
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.name.lower().endswith(PARQUET)
        and file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    )
    if not files:
        raise FileNotFoundError(
            f"{label}: there is no Parquet file in this folder. For other files give a glob, such "
            f"as {str(folder / '*.npy')!r}."
        )
    return files


def _no_such_file(path: Path, text: str) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"There is no file {text!r}: the folder {str(folder)!r} does not exist."
    complaint = f"There is no file {text!r} (looked in {folder.resolve()})."
    close = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()], n=1)
    if close:
        return f"{complaint} Did you mean {str(folder / close[0])!r}?"
    if is_readable_name(text):
        return complaint
    return f"{complaint} A string is taken as the path of data: {', '.join(READABLE)}."


def reads_from(X: Any, path: str | os.PathLike[str]) -> bool:
    """Whether the file `path` is one of those that the source `X` is, or would be, read from.

    Parameters
    ----------
    X : object
        A source as in `open_rows`. Paths, memory maps, opened rows and lists of these are read from files.
    path : str or path-like
        A file that somebody is about to write.

    Returns
    -------
    same : bool
        Links are followed; two names of one file are one.
    """
    if isinstance(X, list | tuple):
        return any(reads_from(item, path) for item in X if not isinstance(item, int | float))
    if isinstance(X, str | os.PathLike):
        try:
            sources: Iterable[Path] = _resolve(X, "X")
        except (FileNotFoundError, ValueError):  # nothing is read there, as opening it will say
            return False
    elif isinstance(X, Rows):
        sources = X.files
    else:
        mapped = mapped_file(X) if isinstance(X, np.ndarray) else None
        sources = () if mapped is None else (mapped,)
    return any(_same(Path(path), source) for source in sources)


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there (yet)
        return path.resolve() == other.resolve()
