"""The columns of a file that a command does not change, kept beside those that it completes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from fusem.cli.source import Source


class Plain:
    """Nothing is kept: a completed block is written as it is.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    """

    def __init__(self, names: Any) -> None:
        self.names = list(names)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def merged(self, block: Any) -> Any:
        """What to write of the next rows, given the columns that were completed."""
        return block


class KeptNumbers(Plain):
    """All columns of an array.

    Parameters
    ----------
    whole : Rows
        All of them.
    columns : list of int
        Those that are completed.
    """

    def __init__(self, whole: Any, columns: list[int]) -> None:
        super().__init__(numbered(whole.n_columns))
        self._columns, self._blocks, self._held = columns, whole.blocks(), np.empty((0, 0))

    def __exit__(self, *error: Any) -> None:
        with closing(self._blocks):
            self._held = np.empty((0, 0))

    def merged(self, block: Any) -> Any:
        """Copy the next rows, and put the completed columns in their places."""
        parts, wanted = [], len(block)
        while wanted:
            if not len(self._held):
                self._held = _next(self._blocks)
            parts.append(self._held[:wanted])
            self._held = self._held[len(parts[-1]) :]
            wanted -= len(parts[-1])
        rows = np.concatenate(parts)
        rows[:, self._columns] = block
        return rows


class KeptColumns(Plain):
    """All columns of a table.

    Parameters
    ----------
    whole : Whole
        The file.
    names : list of str
        What its columns are called in the output.
    as_text : bool
        Whether the output is text: then what was observed keeps its spelling.
    """

    def __init__(self, whole: Any, names: list[str], as_text: bool) -> None:
        super().__init__(names)
        self._whole, self._as_text = whole, as_text
        self._tables: Iterator[Any] = whole.tables()
        self._held: Any = None
        self._metadata = _other_metadata(whole)

    def __exit__(self, *error: Any) -> None:
        with closing(self._tables):  # type: ignore[type-var]
            self._held = None

    def merged(self, block: Any) -> Any:
        """The next rows as a table, the completed columns in their places."""
        import pyarrow as pa

        parts, wanted = [], len(block)
        while wanted:
            if self._held is None or not self._held.num_rows:
                self._held = _next(self._tables)
            parts.append(self._held.slice(0, wanted))
            self._held = self._held.slice(parts[-1].num_rows)
            wanted -= parts[-1].num_rows
        rows = pa.concat_tables(parts)
        columns = list(rows.columns)
        for j, values in zip(self._whole.positions, block.T, strict=True):
            columns[j] = self._completed(columns[j], pa.array(np.ascontiguousarray(values)))
        fields = [
            pa.field(name, column.type) for name, column in zip(self.names, columns, strict=True)
        ]
        return pa.table(columns, schema=pa.schema(fields, self._metadata))

    def _completed(self, before: Any, values: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._whole.nulls is None:
            kind = before.type
            return values.cast(kind) if kind in (pa.float32(), pa.float64()) else values
        if not self._as_text:
            return values
        missing = pc.is_in(before, value_set=pa.array(sorted(self._whole.nulls)))
        return pc.if_else(missing, values.cast(pa.string()), before)


def kept_columns(data: str, source: Source, ending: str, only_used: bool) -> Plain:
    """How to write the columns of a source that were completed, beside the others where it has some.

    Parameters
    ----------
    data : str
        DATA.
    source : Source
        What is read of it.
    ending : str
        That of the output.
    only_used : bool
        Whether the others are to be left out.
    """
    import fusem
    from fusem.exceptions import FusemWarning, warn

    rows = source.rows
    used = Plain(rows.names or numbered(rows.n_columns))
    if only_used:
        return used
    if data.lower().endswith(".npy"):
        if source.columns is None:
            return used
        return KeptNumbers(fusem.rows(data, dtype=rows.dtype), source.columns)
    whole = rows.whole()
    if whole is None:
        return used
    names = whole.schema.names if rows.names is not None else numbered(len(whole.schema.names))
    others = [name for j, name in enumerate(names) if j not in set(whole.positions)]
    if ending != ".npy":
        return KeptColumns(whole, list(names), ending == ".csv")
    if others:
        warn(
            FusemWarning,
            f"A .npy file holds numbers of one kind, so these columns are not in it: {', '.join(others)}. "
            "Write a .parquet or .csv file to keep them, or say --only-used.",
        )
    return used


def _next(parts: Iterator[Any]) -> Any:
    part = next(parts, None)
    if part is None:
        raise ValueError("DATA became shorter while it was being read.")
    return part


def numbered(count: int) -> list[str]:
    """Names of columns that have none."""
    return [f"column_{j}" for j in range(count)]


def _other_metadata(whole: Any) -> Any:
    """What a schema says beside names and types, without the types that pandas had for completed columns."""
    metadata = dict(whole.schema.metadata or {})
    if b"pandas" in metadata:
        frame = json.loads(metadata[b"pandas"])
        completed = {whole.schema.names[j] for j in whole.positions}
        frame["columns"] = [
            column for column in frame["columns"] if column.get("field_name") not in completed
        ]
        metadata[b"pandas"] = json.dumps(frame).encode()
    return metadata
