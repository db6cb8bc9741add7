"""Single cells of CSV files, looked for when an error has to say where something stands."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

FIRST_LINES = 100_000  # more than what the types of columns are guessed from
MOST_LINES = 1000  # of a cell that is text
MOST_TEXT = 60  # characters of a line that are shown
MOST_SPELLINGS = 5  # columns with more of them are text


def text_of(path: Path, errors: str = "strict") -> Any:
    """Open a file, compressed if it ends in ``.gz``, as lines of text.

    Parameters
    ----------
    path : Path
        The file.
    errors : str, optional
        What to do about bytes that are no text.

    Returns
    -------
    file : text file
        To be closed.
    """
    opener: Any = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", errors=errors, newline=None)


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number, to pyarrow too.

    Parameters
    ----------
    cell : str
        Its text.

    Returns
    -------
    number : bool
        True for finite numbers and infinities.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


class CsvCells:
    """The cells of a file, read slowly, line by line.

    Parameters
    ----------
    path : Path
        The file.
    delimiter : str
        What separates cells.
    has_names : bool
        Whether the first line is no row.
    nulls : set of str
        Spellings of a missing value.
    """

    def __init__(self, path: Path, delimiter: str, has_names: bool, nulls: set[str]) -> None:
        self._path, self._delimiter = path, delimiter
        self._has_names, self._nulls = has_names, nulls
        self._complete = False  # whether the last pass came to the end
        self._broken = 0  # line where it found a cell that is longer than cells can be

    def among_numbers(self, column: int, name: str) -> str | None:
        """Say which cells at the beginning of a column are neither numbers nor missing.

        Parameters
        ----------
        column : int
            Its number.
        name : str
            What messages call it.

        Returns
        -------
        message : str or None
            None where no cell is a number: the column is text, and meant to be.
        """
        spellings: list[str] = []
        place, numbers = 0, False
        for line, cell in islice(self._column(column), FIRST_LINES):
            if is_number(cell):
                numbers = True
            elif "\n" in cell and numbers:
                return self.over_lines(column)
            elif cell not in self._nulls and cell not in spellings:
                place = place or line
                spellings.append(cell)
                if numbers and len(spellings) > MOST_SPELLINGS:
                    break
        if not (numbers and spellings):
            return None
        return no_number(name, place, spellings[0], spellings)

    def where(self, column: int, name: str, value: str) -> str | None:
        """Say where a value stands that is no number.

        Parameters
        ----------
        column : int
            Number of its column.
        name : str
            What messages call it.
        value : str
            The cell, without white space around it.

        Returns
        -------
        message : str or None
            None where it is not found.
        """
        found = ((line, cell) for line, cell in self._column(column) if cell.strip() == value)
        line, cell = next(found, (0, ""))
        return no_number(name, line, cell, [cell]) if line else None

    def ragged(self, expected: int) -> str | None:
        """Say which line is the first with another number of cells.

        Parameters
        ----------
        expected : int
            The number that lines have.

        Returns
        -------
        message : str or None
            None where there is no such line.
        """
        rows = self._rows()
        first, last, row = next((r for r in rows if r[2] and len(r[2]) != expected), (0, 0, []))
        if not row:
            return self._without_end()
        text, n = self._delimiter.join(row), len(row)
        text = text[:MOST_TEXT] + "…" * (len(text) > MOST_TEXT)
        where = (
            f"Line {first}" if first == last else f"What begins in line {first} and ends in {last}"
        )
        message = f"{where} has {n} cell{'s' * (n != 1)} instead of {expected}: {text!r}."
        if first < last:
            return f"{message} Is a quote not closed?"
        if n > expected:
            return f"{message} Mend it; a cell that holds a {self._delimiter!r} must be quoted."
        if any(cells for _, _, cells in rows) or not self._complete:
            return f"{message} Mend it."
        return f"{message} It is the last one: is the file cut short?"

    def over_lines(self, column: int | None = None) -> str | None:
        """Say where the first cell begins that has several lines: a quote may not be closed.

        Parameters
        ----------
        column : int, optional
            The cell's column; any by default, but then of more lines than a text has.

        Returns
        -------
        message : str or None
            None where there is no such cell.
        """
        for first, last, row in self._rows():
            among = column is not None and column < len(row) and "\n" in row[column]
            if among or last - first > MOST_LINES:
                return (
                    f"What begins in line {first} and ends in {last} is one row, with a cell of several "
                    "lines. Is a quote not closed?"
                )
        return self._without_end()

    def _without_end(self) -> str | None:
        """Say where a cell begins that is too long for one, where the last pass came upon it."""
        if not self._broken:
            return None
        return f"What begins in line {self._broken} has no end. Is a quote not closed?"

    def _column(self, column: int) -> Iterator[tuple[int, str]]:
        """Yield line and text of each cell of a column, where a row has it."""
        for _, line, row in islice(self._rows(), int(self._has_names), None):
            if column < len(row):
                yield line, row[column]

    def _rows(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield the first and the last line of each row, counted from 1, and its cells."""
        self._complete, self._broken, line = False, 0, 0
        with text_of(self._path, "replace") as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            try:
                for row in reader:
                    yield line + 1, reader.line_num, row
                    line = reader.line_num
                self._complete = True
            except csv.Error:
                self._broken = line + 1
            except (EOFError, OSError, zlib.error):
                pass  # nothing to say more about


def no_number(name: str, line: int, cell: str, spellings: list[str]) -> str:
    """Word the message about a cell.

    Parameters
    ----------
    name : str
        What messages call its column.
    line : int
        Its line.
    cell : str
        Its text.
    spellings : list of str
        All such texts; advice is given where they are few.

    Returns
    -------
    message : str
        What stands where, and how to declare that it means a missing value.
    """
    message = f"Line {line} has {cell!r} in {name}, which is no number."
    if len(spellings) > MOST_SPELLINGS:
        return message
    return f"{message} If that means a missing value: na_values={spellings!r} says so."
