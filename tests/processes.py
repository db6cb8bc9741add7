"""Fresh Python processes for tests of caches, signals, memory and start methods."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 300  # generous: a hang must fail, a slow machine must not


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with the tests importable, and some changes."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changes}


def start(code: str, **changes: str) -> subprocess.Popen[str]:
    """Start a fresh process that runs `code`."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process, which must succeed, and return what it printed."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}\n{err}"
    return out


def run(code: str, **changes: str) -> str:
    """Run `code` in a fresh process and return what it printed."""
    return finish(start(code, **changes))
