"""Rows of `.npy` files and of `numpy.memmap` objects, read where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fusem.data.arrays import AnyArray, ArrayRows
from fusem.data.blocks import FloatType
from fusem.data.columns import column_positions
from fusem.data.file_mark import FileMark


def open_npy(path: Path, label: str, columns: Any, dtype: FloatType | None) -> ArrayRows:
    """Open an `.npy` file as a memory map.

    Parameters
    ----------
    path : Path
        The file.
    label : str
        What errors call it.
    columns : None, str, int, or iterable of str and int
        Positions of the columns to take.
    dtype : numpy.dtype or None
        float32 or float64, default by the file's dtype.

    Returns
    -------
    rows : ArrayRows
        Checked against the file in every pass.

    Raises
    ------
    ValueError
        If it is no such file, is cut short, or holds no numbers.
    """
    mark = FileMark(path, label, lambda: describe_npy(path, label))
    array = _memory_map(path, label)
    positions = column_positions(columns, None, 1 if array.ndim < 2 else array.shape[1], label)
    return ArrayRows(array, label, positions=positions, dtype=dtype, watch=mark.check)


def describe_npy(path: Path, label: str) -> str:
    """Say what an `.npy` file holds, such as ``shape (10, 2) of float64``.

    Parameters
    ----------
    path : Path
        The file.
    label : str
        What errors call it.

    Returns
    -------
    text : str
        Shape and dtype.
    """
    with path.open("rb") as file:
        shape, _, dtype = _header(file, label)
    return f"shape {shape} of {dtype}"


def memmap_watch(array: AnyArray, label: str) -> Callable[[], None] | None:
    """Return a check for a `numpy.memmap` of the user's, against a file that shrinks.

    Touching a page beyond the end of the file would end the process. Other changes are not
    looked for: whoever holds the map may write through it.

    Parameters
    ----------
    array : ndarray
        Any array.
    label : str
        What errors call it.

    Returns
    -------
    check : callable or None
        ``None`` if there is no file to look at.
    """
    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    path = Path(array.filename)
    if not path.is_file():  # a scratch file without a name: nobody else can shrink it
        return None
    size = path.stat().st_size

    def check() -> None:
        try:
            now = path.stat().st_size
        except FileNotFoundError:
            return  # the map keeps a removed file's contents
        if now < size:
            raise ValueError(
                f"The file of {label}, {str(path)!r}, changed while it was being read: "
                f"it had {size} bytes and now has {now}."
            )

    return check


def _memory_map(path: Path, label: str) -> AnyArray:
    with path.open("rb") as file:
        shape, by_column, dtype = _header(file, label)
        offset = file.tell()
    if dtype.hasobject:
        raise ValueError(
            f"{label} holds pickled Python objects (dtype {dtype}), which fusem does not open. "
            "Save it as numbers: np.save(path, X.astype(float))."
        )
    if 0 in shape:  # an empty range cannot be mapped
        return np.empty(shape, dtype)
    expected = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    size = path.stat().st_size
    if size < expected:
        raise ValueError(
            f"{label} is cut short: its header promises shape {shape} of {dtype}, which takes "
            f"{expected} bytes, but the file has {size}. Write or copy it again."
        )
    return np.memmap(
        path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if by_column else "C"
    )


def _header(file: BinaryIO, label: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(file)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{label} is not an .npy file, or is damaged ({error}). Write it with np.save."
        ) from None
    raise ValueError(
        f"{label} is an .npy file of version {version}: only 1.0 and 2.0 hold numbers."
    )
