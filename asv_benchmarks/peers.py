"""fusem beside scikit-learn, oneDAL and hmmlearn: EM iterations, memory, chunks of a file, missing values.

``python -m asv_benchmarks.peers --onedal PYTHON`` writes `asv_benchmarks/RESULTS.md` (some twenty minutes,
the machine to itself); ``--quick --output FILE`` runs every step on a thousandth of the rows, to see that it
works. A run that would leave out one of the tables does not begin.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.mixture  # noqa: F401 (its OpenMP and BLAS must be loaded to be held to two threads)
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from asv_benchmarks import hmm, memory, missing, report
from asv_benchmarks.cases import DTYPES, PROFILES, Array, Case, blobs, start
from asv_benchmarks.libraries import THREADS, Fusem, ScikitLearn
from asv_benchmarks.onedal import OneDal
from asv_benchmarks.results import ChainTimes, Holes, Imputers, Iteration, Rivals, Throughput

# These choose an OpenBLAS kernel by hand, often a slow one; scikit-learn is to run at its best.
OPENBLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
EARLY, LATE = 2, 7  # iterations; the difference of two fits has no start and no validation in it
FITS = 3
ROUNDS = 7
AT_LEAST = 0.3  # seconds: shorter iterations are repeated and averaged, of either library
CHUNKS = ("full-1000000x8-k8", "full-5000000x1-k2", "diag-500000x16-k16")
CHUNK_ROWS = 100_000


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def iteration(case: Case, repetitions: int) -> Iteration:
    """Time one EM iteration of both libraries, alternately, from the same parameters."""
    X = blobs(case)
    began = start(case, X)
    ours, theirs = Fusem(case, began, EARLY), ScikitLearn(case, began)
    ours.fit(X)  # a few iterations on, where a fit spends its time; also compiles the kernels
    parameters = ours.parameters()

    def run(library: Fusem) -> float:
        taken: list[float] = []
        while sum(taken) < AT_LEAST:
            library.begin(parameters)
            taken.append(seconds(lambda: library.iterate(X)))
        return statistics.fmean(taken)

    for library in (ours, theirs):
        library.begin(parameters)
        library.iterate(X)
    difference = largest_difference(ours.parameters(), theirs.parameters())
    taken: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for repetition in range(repetitions):
        for library in (ours, theirs) if repetition % 2 else (theirs, ours):
            taken[library.name].append(run(library))
    used = {name: memory.beyond_data(name, case, "float64", EARLY) for name in taken}
    return Iteration(case, taken[ours.name], taken[theirs.name], in_fit(case, X), difference, used)


def in_fit(case: Case, X: Array) -> float:
    """Return the seconds of one iteration inside `fit`: longer fit minus shorter fit."""
    began = start(case, X)
    early, late = Fusem(case, began, EARLY), Fusem(case, began, LATE)
    pairs = [(seconds(lambda: early.fit(X)), seconds(lambda: late.fit(X))) for _ in range(FITS)]
    return (min(b for _, b in pairs) - min(a for a, _ in pairs)) / (LATE - EARLY)


def rivals(case: Case, onedal: OneDal, rounds: int) -> Rivals:
    """Time one EM iteration inside a fit, fusem's and oneDAL's in both dtypes, in turns."""
    X = {dtype: blobs(case, dtype) for dtype in DTYPES}
    began = start(case, X["float64"])
    early, late = Fusem(case, began, EARLY), Fusem(case, began, LATE)
    taken: dict[tuple[str, str], list[float]] = {}
    for round_ in range(rounds + 1):
        for dtype in DTYPES:
            short = seconds(partial(early.fit, X[dtype]))
            ours = (seconds(partial(late.fit, X[dtype])) - short) / (LATE - EARLY)
            theirs = onedal.seconds(case, dtype)
            if round_ > 0:  # the first one compiles and draws
                taken.setdefault(("fusem", dtype), []).append(ours)
                taken.setdefault(("oneDAL", dtype), []).append(theirs)
    return Rivals(case, taken)


def largest_difference(ours: dict[str, Array], theirs: dict[str, Array]) -> float:
    """Return the largest difference of any parameter, relative to the largest of its kind."""
    return max(
        float(np.max(np.abs(ours[name] - theirs[name])) / np.max(np.abs(theirs[name])))
        for name in ours
    )


def throughput(case: Case, folder: Path, repetitions: int) -> Throughput:
    """Time one statistic of the same rows: an array, its `.npy` file, chunks of that file."""
    X = blobs(case)
    model = Fusem(case, start(case, X), EARLY)
    model.fit(X)
    path = folder / f"{case.label}.npy"
    np.save(path, X)

    def chunks() -> Iterator[Array]:
        stored = np.load(path, mmap_mode="r")
        for first in range(0, len(stored), CHUNK_ROWS):
            yield np.array(stored[first : first + CHUNK_ROWS])

    sources: dict[str, Any] = {"array": X, ".npy file": path, "function of chunks": chunks}
    taken: dict[str, list[float]] = {name: [] for name in sources}
    for source in sources.values():
        model.model.statistics(source)
    for _ in range(repetitions):
        for name, source in sources.items():
            taken[name].append(seconds(partial(model.model.statistics, source)))
    path.unlink()
    return Throughput(case, taken)


def cases(quick: bool, only: str) -> list[Case]:
    chosen = [case for case in PROFILES["large"] if fnmatch.fnmatch(case.label, only)]
    return [small(case) for case in chosen] if quick else chosen


def small(case: Case) -> Case:
    return case._replace(rows=max(1000, case.rows // 1000))


def undo_openblas_choice() -> None:
    """Start this command anew without the variables that slow scikit-learn's BLAS."""
    if any(name in os.environ for name in OPENBLAS):
        kept = {name: value for name, value in os.environ.items() if name not in OPENBLAS}
        command = [sys.executable, "-m", "asv_benchmarks.peers", *sys.argv[1:]]
        os.execve(sys.executable, command, kept)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m asv_benchmarks.peers")
    parser.add_argument("--quick", action="store_true", help="a thousandth of the rows")
    parser.add_argument(
        "--only", default="*", help="pattern of cases, e.g. 'full-*': mixtures alone"
    )
    parser.add_argument("--repetitions", type=int, default=0, help="pairs (5; 3 where rows > 2e6)")
    parser.add_argument("--onedal", help="a Python that has daal4py (see onedal.py)")
    parser.add_argument("--output", type=Path, default=report.PATH, help="file to write")
    parser.add_argument(
        "--partial", action="store_true", help="write RESULTS.md without all tables"
    )
    chosen = parser.parse_args(words)
    lost = [] if chosen.partial else would_lose(chosen)
    if lost:
        parser.error(
            f"{chosen.output} would lose {'; '.join(lost)}. Or choose another --output, or --partial."
        )
    return chosen


def would_lose(chosen: argparse.Namespace) -> list[str]:
    """Return what this run would take out of RESULTS.md, and what to do for each."""
    if chosen.output.resolve() != report.PATH.resolve():
        return []
    reasons = {
        "the whole measurement (leave out --quick)": chosen.quick,
        "all cases but some (leave out --only)": chosen.only != "*",
        "oneDAL (give --onedal; asv_benchmarks/onedal.py says how)": chosen.onedal is None,
        "hmmlearn (pip install '.[bench]')": find_spec("hmmlearn") is None,
    }
    return [reason for reason, holds in reasons.items() if holds]


def against_onedal(chosen: argparse.Namespace) -> list[Rivals]:
    if chosen.onedal is None:
        return []
    onedal, measured = OneDal(chosen.onedal, EARLY, LATE, THREADS), []
    for case in cases(chosen.quick, chosen.only):
        measured.append(rivals(case, onedal, chosen.repetitions or ROUNDS))
        print(report.rivals_row(measured[-1]), flush=True)
    onedal.close()
    return measured


def with_holes(chosen: argparse.Namespace) -> tuple[list[Holes], Imputers | None]:
    if chosen.only != "*":
        return [], None
    measured = []
    for one in missing.compared(chosen.quick):
        measured.append(one)
        print(report.holes_row(one), flush=True)
    return measured, missing.imputers(1_000 if chosen.quick else 100_000)


def against_hmmlearn(chosen: argparse.Namespace) -> list[ChainTimes]:
    if chosen.only != "*" or find_spec("hmmlearn") is None:
        return []
    measured = []
    for chain in hmm.compared(chosen.quick):
        measured.append(chain)
        print(report.chain_row(chain), flush=True)
    return measured


def main() -> None:
    undo_openblas_choice()
    chosen = arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    iterations, throughputs = [], []
    with threadpool_limits(THREADS), tempfile.TemporaryDirectory() as folder:
        for case in cases(chosen.quick, chosen.only):
            repetitions = chosen.repetitions or (3 if case.rows > 2e6 else 5)
            iterations.append(iteration(case, repetitions))
            print(report.iteration_row(iterations[-1]), flush=True)
        fights = against_onedal(chosen)
        for case in cases(chosen.quick, chosen.only):
            if chosen.quick or case.label in CHUNKS:
                measured = throughput(case, Path(folder), chosen.repetitions or 9)
                throughputs.append(measured)
    text = report.text(
        iterations,
        fights,
        throughputs,
        *with_holes(chosen),
        against_hmmlearn(chosen),
        rounds=chosen.repetitions or ROUNDS,
        early=EARLY,
        late=LATE,
        span=LATE - EARLY,
        fits=FITS,
        at_least=AT_LEAST,
        chunk_rows=CHUNK_ROWS,
        rest=hmm.REST,
    )
    chosen.output.write_text(text, encoding="utf-8")
    print(f"{chosen.output} written")


if __name__ == "__main__":
    main()
