"""What benchmarks measure and report; that each runs, at its smallest case, asv itself says (`.ci/run`)."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asv_benchmarks import (
    cases,
    ceilings,
    convergence,
    exact,
    footprint,
    instructions,
    memory,
    missing,
    mixins,
    mixture,
    peak,
    peers,
    process,
    report,
    sources,
    stored,
)
from asv_benchmarks.onedal import OneDal
from asv_benchmarks.quiet import fit_quietly
from asv_benchmarks.results import Iteration, Rivals, Throughput
from tests.processes import run

ROOT = Path(__file__).parents[1]
QUICK = cases.PROFILES["quick"]
KINDS = ("time_", "timeraw_", "peakmem_", "track_")


def benchmarks(*modules):
    """Return (class, method name) of every benchmark that asv would find in `modules`."""
    classes = {value for module in modules for value in vars(module).values() if is_suite(value)}
    return sorted(
        ((suite, name) for suite in classes for name in dir(suite) if name.startswith(KINDS)),
        key=lambda found: (found[0].__name__, found[1]),
    )


def is_suite(value) -> bool:
    return isinstance(value, type) and not inspect.isabstract(value)


def test_the_suites_hold_every_kind_of_benchmark():
    names = {name for _, name in benchmarks(mixture, process)}
    assert {kind for kind in KINDS if any(name.startswith(kind) for name in names)} == set(KINDS)
    assert not [name for _, name in benchmarks(mixins)], "asv would run mix-ins on their own"


def test_a_tenth_of_the_values_is_missing():
    X = np.zeros((4_000, 8))
    for pattern in missing.PATTERNS:
        assert np.isnan(missing.with_holes(X, pattern)).mean() == pytest.approx(0.1, abs=0.04)


def test_every_source_has_the_same_rows(monkeypatch, tmp_path):
    monkeypatch.setenv("FUSEM_BENCH", "quick")
    monkeypatch.chdir(tmp_path)
    folder, scores = sources.Sources().setup_cache(), set()
    for source in sources.SOURCES:
        benchmark = sources.Sources()
        benchmark.setup(folder, source)
        benchmark.time_statistics(folder, source)
        scores.add(benchmark.subject.model.score(benchmark.source))
    assert len(scores) == 1


def test_exact_numbers_are_the_same_twice():
    suite = exact.Exact()
    for name in ("sweeps_to_tolerance", "minus_log_likelihood", "compilations_of_a_second_fit"):
        values = {getattr(suite, f"track_{name}")("spherical") for _ in range(2)}
        assert len(values) == 1
    assert values == {0}
    assert 0 < suite.track_bytes_allocated("spherical") < 8 * exact.CASE_ROWS * 8


def test_instructions_are_those_of_the_code():
    prepared = "numbers = range(100_000)"
    codes = [f"sum(numbers[:{n}])" for n in (10, 100_000, 10)]
    few, many, again = instructions.instructions(prepared, codes)
    if np.isnan(few):
        pytest.skip("neither perf counters nor callgrind are there")
    assert 10 < few < 1e5, "neither the interpreter's start nor the switching is counted"
    assert 100_000 < many - few < 1e8
    assert again == pytest.approx(few, abs=1000)


def test_instructions_that_cannot_be_counted_are_no_number(monkeypatch):
    assert np.isnan(instructions.total_of("version: 1\n"))
    assert instructions.total_of("version: 1\nsummary: 12\ntotals: 12\n") == 12.0
    if shutil.which("valgrind"):
        assert np.isnan(instructions.by_callgrind("raise SystemExit(1)", ["1"])).all()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert np.isnan(instructions.instructions("", ["1", "2"])).tolist() == [True, True]


@pytest.mark.thorough
def test_what_is_counted_runs():
    calls = "".join(f"print({call} is not None)\n" for call in instructions.CALLS.values())
    assert run(instructions.PREPARED + calls) == len(instructions.CALLS) * "True\n"


def test_the_quick_profile_counts_no_instructions(monkeypatch):
    monkeypatch.setenv("FUSEM_BENCH", "quick")
    monkeypatch.delenv(instructions.VARIABLE, raising=False)
    suite = instructions.Instructions()
    with pytest.raises(NotImplementedError):
        suite.setup(suite.setup_cache(), "full")
    monkeypatch.setenv("FUSEM_BENCH", "full")
    suite.setup(dict.fromkeys(instructions.CALLS, 1.0), "full")


def test_the_quick_profile_measures_memory_once(monkeypatch):
    suite = mixture.MemoryGaussianMixture()
    labels, dtypes = suite.params
    others = [(labels[1], dtypes[0]), (labels[0], dtypes[1])]
    monkeypatch.setenv("FUSEM_BENCH", "quick")
    suite.setup(labels[0], dtypes[0])
    for case in others:
        with pytest.raises(NotImplementedError):
            suite.setup(*case)
    monkeypatch.setenv("FUSEM_BENCH", "full")
    for case in others:
        suite.setup(*case)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_comparison_of_imputers_runs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["missing", "--quick"])
    # those of the peers have them all
    monkeypatch.setattr(missing, "COVARIANCES", ["diag"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        missing.main()
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 2
    assert all(line.count(" × (") == 4 for line in rows)
    assert "scikit-learn's `IterativeImputer`" in printed


def test_a_first_fit_that_was_not_made_is_left_out(monkeypatch):
    monkeypatch.setenv("FUSEM_BENCH", "quick")
    monkeypatch.setattr(process, "first", lambda fit: process.First(9.0, 1.0, 5))
    suite = process.FirstFit()
    taken = suite.setup_cache()
    assert suite.track_compiled_signatures(taken, process.QUICK) == 5
    suite.setup(taken, process.QUICK)
    with pytest.raises(NotImplementedError):
        suite.setup(taken, "full-float64")
    monkeypatch.setenv("FUSEM_BENCH", "full")
    assert list(suite.setup_cache()) == suite.params


def test_a_first_fit_that_fails_is_told_of_itself(monkeypatch):
    monkeypatch.setenv("FUSEM_BENCH", "full")
    monkeypatch.setattr(process, "FIRST", {"good": "pass", "bad": "raise SystemExit(1)"})
    suite = process.FirstFit()
    taken = suite.setup_cache()
    suite.setup(taken, "good")
    with pytest.raises(RuntimeError, match="bad fails"):
        suite.setup(taken, "bad")


@pytest.mark.slow
def test_a_first_fit_compiles_once(monkeypatch):
    """The second process leaves every kernel as the first wrote it."""
    seen = []
    seconds = process.seconds

    def seconds_and_kernels(code, cache):
        taken = seconds(code, cache)
        seen.append({path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.nbc")})
        return taken

    monkeypatch.setitem(
        process.FIRST, "look", "from fusem.em.values import what_is_in; what_is_in(X)"
    )
    monkeypatch.setattr(process, "seconds", seconds_and_kernels)
    taken = process.first("look")
    after_cold, after_warm = seen
    assert len(after_cold) == taken.signatures > 0
    assert after_warm == after_cold


@pytest.mark.parametrize(
    "fit",
    [  # the history of benchmarks has all of them
        pytest.param(name, marks=[] if name == "fusem fit" else [pytest.mark.thorough])
        for name in process.FIRST
        if "-" not in name
    ],
)
def test_first_fits_run(fit):
    code = process.PREPARED + process.FIRST[fit]
    process.seconds(code)
    with pytest.raises(subprocess.CalledProcessError):  # what fails is seen
        process.seconds(code.replace("X = ", "X = np.nan * ", 1))


def test_arrays_that_benchmarks_share_are_made_once(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = []

    def make():
        made.append(1)
        return np.arange(3.0)

    folder = stored.keep([("a", make), ("a", make), ("b", make)])
    assert len(made) == 2
    assert stored.kept(folder, "a").tolist() == [0.0, 1.0, 2.0]


def test_sources_of_packages_that_are_not_there_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("FUSEM_BENCH", "quick")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "find_spec", lambda package: None)
    folder = sources.Sources().setup_cache()
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".npy"]
    for suite in sources.Sources(), sources.ChainSources():
        with pytest.raises(NotImplementedError, match="polars is not installed"):
            suite.setup(folder, "polars")


@pytest.mark.parametrize("kind", footprint.KINDS)
def test_every_kind_of_fit_whose_memory_is_measured_fits(kind):
    model, X = footprint.prepared(kind, 12_000)
    assert fit_quietly(model, X) is model
    if kind == "chunks":
        assert [len(chunk) for chunk in X()] == [10_000, 2_000]


def test_fits_without_noise_are_the_same_twice(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    suite = convergence.Convergence()
    folder = suite.setup_cache()
    for kind in convergence.KINDS:
        suite.setup(folder, kind)
        numbers = {suite.track_minus_log_likelihood(folder, kind) for _ in range(2)}
        assert len(numbers) == 1
        assert np.isfinite([*numbers]).all()


def test_memory_sees_an_array_that_grows_with_the_rows():
    case = cases.Case("spherical", 500_000, 1, 8)
    assert memory.beyond_data("scikit-learn", case, "float64", 1) > case.rows * case.components * 8


@pytest.mark.parametrize("known", [True, False])
def test_windows_is_asked_for_the_peak_as_it_wants_to_be_asked(known):
    def answer(process, counters, size):
        assert (process, size) == (-1, 72), "the size is that of 64-bit Windows' structure"
        counters._obj.peak_working_set = 123
        return int(known)

    kernel32 = SimpleNamespace(GetCurrentProcess=lambda: -1, K32GetProcessMemoryInfo=answer)
    if known:
        assert peak.windows(kernel32) == 123
    else:
        with pytest.raises(OSError, match="peak of this process"):
            peak.windows(kernel32)


def test_blobs_are_the_same_in_both_dtypes_and_starts_fit_them():
    for case in QUICK:
        X = cases.blobs(case)
        assert X.shape == (case.rows, case.columns)
        np.testing.assert_allclose(cases.blobs(case, "float32"), X, rtol=1e-5, atol=1e-6)
        assert cases.start(case, X)["means_init"].shape == (case.components, case.columns)
        assert cases.by_label(case.label) == case


def test_an_unknown_profile_is_refused(monkeypatch):
    monkeypatch.setenv("FUSEM_BENCH", "huge")
    with pytest.raises(ValueError, match="FUSEM_BENCH is 'huge'; accepted are quick, full, large"):
        cases.profile()


def test_the_report_takes_ratios_pair_by_pair():
    case = cases.Case("full", 1_000_000, 8, 8)
    used = {"fusem": 12_000_000, "scikit-learn": 345_000_000}
    row = report.iteration_row(
        Iteration(case, [1.0, 2.0, 4.0], [8.0, 40.0, 40.0], 1.6, 2e-13, used)
    )
    assert row.startswith("| full-1000000x8-k8 | 5,000 | 250 | 10.0 × | 8.00–20.0 | 200 | 2e-13 |")
    assert row.endswith("| 345 | 12.0 |")


def test_the_report_compares_with_onedal_round_by_round():
    case = cases.Case("full", 1_000_000, 8, 8)
    missing = [float("nan")] * 3
    taken = {
        ("oneDAL", "float64"): [0.08, 0.064, 0.08],
        ("fusem", "float64"): [0.02, 0.032, 0.04],
        ("oneDAL", "float32"): missing,
        ("fusem", "float32"): [0.01, 0.016, 0.01],
    }
    row = report.rivals_row(Rivals(case, taken))
    assert row == (
        "| full-1000000x8-k8 | 10.0 | 4.00 | 2.00 × (2.00–4.00) | – | 1.25 | – | 2.00 × (2.00–4.00) |"
    )
    slow = Rivals(case, {**taken, ("oneDAL", "float64"): taken["fusem", "float64"]})
    once = Rivals(case, {**taken, ("oneDAL", "float64"): [float("nan"), 9.0, float("nan")]})
    assert report.rivals_row(once).startswith("| full-1000000x8-k8 | – | 4.00 | – | –")
    table = report.rivals_table([Rivals(case, taken), slow, once])
    assert "Geometric means of the ratios: 1.41 × in float64 and – in float32." in table


def test_the_report_hides_where_a_python_lies():
    assert report.command(["--onedal", "/x/bin/python", "--quick"]).endswith(
        "--onedal PYTHON --quick"
    )


def test_needed_multiply_adds_are_counted():
    needed = {case.covariance: ceilings.multiply_adds(case) for case in QUICK}
    assert needed == {"full": 36_000, "tied": 32_000, "diag": 48_000, "spherical": 24_000}


def test_onedal_fails_where_its_python_lacks_it():
    onedal = OneDal(sys.executable, 1, 2, 2)
    with pytest.raises(RuntimeError, match="daal4py"):
        onedal.seconds(cases.Case("full", 1000, 2, 2), "float64")
    onedal.close()


def test_the_report_compares_sources_with_memory():
    taken = {"array": [1.0, 2.0, 4.0], ".npy file": [2.0, 4.0, 8.0]}
    table = report.throughput_table([Throughput(QUICK[0], taken)]).splitlines()
    assert table[0] == "| case | array | .npy file |"
    assert table[2] == f"| {QUICK[0].label} | 1,000 (100%) | 500 (50%) |"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ([], "give --onedal"),
        (["--onedal", "python"], r"pip install '.\[bench\]'"),
        (["--onedal", "python", "--quick"], "leave out --quick"),
        (["--onedal", "python", "--only", "full-*"], "leave out --only"),
        (
            ["--output", str(report.PATH.parent / ".." / "asv_benchmarks" / "RESULTS.md")],
            "--partial",
        ),
    ],
)
def test_results_do_not_lose_a_table_unnoticed(monkeypatch, capsys, words, remedy):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        peers.arguments(words)
    assert re.search(remedy, capsys.readouterr().err)
    assert peers.arguments([*words, "--partial"]).partial


def test_results_are_written_where_nothing_is_lost(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "find_spec", lambda name: object())
    assert peers.arguments(["--onedal", "python"]).output == report.PATH
    elsewhere = tmp_path / "quick.md"
    assert peers.arguments(["--quick", "--output", str(elsewhere)]).output == elsewhere


@pytest.mark.slow
@pytest.mark.thorough
def test_the_comparison_of_peers_runs(tmp_path):
    output = tmp_path / "RESULTS.md"
    command = [sys.executable, "-m", "asv_benchmarks.peers", "--quick", "--repetitions", "1"]
    command += ["--only", "diag-*-k16", "--output", str(output)]
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = output.read_text(encoding="utf-8")
    assert f"`python {' '.join(command[1:5])}" in text
    assert text.count("| diag-1000x16-k16 |") == 2, "one row in each table"
