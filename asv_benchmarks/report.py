"""Writes RESULTS.md: the tables, and what a reader needs to judge or repeat them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from threadpoolctl import threadpool_info

from asv_benchmarks.results import Iteration, Throughput

PATH = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("fusem", "numba", "numpy", "scipy", "scikit-learn")

ITERATION_HEAD = """\
| case | scikit-learn | fusem | ratio | ratio, min–max | fusem inside `fit` | largest difference |\
 memory, scikit-learn | memory, fusem |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
"""

TEXT = """\
# Results

Written by `{command}` on {date}; do not edit.

{machine}
{packages}.
BLAS: {blas}.

## One EM iteration, side by side

{iterations}

Times are nanoseconds per row and component, medians; float64, two threads for each library.
Data: K blobs, centres ~ N(0, 3²), unit covariance (`cases.blobs`). Start: equal weights, K rows as
means, unit covariances (`cases.start`), then {early} EM iterations; both libraries begin there.

- *scikit-learn*: its `_e_step` and `_m_step`, the body of its loop, without validation or start.
- *fusem*: `model.update(model.statistics(X))`, public calls that look at their input each time.
- *ratio*: scikit-learn's time over fusem's. They run alternately in one process; a repetition makes
  a pair (iterations are repeated and averaged until they last {at_least} s). Median, smallest and
  largest pair.
- *fusem inside `fit`*: a fit of {late} iterations less a fit of {early}, divided by {span}; each
  the fastest of {fits}.
- *largest difference*: of any weight, mean, covariance or precision factor after the iteration,
  relative to the largest of its kind.
- *memory*: what a fit of {early} iterations adds to the peak resident size of a fresh process that
  holds its imports and the data, in MB (10⁶ bytes). Another process compiled the kernels before.

## Rows per second: chunks from a file against an array

{throughputs}

One `model.statistics` call over the same rows, median; the percentage is the median of repetitions
that took turns. The file is in the operating system's cache. `.npy file`: its path is given.
`function of chunks`: a function whose iterator copies {chunk_rows} rows at a time out of the file.
"""


def number(value: float) -> str:
    """Write three significant digits without an exponent."""
    digits = 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3
    return f"{value:,.{max(digits, 0)}f}"


def iteration_row(measured: Iteration) -> str:
    """Return the table row of one case."""
    ratios = measured.ratios()
    cells = [
        measured.case.label,
        number(measured.nanoseconds(median(measured.scikit_learn))),
        number(measured.nanoseconds(median(measured.fusem))),
        f"{number(median(ratios))} ×",
        f"{number(min(ratios))}–{number(max(ratios))}",
        number(measured.nanoseconds(measured.in_fit)),
        f"{measured.difference:.0e}",
        number(measured.memory["scikit-learn"] / 1e6),
        number(measured.memory["fusem"] / 1e6),
    ]
    return f"| {' | '.join(cells)} |"


def throughput_table(measured: Sequence[Throughput]) -> str:
    """Return the table of sources, a row per case."""
    if not measured:
        return "Not measured."
    sources = list(measured[0].seconds)
    lines = [f"| case | {' | '.join(sources)} |", f"|---|{'--:|' * len(sources)}"]
    for one in measured:
        cells = [
            f"{one.rows_per_second(source):,.0f} ({one.share(source):.0%})" for source in sources
        ]
        lines.append(f"| {one.case.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(
    iterations: Sequence[Iteration], throughputs: Sequence[Throughput], **constants: object
) -> str:
    """Return the whole file."""
    return TEXT.format(
        command=" ".join(["python -m asv_benchmarks.peers", *sys.argv[1:]]),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=machine(),
        packages=", ".join([f"Python {platform.python_version()}", *map(versioned, PACKAGES)]),
        blas="; ".join(sorted(set(map(described, threadpool_info())))),
        iterations=ITERATION_HEAD + "\n".join(map(iteration_row, iterations)),
        throughputs=throughput_table(throughputs),
        **constants,
    )


def versioned(package: str) -> str:
    return f"{package} {version(package)}"


def described(library: dict[str, object]) -> str:
    """Name a thread pool, its version, and the kernel that OpenBLAS chose."""
    names = (library["internal_api"], library.get("version"), library.get("architecture"))
    return " ".join(str(name) for name in names if name)


def machine() -> str:
    """Name processor, cores, memory and system, as far as the system tells."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        pairs = (line.partition(":") for line in lines)
        fields = {name.strip(): value.strip() for name, _, value in pairs}
        model = f"{fields.get('model name', model)} (family {fields.get('cpu family')}, model "
        model += f"{fields.get('model')}), {fields.get('cache size', '?')} cache"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()} {platform.machine()}."
