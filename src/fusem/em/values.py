"""Values and weights that cannot be used: checks, and errors that say where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments
from fusem.kernels.scan_finite import FINITE, INFINITE, MISSING, scan_finite
from fusem.kernels.tile import LEAF

Array = NDArray[np.float64]


def check_weights(w: Array, first: int) -> None:
    """Weights of a segment's rows must be finite and not negative; `first` is its first row."""
    wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0.0)))
    if wrong.size:
        row = wrong[0]
        what = "negative" if w[row] < 0.0 else "NaN" if np.isnan(w[row]) else "infinite"
        raise ValueError(
            f"sample_weight is {what} ({w[row]:g}) at row {first + row}: weights must be finite and not "
            "negative. Use 0 to leave a row out."
        )


def check_scale(mean_weight: float, dtype: np.dtype[Any]) -> None:
    """Weights must be of a size that responsibilities in the dtype of the rows can hold."""
    largest = 1e15 if dtype == np.float32 else 1e200
    if not 1.0 / largest <= mean_weight <= largest:
        raise ValueError(
            f"sample_weight has mean {mean_weight:.3g}, out of range for {dtype} rows: only ratios of "
            "weights matter, so divide them by their mean."
        )


def what_is_in(X: NDArray[Any]) -> int:
    """INFINITE where any value is infinite, else MISSING where any is NaN, else FINITE."""
    if X.flags.carray:  # contiguous, aligned, writeable: others are other types, to be compiled for
        return int(scan_finite[X.dtype](X.reshape(-1)))
    if np.isfinite(X).all():
        return FINITE
    return INFINITE if np.isinf(X).any() else MISSING


def not_finite(rows: Rows) -> ValueError:
    """The error that names the first infinity or value too large for its square."""
    return first_infinite(rows) or ValueError(
        f"The sums over {rows.label} overflow {rows.dtype}: scale the columns to a smaller range"
        + (" or convert to float64." if rows.dtype == np.float32 else ".")
    )


def first_infinite(rows: Rows) -> ValueError | None:
    """The error that names the first infinity or value too large for its square, where there is one."""
    for first, X, _ in segments(rows, None, LEAF):
        with np.errstate(over="ignore"):
            wrong = np.isinf(X.astype(np.float64) ** 2)
        if wrong.any():
            row, column = (int(index) for index in np.argwhere(wrong)[0])
            return bad_value(rows, X[row, column], first + row, column)
    return None


def bad_value(rows: Rows, value: Any, row: int, column: int) -> ValueError:
    """The error that names an infinity or a value too large, and where it stands."""
    label, place = rows.label, f"row {row}, {column_name(rows, column)}"
    if np.isinf(value):
        return ValueError(
            f"Input {label} contains infinity or a value too large for its dtype, first at {place}. "
            "Drop or clip it."
        )
    return ValueError(
        f"Input {label} contains a value too large, {value:g} at {place}: its square overflows float64. "
        "Divide the column by a constant."
    )


def column_name(rows: Rows, column: int) -> str:
    """A column as messages call it: by name, by number without names."""
    return f"column {column}" if rows.names is None else f"column {rows.names[column]!r}"
