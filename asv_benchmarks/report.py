"""Writes RESULTS.md: the tables, and what a reader needs to judge or repeat them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import isnan
from pathlib import Path
from statistics import geometric_mean, median

from threadpoolctl import threadpool_info

from asv_benchmarks.cases import DTYPES
from asv_benchmarks.results import (
    ChainTimes,
    Holes,
    Imputers,
    Iteration,
    Rivals,
    Throughput,
    middle,
)

PATH = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("fusem", "numba", "numpy", "scipy", "scikit-learn")

ITERATION_HEAD = """\
| case | scikit-learn | fusem | ratio | ratio, min–max | fusem inside `fit` | largest difference |\
 memory, scikit-learn | memory, fusem |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
"""

RIVALS_HEAD = """\
| case | oneDAL | fusem | ratio | oneDAL float32 | fusem float32 | ratio | fusem, float64 to float32 |
|---|--:|--:|--:|--:|--:|--:|--:|
"""

CHAIN_HEAD = """\
| case | | hmmlearn | fusem | ratio | hmmlearn, scaling | ratio |
|---|---|--:|--:|--:|--:|--:|
"""

HOLES_HEAD = """\
| covariance | dtype | complete row | sweep, random | sweep, recurring | imputation, random |\
 imputation, recurring |
|---|---|--:|--:|--:|--:|--:|
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
Data: K blobs, unit covariance, centres ~ N(0, 1), where components overlap, or N(0, 3²), where they lie
`apart` (`cases.blobs`). Start: equal weights, K rows as means (of those apart the centres), unit
covariances (`cases.start`), then {early} EM iterations; both libraries begin there.

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

## Against oneDAL

{rivals}

One EM iteration inside a fit: nanoseconds per row and component, medians of {rounds} rounds in which
the four took turns; a fit of {late} iterations less one of {early}, divided by {span}; two threads each;
ratios round by round: median, smallest–largest. oneDAL is `daal4py.em_gmm` of daal4py 2024.7 in a
process of its own, on the same rows; – where it has no such covariance or ends with an error.

## Rows per second: chunks from a file against an array

{throughputs}

One `model.statistics` call over the same rows, median; the percentage is the median of repetitions
that took turns. The file is in the operating system's cache. `.npy file`: its path is given.
`function of chunks`: a function whose iterator copies {chunk_rows} rows at a time out of the file.

## Missing values

{holes}

Rows of which a tenth of the values is missing, by chance or in 16 recurring patterns, against complete ones.
*complete row*: nanoseconds of one EM iteration per complete row. The others are ratios to it, and of
`impute` to `predict_proba` of complete rows, taken in turns: median, smallest–largest.

{imputers}

## Hidden Markov models, against hmmlearn

{chains}

Nanoseconds per time step, medians; one iteration of Baum–Welch (fusem: a fit of five, hmmlearn: of one,
divided), or one `predict`: after seconds of the other library, whose data the caches then hold, and again,
the third of three in a row. Before each call, or three in a row, {rest} s pass in which nothing runs:
threads of a BLAS that has worked keep a core for some 0.1 s. Two threads for fusem, hmmlearn has none.
Ratios round by round: median, smallest–largest. hmmlearn 0.3.3 has two implementations, "log", its
default, and "scaling".
"""


def number(value: float) -> str:
    """Write three significant digits without an exponent; NaN is a dash."""
    if isnan(value):
        return "–"
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


def rivals_row(measured: Rivals) -> str:
    """Return the table row of one case against oneDAL."""
    cells = [measured.case.label]
    for dtype in DTYPES:
        cells += [number(measured.nanoseconds(library, dtype)) for library in ("oneDAL", "fusem")]
        cells.append(spread(measured.ratios(("oneDAL", dtype), ("fusem", dtype))))
    cells.append(spread(measured.ratios(*[("fusem", dtype) for dtype in DTYPES])))
    return f"| {' | '.join(cells)} |"


def spread(ratios: Sequence[float]) -> str:
    """Write the median of some ratios, the smallest and the largest."""
    if isnan(middle(ratios)):
        return "–"
    return f"{number(middle(ratios))} × ({number(min(ratios))}–{number(max(ratios))})"


def rivals_table(measured: Sequence[Rivals]) -> str:
    """Return the table against oneDAL, with the geometric means of the ratios."""
    if not measured:
        return "Not measured: no Python with daal4py was given (`--onedal`)."
    means = []
    for dtype in DTYPES:
        ratios = [middle(one.ratios(("oneDAL", dtype), ("fusem", dtype))) for one in measured]
        known = [ratio for ratio in ratios if ratio > 0.0]  # neither NaN nor noise
        means.append(f"{number(geometric_mean(known))} × in {dtype}" if known else f"– in {dtype}")
    table = RIVALS_HEAD + "\n".join(map(rivals_row, measured))
    return f"{table}\n\nGeometric means of the ratios: {' and '.join(means)}."


def chain_row(measured: ChainTimes) -> str:
    """Return the table row of one case against hmmlearn."""
    cells = [
        measured.label,
        measured.what,
        number(median(measured.log)),
        number(median(measured.fusem)),
        spread(measured.ratios(measured.log)),
        number(median(measured.scaling)),
        spread(measured.ratios(measured.scaling)),
    ]
    return f"| {' | '.join(cells)} |"


def holes_row(measured: Holes) -> str:
    """Return the table row of one covariance type and dtype."""
    cells = [measured.covariance, measured.dtype, number(measured.complete)]
    for ratios in (measured.sweeps, measured.imputations):
        cells += [spread(ratios[pattern]) for pattern in ("random", "recurring")]
    return f"| {' | '.join(cells)} |"


def imputers_text(measured: Imputers | None) -> str:
    """Return what there is to say of whole imputations."""
    if measured is None:
        return "Imputers were not compared."
    n, d = measured.shape
    return (
        f"`fit_transform` of {n:,} × {d} rows, {measured.rate:.0%} of the values missing: `EMImputer` "
        f"{number(median(measured.fusem))} s, scikit-learn's `IterativeImputer` "
        f"{number(median(measured.scikit_learn))} s, ratio {spread(measured.ratios())}. Mean squared error "
        f"of the true values {measured.errors[0]:.3f} and {measured.errors[1]:.3f}, mean log-density "
        f"{measured.densities[0]:.3f} and {measured.densities[1]:.3f}."
    )


def table(head: str, rows: Sequence[str]) -> str:
    """Return a table, or say that there is none."""
    return head + "\n".join(rows) if rows else "Not measured."


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
    iterations: Sequence[Iteration],
    rivals: Sequence[Rivals],
    throughputs: Sequence[Throughput],
    holes: Sequence[Holes],
    imputers: Imputers | None,
    chains: Sequence[ChainTimes],
    **constants: object,
) -> str:
    """Return the whole file."""
    return TEXT.format(
        command=command(sys.argv[1:]),
        rivals=rivals_table(rivals),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=machine(),
        packages=", ".join([f"Python {platform.python_version()}", *map(versioned, PACKAGES)]),
        blas="; ".join(sorted(set(map(described, threadpool_info())))),
        iterations=table(ITERATION_HEAD, list(map(iteration_row, iterations))),
        holes=table(HOLES_HEAD, list(map(holes_row, holes))),
        imputers=imputers_text(imputers),
        chains=table(CHAIN_HEAD, list(map(chain_row, chains))),
        throughputs=throughput_table(throughputs),
        **constants,
    )


def command(words: Sequence[str]) -> str:
    """Return the command that was run, without where its Python for oneDAL lies."""
    shown = [
        "PYTHON" if before == "--onedal" else word
        for before, word in zip(["", *words], words, strict=False)
    ]
    return " ".join(["python -m asv_benchmarks.peers", *shown])


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
