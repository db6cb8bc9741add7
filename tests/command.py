"""The command ``fusem``, run in a process of its own as its user runs it."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

from tests import processes


def fusem_command(*arguments: object, **changes: str) -> SimpleNamespace:
    """Run ``fusem ...`` and return its exit code, its output and the lines it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "fusem", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=processes.environment(**changes),
        timeout=processes.SECONDS,
        check=False,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr.splitlines())


def succeed(*arguments: object, **changes: str) -> str:
    """Run a command that must succeed without a word on stderr, and return what it printed."""
    done = fusem_command(*arguments, **changes)
    assert (done.code, done.err) == (0, [])
    return done.out
