"""The command line: ``fusem fit``, ``predict``, ``score``, ``sample``, ``hmm``, ``info`` and ``demo``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code: 0 done, 1 failed, 2 misused, 130 interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``fusem``; by default those the process was started with.
    """
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(
            f"fusem: error: the command line needs {' and '.join(missing)}: "
            "pip install 'fusem[cli]'"
        )
    try:
        from fusem.cli.app import app
        from fusem.cli.report import run
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(app, arguments))
