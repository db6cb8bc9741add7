"""Rows of CSV files, parsed anew in every pass by pyarrow."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fusem.data.arrow import batch_to_block, choose_numeric, pyarrow_module
from fusem.data.blocks import FLOAT64, FloatArray, FloatType, Rows, Whole
from fusem.data.columns import NotNumericError, enumerated, string_names
from fusem.data.csv_cells import CsvCells, is_number, text_of
from fusem.data.file_mark import FileMark
from fusem.exceptions import HeaderWarning, warn

DELIMITERS = ",;\t"
# What pyarrow says of a cell that is not of the column's type.
CONVERSION = re.compile(
    r"In (?P<where>CSV column #(?P<column>\d+)).*invalid value '(?P<value>.*)'", re.S
)
STRADDLING = "straddl"  # what it says of a row that is longer than a block
# What it says of a line with another number of cells.
RAGGED = re.compile(r"Expected (?P<expected>\d+) columns?, got \d+")


class CsvRows(Rows):
    """A text table with a separator of ``,``, ``;`` or tab, with or without a line of names.

    The first line names the columns unless all of it is numbers and missing values; where these are whole
    and might be names all the same, such as years, a `HeaderWarning` says so. Columns are float64 unless
    `dtype` says otherwise; empty cells, ``NA``, ``N/A``, ``NaN`` and ``null`` are NaN, and what `na_values`
    adds. Lines without anything
    are no rows, also where there is a single column: write ``""`` or ``NA``. A Parquet or `.npy` file is read
    some twenty times faster: fits of many sweeps had better be converted once.

    Parameters
    ----------
    path : Path
        The file, compressed if it ends in ``.gz``.
    columns : None, str, int, or iterable of str and int
        The choice, default all columns.
    label : str
        What errors call it.
    dtype : numpy.dtype, optional
        float32 or float64.
    na_values : sequence of str, optional
        More spellings of a missing value.
    """

    def __init__(
        self,
        path: Path,
        columns: Any,
        label: str,
        dtype: FloatType | None = None,
        na_values: Sequence[str] = (),
    ) -> None:
        self.label = label
        self._path = path
        self._mark = FileMark(path, label)
        self._delimiter, first = _first_line(path, label)
        nulls = [*pyarrow_module("pyarrow.csv", label).ConvertOptions().null_values, *na_values]
        self._nulls = sorted({*nulls, *(f" {spelling}" for spelling in nulls)})  # as in "1, NA"
        self._has_names = not all(cell in self._nulls or is_number(cell) for cell in first)
        schema = self._schema()
        if not self._has_names and self._may_be_names(first, schema):
            warn(
                HeaderWarning,
                f"{label}: the first line, {enumerated(first, 4)}, is all numbers, so it is read as a row, "
                f"not as names of columns. If it holds names, put letters to them, such as 'n{first[0]}'; "
                "if it is a row, a line of names above it ends this warning.",
            )
        self._all_columns = list(schema.names)
        try:
            positions = choose_numeric(schema, columns, label)
        except NotNumericError as error:
            told = f"{error}{self._spellings_in(error.columns)}"
            raise NotNumericError(told, error.columns, error.others) from None
        self._columns = [schema.names[j] for j in positions]
        self._refuse_repeated(self._columns)
        # The types seen so far may be too narrow for later lines: 0 and 1 now, 0.5 further down.
        pa = pyarrow_module("pyarrow", label)
        self._types = {
            schema.names[j]: pa.bool_()
            if pa.types.is_boolean(schema.field(j).type)
            else pa.float64()
            for j in positions
        }
        self.n_columns = len(positions)
        self.n_rows = None
        self.dtype = FLOAT64 if dtype is None else dtype
        self.names = string_names(self._columns) if self._has_names else None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self._path,)

    def blocks(self) -> Iterator[FloatArray]:
        """Parse the file from its beginning.

        Yields
        ------
        block : ndarray of shape (m, n_columns)
            What one megabyte of text holds, a fresh array.
        """
        pa = pyarrow_module("pyarrow", self.label)
        self._mark.check()
        total = 0
        try:
            with self._reader(include_columns=self._columns, column_types=self._types) as reader:
                for batch in reader:
                    total += batch.num_rows
                    yield batch_to_block(batch.columns, batch.num_rows, self.dtype)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error
        self._mark.check()
        if total == 0:
            raise ValueError(
                f"{self.label}: Found array with 0 sample(s): nothing follows its first line, while a "
                "minimum of 1 is required."
            )
        self.n_rows = total

    def whole(self) -> Whole:
        """All columns, as the text that stands in the file."""
        pa = pyarrow_module("pyarrow", self.label)
        self._refuse_repeated(self._all_columns)
        text = {name: pa.string() for name in self._all_columns}
        names = pa.schema(text.items())

        def tables() -> Iterator[Any]:
            self._mark.check()
            try:
                with self._reader(column_types=text, strings_can_be_null=False) as reader:
                    for batch in reader:
                        yield pa.Table.from_batches([batch])
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(error) from error
            self._mark.check()

        positions = [names.get_field_index(name) for name in self._columns]
        return Whole(names, positions, tables, frozenset(self._nulls))

    def _refuse_repeated(self, names: list[str]) -> None:
        """An error where a name stands for several columns: they are read by name."""
        for name in names:
            places = [j for j, other in enumerate(self._all_columns) if other == name]
            if len(places) > 1:
                raise ValueError(
                    f"{self.label} has {len(places)} columns named {name!r} (numbers "
                    f"{', '.join(map(str, places))}): rename all but one, or choose others with columns=."
                )

    def _may_be_names(self, first: list[str], schema: Any) -> bool:
        """Whole numbers without repetition; of a single column, over lines that hold others."""
        if not all(cell.isdecimal() for cell in first) or len(set(first)) < len(first):
            return False
        pa = pyarrow_module("pyarrow", self.label)
        return len(first) > 1 or not pa.types.is_integer(schema.field(0).type)

    def _spellings_in(self, columns: list[str]) -> str:
        """Say what stands among the numbers of columns that are text because of it."""
        found = [
            self._cells().among_numbers(j, self._name(j))
            for j, name in enumerate(self._all_columns)
            if name in columns
        ]
        return "".join(f" {told}" for told in found if told)

    def _unreadable(self, error: Exception, what: str = "") -> Exception:
        """The error to raise in place of pyarrow's, which names no file."""
        if isinstance(error, OSError):
            if error.errno is not None:
                return error
            return ValueError(f"{self.label}{what}: {error}. Is the file cut short, or damaged?")
        return ValueError(f"{self.label}{what}: {self._located(str(error))}")

    def _located(self, whole: str) -> str:
        """Name line and column of what pyarrow complains about."""
        complaint = whole.split("\n", 1)[0]  # of a cell that does not end, all that follows
        if ragged := RAGGED.search(complaint):
            return self._cells().ragged(int(ragged["expected"])) or complaint
        if STRADDLING in complaint:
            return self._cells().over_lines() or complaint
        found = CONVERSION.search(whole)
        if found is None:
            return complaint
        column = int(found["column"])
        if "\n" in found["value"]:
            return self._cells().over_lines(column) or complaint
        told = self._cells().where(column, self._name(column), found["value"])
        return told or complaint.replace(found["where"], self._name(column))

    def _name(self, column: int) -> str:
        return f"column {self._all_columns[column]!r}" if self._has_names else f"column {column}"

    def _cells(self) -> CsvCells:
        return CsvCells(self._path, self._delimiter, self._has_names, set(self._nulls))

    def _schema(self) -> Any:
        """Column names and the types of the first megabyte."""
        pa = pyarrow_module("pyarrow", self.label)
        try:
            with self._reader() as reader:
                return reader.schema
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error, " cannot be read as CSV") from error

    def _reader(self, **conversion: Any) -> Any:
        csv = pyarrow_module("pyarrow.csv", self.label)
        return csv.open_csv(
            str(self._path),
            read_options=csv.ReadOptions(autogenerate_column_names=not self._has_names),
            # a line may end within quotes, wherever the parser cuts the file
            parse_options=csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(null_values=self._nulls, **conversion),
        )


def _first_line(path: Path, label: str) -> tuple[str, list[str]]:
    """Find the separator, and the cells of the first line without their quotes."""
    pyarrow_module("pyarrow.csv", label)  # say first that it is missing
    try:
        with text_of(path) as file:
            line = file.readline(2**20).rstrip("\n")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{label} cannot be read as CSV: it is no text ({error}).") from None
    if not line.strip():
        raise ValueError(
            f"{label}: Found array with 0 sample(s): its first line is empty, while a minimum of 1 "
            "is required."
        )
    delimiter = max(DELIMITERS, key=line.count)
    return delimiter, [cell.strip().strip('"') for cell in line.split(delimiter)]
