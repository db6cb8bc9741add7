"""Tables written block by block, complete or not at all."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

TABLES = (".npy", ".parquet", ".csv")
# Blocks are gathered into row groups of this size: many small ones are slow to read.
ROW_GROUP_BYTES = 2**25


def output_option(
    kinds: Sequence[str], text: str, *, required: bool
) -> Callable[[Command], Command]:
    """Add ``-o PATH``, refused at once if its ending or its folder will not do."""
    return click.option(
        "-o",
        "--output",
        metavar="PATH",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=lambda context, parameter, value: checked_path(value, kinds),
        required=required,
        help=text,
    )


def checked_path(path: Path | None, kinds: Sequence[str]) -> Path | None:
    """Refuse a path that could not be written at the end of a long run.

    Raises
    ------
    click.BadParameter
        For another ending than those given, or a folder that is not there or cannot be written.
    """
    if path is None:
        return None
    if path.suffix.lower() not in kinds:
        raise click.BadParameter(f"{path}: the name must end in {' or '.join(kinds)}")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent}")
    try:  # permissions alone do not tell: they bind no root, and a disk may be read-only
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".fusem-"):
            pass
    except OSError as error:
        raise click.BadParameter(
            f"{path}: the folder {path.parent} cannot be written ({error.strerror})"
        ) from error
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place if all goes well."""
    from fusem.persist import naming

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming(path, part):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class InOrder:
    """Hands blocks of rows on in their order, though threads bring them in any.

    Parameters
    ----------
    write : callable
        Called with each block, one at a time, the first row's first.
    """

    def __init__(self, write: Callable[[Any], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._next = 0
        self._early: dict[int, Any] = {}

    def put(self, first: int, block: Any) -> None:
        """Take the block whose first row has this number."""
        with self._lock:
            self._early[first] = block
            while self._next in self._early:
                block = self._early.pop(self._next)
                self._write(block)
                self._next += len(block)


class TableWriter:
    """Appends blocks of rows to a .npy, .parquet or .csv file.

    The file appears under its name only when the ``with`` statement ends without an error.

    Parameters
    ----------
    path : Path
        Where to write; the ending says what.
    names : sequence of str
        Names of the columns (unused in .npy).
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names, self.rows = path, list(names), 0
        self._stack = ExitStack()
        self._append: Callable[[Any], None] | None = None

    def __enter__(self) -> TableWriter:
        self._part = self._stack.enter_context(replacing(self.path))
        return self

    def __exit__(self, *error: Any) -> bool | None:
        from fusem.persist import naming

        with naming(self.path, None):  # a full disk may show at the end
            return self._stack.__exit__(*error)

    def write(self, block: Any) -> None:
        """Append a block, an array of shape (m,) or (m, n_columns), or a pyarrow table (not to .npy)."""
        from fusem.persist import naming

        if self._append is None:
            opener = {".npy": _open_npy, ".parquet": _open_parquet, ".csv": _open_csv}
            opened = opener[self.path.suffix.lower()](self._part, self.names)
            self._append = self._stack.enter_context(opened)
        with naming(self.path, None):
            self._append(block)
        self.rows += len(block)


@contextmanager
def _open_npy(path: Path, names: list[str]) -> Iterator[Callable[[Any], None]]:
    import numpy as np

    n_rows = 0
    like: Any = None

    def append(block: Any) -> None:
        nonlocal n_rows, like
        block = np.ascontiguousarray(block)
        if like is None:
            like = block[:0].copy()
            _write_npy_header(file, like, 0)
        n_rows += len(block)
        file.write(block.data)

    with path.open("wb+") as file:
        yield append
        file.seek(0)
        _write_npy_header(file, like, n_rows)


def _write_npy_header(file: BinaryIO, like: Any, n_rows: int) -> None:
    """Write the header for so many rows; NumPy pads it so that any count fits the same bytes."""
    import numpy as np

    header = {
        "descr": np.lib.format.dtype_to_descr(like.dtype),
        "fortran_order": False,
        "shape": (n_rows, *like.shape[1:]),
    }
    np.lib.format.write_array_header_1_0(file, header)


@contextmanager
def _open_parquet(path: Path, names: list[str]) -> Iterator[Callable[[Any], None]]:
    require_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    waiting: list[Any] = []

    def append(block: Any) -> None:
        nonlocal writer
        table = block
        if not isinstance(block, pa.Table):
            columns = [block] if block.ndim == 1 else list(block.T)
            table = pa.table([pa.array(column) for column in columns], names=names)
        if writer is None:
            writer = stack.enter_context(pq.ParquetWriter(path, table.schema))
        waiting.append(table)
        if sum(part.nbytes for part in waiting) >= ROW_GROUP_BYTES:
            flush()

    def flush() -> None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
            waiting.clear()

    with ExitStack() as stack:
        yield append
        flush()


@contextmanager
def _open_csv(path: Path, names: list[str]) -> Iterator[Callable[[Any], None]]:
    import csv

    import numpy as np

    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(names)

        def append(block: Any) -> None:
            if not isinstance(block, np.ndarray):
                lines.writerows(zip(*map(_texts, block.columns), strict=True))
                return
            whole = np.issubdtype(block.dtype, np.integer)
            np.savetxt(file, block, fmt="%d" if whole else "%.17g", delimiter=",")

        yield append


def _texts(column: Any) -> list[str | None]:
    """Cells of a pyarrow column; numbers in the fewest digits that give them back."""
    import pyarrow as pa

    try:
        return list(column.cast(pa.string()).to_pylist())
    except pa.ArrowException:  # lists, structures
        return [None if value is None else str(value) for value in column.to_pylist()]


def require_pyarrow() -> None:
    """Say how to get pyarrow when it is missing."""
    if find_spec("pyarrow") is None:
        raise click.ClickException(
            "Parquet files need pyarrow, which is not installed: pip install pyarrow"
        )
