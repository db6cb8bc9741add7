"""Results per row, put together from segments that arrive in any order and from any thread."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fusem.data import Rows
from fusem.data.arrays import mapped_file
from fusem.data.files import reads_from
from fusem.kernels.large_pages import LEAST_RESULT, room
from fusem.persist import check_folder, naming


class Column:
    """One value per row; one array where the number of rows is known, else parts until the end."""

    def __init__(self, dtype: DTypeLike, rows: Rows) -> None:
        self._dtype = np.dtype(dtype)
        self._array = None if rows.n_rows is None else room(rows.n_rows, dtype, LEAST_RESULT)
        self._parts: dict[int, NDArray[Any]] = {}

    def put(self, first: int, part: NDArray[Any]) -> None:
        """The values from row `first` on."""
        if self._array is None:
            self._parts[first] = part
        else:
            self._array[first : first + len(part)] = part

    def whole(self) -> NDArray[Any]:
        """All values, by row."""
        if self._array is not None:
            return self._array
        parts = [part for _, part in sorted(self._parts.items())]
        return np.concatenate(parts) if parts else np.empty(0, dtype=self._dtype)


def check_output(out: Any, X: Any) -> None:
    """Refuse to write where the rows are read from.

    Raises
    ------
    ValueError
        If `out` is a file of the source, or overlaps it in memory.
    """
    mapped = mapped_file(out)
    path = out if isinstance(out, (str, os.PathLike)) else mapped
    if path is not None and reads_from(X, path):
        given = "maps" if path is mapped else "is"
        raise ValueError(
            f"out {given} {os.fspath(path)!r}, a file that X is read from: write to another."
        )
    if isinstance(out, np.ndarray) and any(_overlaps(out, array) for array in _arrays(X)):
        raise ValueError(
            "out overlaps X in memory, so rows would be overwritten before they are read."
        )


def _arrays(X: Any) -> list[NDArray[Any]]:
    """The arrays that rows are read from where they are."""
    parts = X if isinstance(X, list | tuple) else [X]
    return [part for part in parts if isinstance(part, np.ndarray)]


def _overlaps(out: NDArray[Any], array: NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(out, array, max_work=10**5))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


class Table:
    """As many values of every row (n, columns): in new memory, in the caller's array, or in a ``.npy`` file.

    A file is written under a temporary name and gets its own when the block ends without an error.
    """

    def __init__(self, out: Any, rows: Rows, columns: int) -> None:
        n = rows.n_rows
        if n is None:
            n = sum(len(block) for block in rows.blocks())
        shape, self._label = (n, columns), rows.label
        self._path: Path | None = None
        self._temporary: Path | None = None
        if out is None:
            self._array: NDArray[Any] = room(shape, rows.dtype, LEAST_RESULT)
        elif isinstance(out, (str, os.PathLike)):
            self._path = Path(out)
            if self._path.suffix != ".npy":
                raise ValueError(
                    f"out must be an array or a path ending in .npy, got {str(out)!r}."
                )
            check_folder(out, self._path)
            name = f".{self._path.name}.{uuid.uuid4().hex[:12]}.part"  # with the usual permissions
            self._temporary = self._path.with_name(name)
            with naming(self._path, self._temporary):
                self._array = _file(self._temporary, rows.dtype, shape)
        else:
            if problem := _problem_of(out, shape):
                raise ValueError(
                    f"out must be a writeable floating-point array of shape {shape}, got {problem}."
                )
            self._array = out

    def put(self, first: int, part: NDArray[Any]) -> None:
        """The values from row `first` on."""
        target = self._place(first, len(part))
        if target.__array_interface__ != part.__array_interface__:  # else it was written there
            target[:] = part

    def room(self, first: int, rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory for the values of some rows: where they go, if that is of this dtype and in one piece."""
        place = self._place(first, rows)
        part = np.asarray(place)
        plain = part.flags.c_contiguous and part.flags.aligned and part.dtype == dtype
        if plain and not isinstance(place, np.ma.MaskedArray):
            return part
        return np.empty(part.shape, dtype=dtype)

    def _place(self, first: int, rows: int) -> NDArray[Any]:
        n = len(self._array)
        if first + rows > n:
            raise ValueError(f"{self._label} gave {n} rows before, now {first + rows} or more.")
        return self._array[first : first + rows]

    def whole(self) -> NDArray[Any]:
        """All of them."""
        return self._array

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._path is None or self._temporary is None:
            return
        if error is not None:
            self._array = np.empty(0)
            self._temporary.unlink(missing_ok=True)
            return
        if isinstance(self._array, np.memmap):
            self._array.flush()
        self._array = np.empty(0)
        self._temporary.replace(self._path)
        self._array = np.load(self._path, mmap_mode="r")


def _problem_of(out: Any, shape: tuple[int, int]) -> str:
    """What keeps an object from taking values; nothing where it can."""
    if not isinstance(out, np.ndarray):
        return type(out).__name__
    if out.dtype.kind != "f" or out.shape != shape:
        return f"{out.dtype} {out.shape}"
    if not out.flags.writeable:
        return "one that is read-only"
    if any(n > 1 and stride == 0 for n, stride in zip(out.shape, out.strides, strict=True)):
        return "one whose elements share their memory"
    return ""


def _file(path: Path, dtype: Any, shape: tuple[int, int]) -> NDArray[Any]:
    """A ``.npy`` file mapped into memory, with its room on the disk taken beforehand.

    Writing to a mapped file on a full disk would kill the process.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array
