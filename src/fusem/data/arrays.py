"""Rows of NumPy arrays: views where possible, conversion in bounded pieces where not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fusem.data.blocks import FloatArray, FloatType, Rows, common_float, piece_rows

AnyArray = npt.NDArray[Any]

# A file is looked at before each piece of this many rows. A power of two, so that no segment
# straddles two pieces and has to be copied.
WATCHED_ROWS = 2**20


def mapped_file(array: Any) -> Path | None:
    """Return the file that an array, or what it is a view of, is mapped from."""
    while array is not None:
        if isinstance(array, np.memmap) and array.filename is not None:
            return Path(array.filename)
        array = getattr(array, "base", None)
    return None


class ArrayRows(Rows):
    """An array in memory or in a memory map.

    Native float64 and float32 come out as views, whatever the strides. Integers, booleans,
    float16, long double, other byte orders, unaligned fields and masked arrays are converted in
    pieces in every pass; objects and strings once, here, because that takes Python calls.

    Parameters
    ----------
    array : ndarray of shape (n_rows, n_columns) or (n_rows,)
        The rows; a 1-D array is one column.
    label : str
        What errors call it.
    positions : list of int, optional
        The columns to take, default all.
    dtype : numpy.dtype, optional
        float32 or float64, default by the dtype of `array`.
    names : tuple of str, optional
        Names of the columns taken.
    watch : callable, optional
        Called before each piece and after the last, to raise if the array's file changed.
    """

    def __init__(
        self,
        array: AnyArray,
        label: str,
        *,
        positions: list[int] | None = None,
        dtype: FloatType | None = None,
        names: tuple[str, ...] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> None:
        data, mask = as_real_columns(array, label)
        if positions is not None:
            run = _as_slice(positions)
            if run is not None:
                data = data[:, run]
                mask = None if mask is None else mask[:, run]
                positions = None
        self._data, self._mask, self._positions, self._watch = data, mask, positions, watch
        self.n_rows = data.shape[0]
        self.n_columns = data.shape[1] if positions is None else len(positions)
        self.dtype = common_float([data.dtype]) if dtype is None else dtype
        self.names = names
        self.label = label
        self.in_place = self._as_it_is and watch is None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file that the array is a map of, if it is one."""
        mapped = mapped_file(self._data)
        return () if mapped is None else (mapped,)

    @property
    def _as_it_is(self) -> bool:
        data = self._data
        usable = data.dtype == self.dtype and data.flags.aligned
        return bool(usable and self._mask is None and self._positions is None)

    def blocks(self) -> Iterator[FloatArray]:
        """Yield views of the array, or converted pieces of it.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            The whole array if nothing is to be converted or watched.
        """
        n_rows = self._data.shape[0]
        if not self._as_it_is:
            step = piece_rows(self.n_columns, self.dtype)
        else:
            step = WATCHED_ROWS if self._watch else max(1, n_rows)
        for start in range(0, n_rows, step):
            yield self.part(start, start + step)
        if self._watch:
            self._watch()

    def __len__(self) -> int:
        return len(self._data)

    def part(self, first: int, last: int) -> FloatArray:
        """Some rows: a view, or a converted copy."""
        if self._watch:
            self._watch()
        piece = slice(first, last)
        return cast(FloatArray, self._data[piece]) if self._as_it_is else self._converted(piece)

    def _converted(self, piece: slice) -> FloatArray:
        block = self._data[piece]
        mask = None if self._mask is None else self._mask[piece]
        if self._positions is not None:
            block = block[:, self._positions]
            mask = None if mask is None else mask[:, self._positions]
        converted = block.astype(self.dtype, order="K")
        if mask is not None:
            converted[mask] = np.nan
        return converted


def as_real_columns(array: AnyArray, label: str) -> tuple[AnyArray, npt.NDArray[np.bool_] | None]:
    """Reduce an array to two dimensions and to a real dtype that ``astype`` can convert.

    Parameters
    ----------
    array : ndarray
        Any array, also a masked one.
    label : str
        What errors call it.

    Returns
    -------
    data : ndarray of shape (n_rows, n_columns)
        Of base class ndarray, boolean, integer or real; a view of `array` unless that holds
        objects or strings.
    mask : ndarray of bool, of the same shape, or None
        True where a masked array hides a value; ``None`` if it hides none.

    Raises
    ------
    ValueError
        For more than two dimensions, none, complex values, dates, and text that is no number.
    TypeError
        For objects that are no numbers, and structured arrays.
    """
    may_hide = type(array) is not np.ndarray
    mask = np.ma.getmaskarray(array) if may_hide and np.ma.is_masked(array) else None
    data = _real(array, mask, label)
    if data.ndim == 0:
        raise ValueError(
            f"Expected 2D array, got scalar array instead:\narray={data}.\n"
            f"{label} must have one row per sample and one column per variable."
        )
    if data.ndim > 2:
        raise ValueError(
            f"Found array with dim {data.ndim}. {label} has shape {data.shape}, expected <= 2. "
            "Give it one row per sample, for instance as X.reshape(len(X), -1)."
        )
    if data.ndim == 1:
        data = data[:, np.newaxis]
        mask = None if mask is None else mask[:, np.newaxis]
    return data, mask


def _real(array: AnyArray, mask: npt.NDArray[np.bool_] | None, label: str) -> AnyArray:
    """Return the values as booleans, integers or reals; say what they are if that is impossible."""
    kind = array.dtype.kind
    data = array if type(array) is np.ndarray else np.asarray(np.ma.getdata(array))
    if kind in "biuf":
        return data
    if kind == "c":
        raise ValueError(
            f"Complex data not supported\n{label} has dtype {array.dtype}; take X.real, or real and "
            "imaginary parts as two columns."
        )
    if kind in "mM":
        raise ValueError(
            f"{label} holds dates or durations (dtype {array.dtype}), not numbers. Convert them, "
            "for instance to seconds: (X - X.min()) / np.timedelta64(1, 's')."
        )
    if kind not in "OUST":
        fields = array.dtype.names
        raise TypeError(
            f"{label} is a structured array with the fields {', '.join(fields)}; convert it with "
            "numpy.lib.recfunctions.structured_to_unstructured."
            if fields
            else f"{label} has dtype {array.dtype}, which is no dtype of numbers; "
            "convert it first, for instance with X.astype(np.float32)."
        )
    if mask is not None:  # what lies under a mask need not be a number
        data = data.astype(object)
        data[mask] = np.nan
    return objects_to_float(data, label)


def objects_to_float(data: AnyArray, label: str) -> npt.NDArray[np.float64]:
    """Convert objects or text as ``float()`` does, ``None`` to NaN; name the first that is none.

    Parameters
    ----------
    data : ndarray of objects, str or bytes
        The values.
    label : str
        What errors call them.

    Returns
    -------
    values : ndarray of float64
        Of the same shape.

    Raises
    ------
    ValueError
        For text that is no number.
    TypeError
        For any other object that is no number.
    """
    try:
        return _to_float(data)
    except (TypeError, ValueError, OverflowError, np.exceptions.ComplexWarning):
        for index, value in np.ndenumerate(data):
            _check_cell(value, index, label)
        raise


def _check_cell(value: Any, index: tuple[int, ...], label: str) -> None:
    value = value.item() if isinstance(value, np.generic) else value
    place = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), index))
    where = f"{label} holds {_shown(value)}{f' in {place}' if place else ''}"
    if isinstance(value, complex):
        raise ValueError(f"Complex data not supported\n{where}.")
    cell = np.empty(1, dtype=object)
    cell[0] = value
    try:
        _to_float(cell)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: {error}") from None


def _to_float(data: AnyArray) -> npt.NDArray[np.float64]:
    with (
        warnings.catch_warnings()
    ):  # NumPy's complex scalars would only lose a part, with a warning
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return data.astype(np.float64)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _as_slice(positions: list[int]) -> slice | None:
    """Return evenly spaced ascending positions as a slice, which selects without copying."""
    step = positions[1] - positions[0] if len(positions) > 1 else 1
    if step < 1 or positions != list(range(positions[0], positions[-1] + 1, step)):
        return None
    return slice(positions[0], positions[-1] + 1, step)
