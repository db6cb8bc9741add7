"""Peak memory of a fit beyond its data, in a fresh process.

``python -m asv_benchmarks.memory LIBRARY LABEL DTYPE ITERATIONS`` prints the bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

from asv_benchmarks.cases import Case, blobs, by_label, start
from asv_benchmarks.libraries import LIBRARIES, THREADS
from asv_benchmarks.peak import peak

ROOT = Path(__file__).parents[1]


def beyond_data(library: str, case: Case, dtype: str, iterations: int) -> int:
    """Return what a fit adds to the peak of a process that holds imports and data, in bytes.

    A short fit in a process before it leaves compiled kernels on disk: compiling needs memory
    once per installation, not once per fit.
    """
    few = case._replace(rows=max(1000, 10 * case.components))
    _run(library, few, dtype, 1)
    return int(_run(library, case, dtype, iterations))


def _run(library: str, case: Case, dtype: str, iterations: int) -> str:
    return printed(__name__, library, case.label, dtype, str(iterations))


def printed(module: str, *arguments: str) -> str:
    """Run a module in a process of its own, and return what it prints."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def main(library: str, label: str, dtype: str, iterations: str) -> None:
    case = by_label(label)
    X = blobs(case, dtype)
    fitted = LIBRARIES[library](case, start(case, X), int(iterations))
    before = peak()
    with threadpool_limits(THREADS):
        fitted.fit(X)
    print(peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
