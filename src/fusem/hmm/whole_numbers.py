"""Whole numbers that a user gives: how many rows, how many paths."""

from __future__ import annotations

from typing import Any


def whole_number(name: str, value: Any, least: int, what: str) -> int:
    """The number, or an error that names it and what it counts."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):  # None, NaN, infinity
        number = least - 1
    if number < least or number != value:
        raise ValueError(f"{name} must be a whole number of {what} ≥ {least}, not {value!r}.")
    return number
