"""Rows that come once and in order, made readable at any place: in memory, or in a temporary file."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusem.data import Rows, segments

MEMORY = 256 * 1024 * 1024  # bytes of rows that are kept in memory; more go to a temporary file
PART = 65536  # rows read at a time


def spooled(rows: Rows) -> NDArray[Any]:
    """All rows as one array: as it is where it is there anyway, else read once."""
    if rows.in_place:
        return rows.to_array()
    parts: list[NDArray[Any]] = []
    size = n_rows = 0
    with tempfile.TemporaryFile(prefix="fusem-") as file:
        for _, X, _ in segments(rows, None, PART):
            parts.append(np.array(X, order="C"))
            n_rows, size = n_rows + len(X), size + parts[-1].nbytes
            if size > MEMORY:
                for part in parts:
                    file.write(part.data)
                parts.clear()
        if size <= MEMORY:
            return np.concatenate([np.empty((0, rows.n_columns), rows.dtype), *parts])
        file.flush()
        shape = n_rows, rows.n_columns
        return np.memmap(file, dtype=rows.dtype, mode="r", shape=shape)  # outlives the open file
