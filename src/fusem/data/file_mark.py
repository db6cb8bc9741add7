"""Notice that a file changed while it is being read, pass after pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


class FileMark:
    """What a file looked like when it was opened.

    EM reads a file again in every sweep. Numbers from two versions of it must never mix: a file
    that another process writes to, truncates, replaces or removes is an error, and noticing that
    it shrank also keeps a memory map from touching pages that are gone (which ends the process).

    Parameters
    ----------
    path : Path
        The file.
    label : str
        What errors call it.
    describe : callable, optional
        Reads the file anew and says what it holds, such as ``(10, 2) float64``: when that
        changed, the error can say so.
    """

    def __init__(self, path: Path, label: str, describe: Callable[[], str] | None = None) -> None:
        self._path = path
        self._label = label
        self._describe = describe
        self._stamp = self._look()
        self._content = describe() if describe else ""

    def check(self) -> None:
        """Compare with what the file looks like now.

        Raises
        ------
        ValueError
            If it was changed, replaced or removed.
        """
        try:
            stamp = self._look()
        except FileNotFoundError:
            raise ValueError(f"{self._label} was removed while it was being read.") from None
        if stamp != self._stamp:
            raise ValueError(
                f"{self._label} changed while it was being read{self._difference(stamp)}. "
                "Start again when nothing writes to it any more."
            )

    def _look(self) -> tuple[int, int, int]:
        seen = os.stat(self._path)  # noqa: PTH116 - hot: Path.stat would only wrap this call
        return seen.st_size, seen.st_mtime_ns, seen.st_ino

    def _difference(self, stamp: tuple[int, int, int]) -> str:
        if self._describe:
            try:
                content = self._describe()
            except (ValueError, OSError):
                content = "no longer readable"
            if content != self._content:
                return f": it held {self._content} and now is {content}"
        if stamp[0] != self._stamp[0]:
            return f": it had {self._stamp[0]} bytes and now has {stamp[0]}"
        return ": it was written to"
