"""`na_values=`: how a CSV file spells a missing value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def spellings(na_values: Any) -> list[str] | None:
    """Check what the user gave.

    Parameters
    ----------
    na_values : None, str or iterable of str
        Cells that mean a missing value.

    Returns
    -------
    spellings : list of str, or None
        None where nothing was given.

    Raises
    ------
    TypeError
        For anything but strings.
    """
    if na_values is None:
        return None
    given = [na_values] if isinstance(na_values, str) else na_values
    if not isinstance(given, Iterable) or not all(isinstance(value, str) for value in given):
        raise TypeError(
            "na_values= takes spellings as they stand in the file, such as ['n.d.', '-999']; "
            f"got {na_values!r}."
        )
    return list(given)


def other_spellings(label: str) -> ValueError:
    """Make the error about spellings of what is no text.

    Parameters
    ----------
    label : str
        What errors call the source.

    Returns
    -------
    error : ValueError
        To be raised.
    """
    return ValueError(
        f"{label}: na_values= says how a .csv file spells a missing value; this is another source. "
        "Leave it out, and put NaN where values are missing."
    )
