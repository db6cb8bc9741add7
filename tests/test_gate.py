"""The comparison of two commits: what it must catch it catches, and an unchanged tree passes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fusem.testing import gate, table, verdict
from fusem.testing.builds import Build, checked_out
from fusem.testing.changelog import performance_entries, with_entries
from fusem.testing.rounds import answers, names_of
from fusem.testing.signals import Signal, Tracked, tracked
from fusem.testing.verdict import Verdict, judged
from fusem.testing.worker import Timer, benchmarks_in, foreign_modules

RECORDED = Path(__file__).parent / "data" / "unchanged.npz"
ROLES = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


# ---- verdicts, from timings of an unchanged tree ----


@pytest.fixture(scope="module")
def unchanged():
    """Timings of one tree in three processes: per generation, of every benchmark (rounds, 3) seconds."""
    with np.load(RECORDED) as file:
        parts = dict(file)
    generations: dict[str, dict[str, np.ndarray]] = {}
    for key, rounds in parts.items():
        name, number = key.rsplit("#", 1)
        generations.setdefault(number, {})[name] = rounds
    return list(generations.values())


def simulated(unchanged, rng, slower=None, factor=1.0):
    """A run as the gate makes it: generations and rounds drawn again, one benchmark of HEAD slowed down."""

    def drawn():
        taken = unchanged[rng.integers(len(unchanged))]
        roles = list(ROLES[rng.integers(len(ROLES))])
        chosen = rng.integers(len(next(iter(taken.values()))), size=12)
        parts = {name: rounds[chosen % len(rounds)][:, roles] for name, rounds in taken.items()}
        if slower is not None:
            parts[slower] = parts[slower] * [1.0, factor, 1.0]
        return parts

    recording = {name: [] for name in unchanged[0]}
    names = list(recording)
    for number in range(gate.GENERATIONS + gate.AGAIN):
        if number >= gate.GENERATIONS:
            again = gate.unclear(judged(recording), verdict.LIMIT)
            names = [name for name in names if name in again]
        if not names:
            break
        parts = drawn()
        for name in names:
            recording[name].append(parts[name])
    return {v.name: v for v in judged(recording)}


@pytest.mark.thorough
def test_a_benchmark_slowed_by_15_percent_is_caught_19_times_of_20(unchanged):
    rng, names = np.random.default_rng(0), list(unchanged[0])
    caught = 0
    for name in 4 * names:
        caught += simulated(unchanged, rng, name, 1.15)[name].outcome == "slower"
    assert caught >= 0.95 * 4 * len(names)


@pytest.mark.thorough
def test_an_unchanged_tree_gives_a_false_alarm_once_in_100_runs_at_most(unchanged):
    rng = np.random.default_rng(1)
    alarms = sum(
        any(v.outcome == "slower" for v in simulated(unchanged, rng).values()) for _ in range(500)
    )
    assert alarms <= 5


def test_few_benchmarks_of_an_unchanged_tree_are_too_noisy(unchanged):
    rng = np.random.default_rng(2)
    found = [v.outcome for _ in range(50) for v in simulated(unchanged, rng).values()]
    assert found.count("no change") > 0.9 * len(found)


def recording(ratio, scatter, n_rounds=20, generations=3, between=0.0, seed=0):
    """Timings of one benchmark from normal distributions of logarithms."""
    rng = np.random.default_rng(seed)
    logs = [
        rng.normal(0.0, scatter, (n_rounds, 3)) + rng.normal(0.0, between, 3)
        for _ in range(generations)
    ]
    return {"b": [0.01 * np.exp(part) * [1.0, ratio, 1.0] for part in logs]}


@pytest.mark.parametrize(
    ("ratio", "scatter", "outcome"),
    [
        (1.5, 0.02, "slower"),
        (1.15, 0.01, "slower"),
        (1.0, 0.01, "no change"),
        (1.05, 0.01, "no change"),
        (0.8, 0.01, "faster"),
        (1.12, 0.5, "too noisy to tell"),
        (0.9, 0.9, "too noisy to tell"),
    ],
)
def test_outcomes(ratio, scatter, outcome):
    (found,) = judged(recording(ratio, scatter))
    assert found.outcome == outcome
    assert found.low < found.ratio < found.high
    assert found.head / found.base == pytest.approx(found.ratio, rel=3 * scatter)


def test_processes_that_differ_among_themselves_are_not_trusted():
    (steady,) = judged(recording(1.13, 0.01))
    assert steady.outcome == "slower"
    moody = [judged(recording(1.0, 0.01, between=0.1, seed=seed))[0] for seed in range(300)]
    assert sum(v.outcome == "slower" for v in moody) <= 5


def test_an_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(300):
        (v,) = judged(recording(1.07, 0.05, between=0.02, seed=seed))
        held += v.low < 1.07 < v.high
    assert held >= 270


def test_nothing_measured_has_no_verdict():
    assert judged({}) == []


# ---- the table ----


V = Verdict("a.time_b(1)", 0.0123, 0.02, 1.63, 1.6, 1.66, 1.01, "slower")
FAST = V._replace(name="c", ratio=0.5, low=0.4, high=0.6, outcome="faster")


def test_the_table_begins_with_what_is_slower():
    new = {"d": "Traceback\nValueError: no"}
    text = table.table("main", "topic", [FAST, V], [], new, {}, 0.1)
    lines = text.splitlines()
    assert lines[0] == "### Speed of topic against main"
    assert "1 slower, 1 faster" in lines[2]
    assert (
        lines[6] == "| `a.time_b(1)` | 12.3 ms | 20 ms | 1.630 (1.600–1.660) | 1.010 | **slower** |"
    )
    assert lines[7].startswith("| `c` |")
    assert lines[-2:] == ["Not compared, since they do not run in main:", "- `d`: ValueError: no"]
    broken = table.table("main", "topic", [FAST], [], {}, {"e": "KeyError: 1"}, 0.1).splitlines()
    assert broken[2] == "**1 benchmark without an answer in topic**: see below."
    assert broken[-1] == "- `e`: KeyError: 1"


SAME = Signal("e.track_bytes", 100.0, 100.0, 0.1, False)
WORSE = SAME._replace(name="e.track_sweeps", head=120.0)


@pytest.mark.parametrize(
    ("base", "head", "tolerance", "larger_is_better", "outcome"),
    [
        (100.0, 110.0, 0.1, False, "no change"),
        (100.0, 110.1, 0.1, False, "worse"),
        (100.0, 89.0, 0.1, False, "better"),
        (-5.0, -5.1, 1e-9, True, "worse"),  # a log-likelihood
        (-5.0, -4.9, 1e-9, True, "better"),
        (-5.0, -5.0, 0.0, True, "no change"),
        (0.0, 0.0, 0.1, False, "no change"),
        (0.0, 1.0, 0.1, False, "worse"),  # nothing was compiled, now something is
    ],
)
def test_outcomes_of_exact_numbers(base, head, tolerance, larger_is_better, outcome):
    assert Signal("a", base, head, tolerance, larger_is_better).outcome == outcome


def test_the_table_has_the_exact_numbers_that_changed():
    better = SAME._replace(name="e.track_compiled", head=50.0)
    lines = table.table("main", "topic", [FAST], [SAME, better, WORSE], {}, {}, 0.1).splitlines()
    assert "1 number, the same in every run, did not change." in lines
    assert lines[-2:] == [
        "| `e.track_sweeps` | 100 | 120 | **worse** |",
        "| `e.track_compiled` | 100 | 50 | better |",
    ]
    assert "same in every run" not in table.table("main", "topic", [FAST], [], {}, {}, 0.1)


ENTRIES = [
    "- `gate a b` (3 benchmarks): what changed.",
    "- `c` is 2.00 times (1.67–2.50) as fast.",
    "- `a.time_b(1)` takes 1.63 times (1.60–1.66) as long.",
    "- `e.track_sweeps` is 120 where it was 100.",
]


def test_a_changelog_gets_what_changed():
    verdicts = [FAST, V, V._replace(outcome="no change")]
    text = performance_entries(verdicts, [SAME, WORSE], "gate a b")
    assert text.splitlines() == ENTRIES
    nothing = performance_entries([], [SAME], "gate a b")
    assert nothing == "- `gate a b` (0 benchmarks): no change beyond the limit.\n"
    noisy = performance_entries([V._replace(outcome="too noisy to tell")], [], "gate a b")
    assert noisy == "- `gate a b` (1 benchmark): no change beyond the limit; 1 too noisy to tell.\n"


@pytest.mark.parametrize("group", ["", "### Performance\n\n- By hand.\n\n"])
@pytest.mark.parametrize("later", ["", "## [1.0]\n\n### Performance\n\n- Old.\n"])
def test_entries_stand_under_what_is_not_released(group, later, tmp_path):
    path = tmp_path / "CHANGELOG.md"
    head = "# Changes\n\n## [Unreleased]\n\n### Added\n\n- That.\n\n"
    path.write_text(head + group + later, encoding="utf-8")
    once = with_entries(path, "- `x` is new.\n")
    block = "### Performance\n\n<!-- gate -->\n- `x` is new.\n<!-- /gate -->\n"
    assert block in once
    assert once.startswith(head)
    assert once.endswith(later)
    assert ("- By hand." in once) == bool(group)
    path.write_text(once, encoding="utf-8")
    again = with_entries(path, "- `y` is newer.\n")
    assert again == once.replace("- `x` is new.", "- `y` is newer.")


def test_links_stay_below_the_entries(tmp_path):
    path = tmp_path / "CHANGELOG.md"
    links = "[Unreleased]: https://example.org\n"
    path.write_text(
        "# Changes\n\n## [Unreleased]\n\nSee ### Performance.\n\n" + links, encoding="utf-8"
    )
    text = with_entries(path, "- `x`\n")
    assert text.endswith("<!-- /gate -->\n\n" + links)
    assert text.count("<!-- gate -->") == 1


def test_what_is_no_changelog_is_refused_before_all_is_timed(tmp_path, capsys):
    path = tmp_path / "notes.md"
    new = with_entries(path, "- `x`\n")
    path.write_text(new, encoding="utf-8")
    assert with_entries(path, "- `y`\n") == new.replace("`x`", "`y`")
    path.write_text("# Notes\n", encoding="utf-8")
    assert gate.main(["a", "b", "--repository", str(tmp_path), "--changelog", str(path)]) == 2
    assert "no heading '## [Unreleased]'" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "# Notes\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4e-6, "4 µs"), (2e-10, "0.2 ns")]
)
def test_durations(seconds, text):
    assert table.duration(seconds) == text


# ---- benchmarks ----


SUITE = """
    from abc import ABC, abstractmethod
    from json import dumps as time_foreign

    def time_alone():
        pass

    class Base(ABC):
        @abstractmethod
        def make(self): ...
        def time_never(self, number, letter): ...

    class Suite(Base):
        params = [[1, 2], ["a"]]
        def make(self): ...
        def setup(self, number, letter):
            self.calls = [number, letter]
        def time_it(self, number, letter):
            assert self.calls == [number, letter]

    class Cached:
        params = [3, 4]
        made = []
        def setup_cache(self):
            self.made.append(7)
            return sum(self.made)
        def time_cached(self, cache, number):
            assert cache == 7 and number in (3, 4)
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    (tmp_path / "some_suite.py").write_text(textwrap.dedent(SUITE), encoding="utf-8")
    (tmp_path / "no_suite.py").write_text("def measure(): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_benchmarks_are_found_as_asv_finds_them(suite):
    timer = Timer(["some_suite"])
    assert timer.names() == [
        "some_suite.time_alone",
        "some_suite.Suite.time_it(1, a)",
        "some_suite.Suite.time_it(2, a)",
        "some_suite.Suite.time_never(1, a)",
        "some_suite.Suite.time_never(2, a)",
        "some_suite.Cached.time_cached(3)",
        "some_suite.Cached.time_cached(4)",
    ]
    for name in timer.names():
        assert timer.prepare(name) >= 0.0
        assert timer.time(name, 3) >= 0.0


ENDS = """
import os
def time_first(): ...
def time_ends():
    os._exit(3)
def time_raises():
    raise KeyError("no")
def time_last(): ...
"""


TRACKS = """
class Numbers:
    params = [1, 2]
    def setup(self, n):
        if n == 2:
            raise NotImplementedError
    def track_it(self, n):
        return {value}
    track_it.tolerance = 0.5
def track_nothing():
    return float("nan")
def track_likelihood():
    return -{value}
track_likelihood.larger_is_better = True
"""


def test_exact_numbers_of_two_builds(tmp_path):
    builds = []
    for commit, value in (("base", 10.0), ("head", 14.0)):
        folder = tmp_path / commit
        folder.mkdir()
        (folder / "amount.py").write_text(f"VALUE = {value}\n", encoding="utf-8")
        builds.append(Build(commit, folder, folder, commit, tmp_path))
    (tmp_path / "tracks.py").write_text(
        "import amount\n" + TRACKS.format(value="amount.VALUE"), encoding="utf-8"
    )
    found = tracked((builds[0], builds[1]), ["tracks"], "", 0.1)
    outcomes = {signal.name: (signal.head, signal.outcome) for signal in found.signals}
    assert outcomes == {
        "tracks.Numbers.track_it(1)": (14.0, "no change"),
        "tracks.track_likelihood": (-14.0, "worse"),
    }
    assert not found.new
    assert not found.broken
    (tmp_path / "head" / "amount.py").write_text("", encoding="utf-8")
    broken = tracked((builds[0], builds[1]), ["tracks"], "it(1)", 0.1).broken
    assert "AttributeError" in broken["tracks.Numbers.track_it(1)"]
    (tmp_path / "left_out.py").write_text(
        "import amount\ndef track_it():\n    if amount.VALUE > 12:\n        raise NotImplementedError\n"
        "    return amount.VALUE\n",
        encoding="utf-8",
    )
    (tmp_path / "head" / "amount.py").write_text("VALUE = 14.0\n", encoding="utf-8")
    broken = tracked((builds[0], builds[1]), ["left_out"], "", 0.1).broken
    assert broken == {"left_out.track_it": "it gives no number any more"}
    assert tracked((builds[0], builds[1]), ["tracks"], "no such", 0.1).signals == []


def test_what_ends_its_process_is_told_and_the_others_go_on(tmp_path):
    (tmp_path / "installed").mkdir()
    (tmp_path / "ends.py").write_text(ENDS, encoding="utf-8")
    (tmp_path / "needs.py").write_text("import not_there\ndef time_it(): ...\n", encoding="utf-8")
    build = Build("here", tmp_path, tmp_path / "installed", "abc", tmp_path)
    names = [f"ends.time_{name}" for name in ("first", "ends", "raises", "last")]
    modules, asked = ["ends", "needs"], [*names, "needs.time_it"]
    found, reasons = answers(build, modules, asked, "prepare")
    assert sorted(found) == ["ends.time_first", "ends.time_last"]
    assert sorted(reasons) == ["ends.time_ends", "ends.time_raises", "needs.time_it"]
    assert "the process ended" in reasons["ends.time_ends"]
    assert "not_there" in reasons["needs.time_it"]
    with pytest.raises(gate.Failed, match="not_there"):
        names_of(build, ["ends", "needs"])


def test_what_breaks_is_not_taken_for_slower(tmp_path, monkeypatch):
    def wrong(*_):
        raise OSError("disk")

    monkeypatch.setattr(gate, "build", wrong)
    assert gate.main(["a", "b", "--repository", str(tmp_path)]) == 2


def test_a_benchmark_that_head_breaks_does_not_pass(tmp_path, monkeypatch, capsys):
    taken = [np.ones((6, 3)) * np.array([1.0, 1.0, 1.0])]
    left_out = gate.LeftOut({}, {"a.time_b": "KeyError: no"})
    monkeypatch.setattr(gate, "build", lambda *_: Build("c", tmp_path, tmp_path, "c", tmp_path))
    monkeypatch.setattr(gate, "settings_of", lambda _: gate.Settings(["a"]))
    monkeypatch.setattr(gate, "tracked", lambda *_: Tracked([], {}, {}))
    monkeypatch.setattr(gate, "no_longer_there", lambda *_: ["a.time_d"])
    monkeypatch.setattr(gate, "compared", lambda *_: ({"a.time_c": taken * 4}, left_out))
    assert gate.main(["base", "head"]) == 2
    out = capsys.readouterr().out
    assert "**1 benchmark without an answer in head**" in out
    assert "Benchmarks of base that head has no more:\n- `a.time_d`" in out


def test_what_head_does_not_run_is_told_though_base_does_not_either(tmp_path):
    """The files are HEAD's: a slip in them breaks a benchmark on both sides."""
    files = {
        "slips.py": "def time_a():\n    wrok()\ndef track_b():\n    wrok()\n"
        "def setup():\n    pass\ndef time_c(): ...\nclass Left:\n    def setup(self):\n"
        "        raise NotImplementedError\n    def time_d(self): ...\n"
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    builds = []
    for commit in ("base", "head"):
        (tmp_path / commit).mkdir()
        builds.append(Build(commit, tmp_path, tmp_path / commit, commit, tmp_path))
    found = tracked((builds[0], builds[1]), ["slips"], "", 0.1)
    assert (list(found.new), list(found.broken)) == ([], ["slips.track_b"])
    settings = gate.Settings(["slips"], seconds=0.0)
    recording, left_out = gate.compared((builds[0], builds[1]), settings, "", 0.0)
    assert (list(left_out.new), list(left_out.broken)) == ([], ["slips.time_a"])
    assert list(recording) == ["slips.time_c"]  # what asv leaves out is left out


def test_benchmarks_that_head_has_no_more(tmp_path):
    configuration = '[tool.fusem.gate]\nbenchmarks = ["some"]\n'
    builds = []
    for commit, text in (
        ("base", "def time_a(): ...\ndef time_b(): ...\ndef track_c(): ...\n"),
        ("head", "def time_a(): ...\n"),
    ):
        folder = tmp_path / commit
        folder.mkdir()
        (folder / "pyproject.toml").write_text(configuration, encoding="utf-8")
        (folder / "some.py").write_text(text, encoding="utf-8")
        builds.append(Build(commit, folder, folder, commit, tmp_path / "head"))
    base, head = builds
    assert gate.no_longer_there((base, head), ["some"], "") == ["some.time_b", "some.track_c"]
    assert gate.no_longer_there((base, head), ["some"], "time") == ["some.time_b"]
    (tmp_path / "base" / "pyproject.toml").unlink()
    assert gate.no_longer_there((base, head), ["some"], "") == []


def test_each_build_has_benchmarks_of_its_own(monkeypatch, tmp_path):
    """A function that a benchmark compiles, and keeps beside itself, is not that of the other build."""
    monkeypatch.setattr(gate, "build", lambda *given: given)
    base, head = gate.both_built(tmp_path, ("a", "b"), tmp_path / "there")
    assert base == (tmp_path, "a", tmp_path / "there" / "base", "b")
    assert head == (tmp_path, "b", tmp_path / "there" / "head", "b")


def test_set_up_as_asv_does(tmp_path, monkeypatch):
    (tmp_path / "sets_up.py").write_text(
        "done = []\ndef setup():\n    done.append(1)\nclass Some:\n    def setup(self):\n"
        "        done.append(2)\n    def time_it(self): ...\n    time_it.setup = lambda: done.append(3)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    Timer(["sets_up"]).prepare("sets_up.Some.time_it")
    assert sys.modules["sets_up"].done == [1, 2, 3]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('benchmarks = "a"', "with the list `benchmarks`"),
        ('benchmarks = ["a"]\nlimit = "0.1"', "limit is '0.1', which is no number"),
        ('benchmarks = ["a"]\nlimit = -0.5', "limit is -0.5; it must be finite and above 0"),
        ('benchmarks = ["a"]\nlimit = nan', "limit is nan; it must be"),
        ('benchmarks = ["a"]\nenvironment = "A=1"', "environment is 'A=1', not a table"),
        ('benchmarks = ["a"]\nenvironment = { A = 1 }', "not a table of variables"),
        ('benchmarks = ["a"]\nenvironment = { "A=B" = "1" }', "not a table of variables"),
        ('benchmarks = ["a"]\nenvironment = { "" = "1" }', "not a table of variables"),
        ('benchmarks = ["a"]\nenvironment = { A = "\\u0000" }', "not a table of variables"),
        ('benchmarks = "a', r"pyproject\.toml cannot be read: .*line 2"),
    ],
)
def test_settings_of_another_type_are_named(line, said, tmp_path):
    (tmp_path / "pyproject.toml").write_text(f"[tool.fusem.gate]\n{line}\n", encoding="utf-8")
    with pytest.raises(gate.Failed, match=said):
        gate.settings_of(tmp_path)


def test_a_table_that_is_none_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool]\nfusem = 3\n", encoding="utf-8")
    with pytest.raises(gate.Failed, match=r"no table \[tool.fusem.gate\]"):
        gate.settings_of(tmp_path)


def test_benchmarks_read_the_variables_of_the_settings(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.fusem.gate]\nbenchmarks = ["variables"]\nenvironment = { CHOSEN = "7" }\n', "utf-8"
    )
    (tmp_path / "variables.py").write_text(
        "import os\ndef track_it():\n    return float(os.environ['CHOSEN'])\n", "utf-8"
    )
    settings = gate.settings_of(tmp_path)
    build = Build("base", tmp_path, tmp_path, "1", tmp_path, settings.environment)
    found = tracked((build, build), settings.benchmarks, "", 0.1)
    assert [signal.base for signal in found.signals] == [7.0]


def test_the_command_can_be_typed_again(tmp_path):
    builds = [Build(name, tmp_path, tmp_path, f"{name}123", tmp_path) for name in ("a", "b")]
    given = SimpleNamespace(only="", seconds=None)
    assert gate.command("some.gate", given, builds) == "python -m some.gate a123 b123"
    given = SimpleNamespace(only="Fit(full, 4)", seconds=15.0)
    told = "python -m g a123 b123 --only 'Fit(full, 4)' --seconds 15"
    assert gate.command("g", given, builds) == told


def test_a_module_without_benchmarks_is_refused(suite):
    with pytest.raises(ValueError, match="no_suite has no benchmark"):
        benchmarks_in(["no_suite"])


def test_a_package_from_elsewhere_is_noticed(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy-1.dist-info").mkdir()
    (found,) = foreign_modules(str(tmp_path))
    assert found.startswith("numpy from ")
    # another distribution's modules of a package with parts of both
    for part in ("scipy", "scipy/own"):
        (tmp_path / part).mkdir()
    (tmp_path / "numpy").rmdir()
    assert "scipy.special" in sys.modules
    (found,) = foreign_modules(str(tmp_path))
    assert found.startswith("scipy from ")


def test_a_late_comparison_is_a_short_one(monkeypatch):
    """Two generations are measured however late it is, and no more."""
    shares = []

    def generation(builds, modules, names, seconds, say):
        shares.append(seconds)
        return {name: np.ones((6, 3)) for name in names}

    monkeypatch.setattr(gate, "names_of", lambda *_: ["a"])
    monkeypatch.setattr(gate, "answers", lambda *_: ({"a": 1.0}, {}))
    monkeypatch.setattr(gate, "generation", generation)
    build = Build("c", Path(), Path(), "c", Path())
    settings = gate.Settings(["m"], seconds=8.0)
    gate.compared((build, build), settings, "", time.monotonic() - 1.0)
    assert shares == [0.0, 0.0]
    shares.clear()
    gate.compared((build, build), settings, "", time.monotonic() + 1e6)
    assert shares == [2.0] * 4


def test_a_commit_of_a_shallow_repository_that_no_branch_knows(tmp_path):
    first = Repository(tmp_path / "first")
    for number in range(3):
        first.commit(f"v{number}", package__module=f"N = {number}\n")
    shallow = tmp_path / "shallow"
    first.git("clone", "--quiet", "--depth", "1", f"file://{first.folder}", str(shallow))
    (shallow / "package/module.py").write_text("N = 7\n", encoding="utf-8")
    stash = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org", "stash", "create"]
    commit = subprocess.run(
        stash, cwd=shallow, check=True, capture_output=True, text=True
    ).stdout.strip()
    checked_out(shallow, commit, tmp_path / "out")
    assert (tmp_path / "out/package/module.py").read_text(encoding="utf-8") == "N = 7\n"
    described = ["git", "describe", "--tags", "HEAD~1"]
    told = subprocess.run(
        described, cwd=tmp_path / "out", check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "v2"


# ---- the whole command ----


PROJECT = """
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"
    [project]
    name = "toy-fits"
    version = "1"
    [tool.hatch.build.targets.wheel]
    packages = ["toy_fits"]
    [tool.fusem.gate]
    benchmarks = ["toy_benchmarks"]
"""
WORK = """
    def work():
        total = 0
        for i in range({steps}):
            total += i
        return total
"""


class Repository:
    """A small project under git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.git("init", "--quiet")
        self.write("pyproject.toml", PROJECT)
        self.write("toy_benchmarks.py", "import toy_fits\ndef time_work():\n    toy_fits.work()\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        subprocess.run(["git", *identity, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, name: str, **files: str) -> None:
        for path, text in files.items():
            self.write(path.replace("__", "/") + ".py", text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", name)
        self.git("tag", name)

    def gate(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fusem.testing.gate", *words, "--seconds", "1"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("toy"))
    repository.write("toy_fits/__init__.py", WORK.format(steps=20_000))
    repository.commit("plain")
    repository.commit("same", README="again\n")
    repository.write("toy_fits/__init__.py", WORK.format(steps=60_000))
    repository.commit("slow")
    repository.write(
        "toy_benchmarks.py",
        "import toy_fits\ndef time_work():\n    toy_fits.work()\n\n"
        "def time_more():\n    toy_fits.more()\n",
    )
    repository.write("toy_fits/__init__.py", WORK.format(steps=20_000) + "    def more(): ...\n")
    repository.commit("more")
    repository.write(
        "toy_benchmarks.py", "import toy_fits\ndef track_work():\n    return toy_fits.work()\n"
    )
    repository.write("toy_fits/__init__.py", WORK.format(steps=20_000))
    repository.commit("exact")
    repository.write("toy_fits/__init__.py", WORK.format(steps=30_000))
    repository.commit("worse")
    repository.write("pyproject.toml", PROJECT.replace("benchmarks =", "benchmark ="))
    repository.commit("wrong")
    return repository


@pytest.mark.slow
def test_a_planted_slowdown_fails_the_command(toy, tmp_path):
    output, changes = tmp_path / "comment.md", tmp_path / "performance.md"
    done = toy.gate("plain", "slow", "--output", str(output), "--changelog", str(changes))
    assert done.returncode == 1, done.stderr
    assert "**slower**" in done.stdout
    assert output.read_text("utf-8") in done.stdout
    assert "toy_benchmarks.time_work` takes" in changes.read_text("utf-8")


@pytest.mark.slow
def test_an_exact_number_that_is_worse_fails_the_command(toy):
    done = toy.gate("exact", "worse")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "| `toy_benchmarks.track_work` | 1.9999e+08 | 4.49985e+08 | **worse** |" in done.stdout


@pytest.mark.slow
def test_an_unchanged_tree_passes_the_command(toy):
    done = toy.gate("plain", "same")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| `toy_benchmarks.time_work` |" in done.stdout


@pytest.mark.slow
def test_what_only_one_commit_has_is_left_out(toy, tmp_path):
    done = toy.gate("plain", "more", "--record", str(tmp_path / "taken.npz"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "- `toy_benchmarks.time_more`: AttributeError" in done.stdout
    with np.load(tmp_path / "taken.npz") as file:
        assert all(rounds.shape[1] == 3 for rounds in file.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plain", "nowhere"), "nowhere"),
        (("plain", "wrong"), "[tool.fusem.gate]"),
        (("plain", "same", "--only", "no such"), "No benchmark runs in both"),
    ],
)
def test_what_cannot_be_compared_is_an_error_of_its_own(toy, words, said):
    done = toy.gate(*words)
    assert done.returncode == 2
    assert said in done.stderr


def test_settings_are_checked(tmp_path):
    with pytest.raises(gate.Failed, match=r"\[tool.fusem.gate\]"):
        gate.settings_of(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.fusem.gate]\nbenchmarks = ["a"]\nsecond = 3\n', encoding="utf-8"
    )
    with pytest.raises(gate.Failed, match="second; known are benchmarks, seconds, total, limit"):
        gate.settings_of(tmp_path)
    assert verdict.LIMIT == 0.10
