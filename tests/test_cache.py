"""Compiled code is made once: per process, per machine; and wherever a process comes from."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import fusem
from fusem.families.registry import FAMILIES
from fusem.kernels import policy
from tests.cases import CASES, DTYPES
from tests.comparison import assert_same_model
from tests.models import model_at, stepped
from tests.processes import ROOT, finish, run, start

# Counts what numba compiles in this process; prints that and the fitted means.
COUNT = """
import json
from numba.core import event
recorder = event.RecordingListener()
event.register("numba:compile", recorder)
import fusem
at_import = len(recorder.buffer)
import numpy as np
from tests.cases import CASES
from tests.models import stepped

def use(X, steps):
    model = stepped(case, X, steps=steps)
    if not {light}:
        model.score(X), model.predict(X), model.predict_proba(X), model.statistics(X)
    return model.means_.tolist()

first, second, means = {{}}, {{}}, {{}}
for index in {indices}:
    for dtype in {dtypes}:
        case, name = CASES[index], str(index) + dtype
        X = case.data(3000, dtype=np.dtype(dtype))
        before = len(recorder.buffer)
        means[name] = use(X, 3)
        between = len(recorder.buffer)
        use(X[:1234, ::-1], 1)
        first[name], second[name] = between - before, len(recorder.buffer) - between
print(json.dumps(dict(
    at_import=at_import, first=first, second=second, means=means, file=fusem.__file__,
)))
"""
# Best paths of models with so many states.
DECODE = """
import numpy as np
import fusem
for K in {states}:
    rng = np.random.default_rng(K)
    model = fusem.CategoricalHMM(K)
    model.startprob_, model.transmat_ = np.full(K, 1.0 / K), rng.dirichlet(np.ones(K), K)
    model.emissionprob_ = rng.dirichlet(np.ones(12), K)
    print(repr(model.decode(rng.integers(12, size=(5000, 1)))[0]))
"""
# The same of a kernel that compiles fast, beside others' helpers.
LOOK = """
import json
from numba.core import event
recorder = event.RecordingListener()
event.register("numba:compile", recorder)
import fusem
import numpy as np
from fusem.em.values import what_is_in
found = [what_is_in(np.array([[1.0, value]])) for value in (2.0, np.nan, np.inf)]
print(json.dumps(dict(compiled=len(recorder.buffer), found=found, file=fusem.__file__)))
"""
ALL = {"indices": list(range(len(CASES))), "dtypes": ["float64", "float32"], "light": False}
ONE = {"indices": [3], "dtypes": ["float64"], "light": True}  # what compiles fastest


def counts(what: dict, **environment: str) -> dict:
    return json.loads(run(COUNT.format(**what), **environment))


def look(**environment: str) -> dict:
    return json.loads(run(LOOK, **environment))


def test_second_process_compiles_nothing():
    """The first may find the usual cache full already; the second must."""
    one, other = counts(ALL), counts(ALL)
    assert one["at_import"] == other["at_import"] == 0
    assert set(one["second"].values()) == {0}, "a second fit in a process compiled something"
    assert set(other["first"].values()) == {0}, "a second process compiled something"
    assert len(other["first"]) == 2 * len(CASES)
    assert other["means"] == one["means"]


@pytest.mark.slow
def test_concurrent_processes_share_an_empty_cache(tmp_path):
    cache = {"FUSEM_CACHE_DIR": str(tmp_path / "cache")}
    processes = [start(COUNT.format(**ONE), **cache) for _ in range(2)]
    results = [json.loads(finish(process)) for process in processes]
    # Something was compiled and kept: without it, zeros elsewhere could mean a broken count.
    assert max(result["first"]["3float64"] for result in results) > 0
    assert any((tmp_path / "cache").rglob("*.nbi"))
    expected = stepped(CASES[3], CASES[3].data(3000)).means_.tolist()
    assert [result["means"]["3float64"] for result in results] == [expected] * 2
    after = counts(ONE, **cache)
    assert after["means"]["3float64"] == expected
    assert after["first"]["3float64"] == 0


@pytest.mark.slow
def test_code_of_another_process_is_not_taken_for_ones_own(tmp_path):
    """Helpers that stand in a kernel once have the same name and number in kernels made by two processes."""

    def decode(*states):
        return run(DECODE.format(states=states), FUSEM_CACHE_DIR=str(tmp_path)).split()

    decode(2)  # what both use, so that each compiles its own kernel alone
    each = [*decode(7), *decode(12)]
    assert decode(7, 12) == each


@pytest.mark.slow
def test_edit_of_any_kernel_file_is_seen(tmp_path):
    """Compiled code of one file calls that of others: an edit anywhere must not find old code."""
    package = tmp_path / "fusem"
    shutil.copytree(Path(fusem.__file__).parent, package, ignore=shutil.ignore_patterns("*.pyc"))
    environment = {
        "FUSEM_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    first = look(**environment)
    assert first["file"] == str(package / "__init__.py"), "the copy must be what is run"
    assert first["compiled"] > 0
    for edited in ("kernels/posterior.py", "families/gaussian_spherical.py"):
        with (package / edited).open("a", encoding="utf-8") as file:
            file.write("\nEDITED = 1\n")
        assert look(**environment) == first
    assert look(**environment) == first | {"compiled": 0}


FIT_AND_PREDICT = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = fusem.GaussianMixture(1, covariance_type="spherical").fit(np.arange(40.0))
    model.predict(np.arange(4.0))
"""


def test_cache_that_cannot_be_written_is_said_once(tmp_path):
    """A read-only home is not an error: it compiles, and says what would help."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder should be", encoding="utf-8")
    code = f"""
import logging, sys, warnings
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import numpy as np
import fusem
from fusem.kernels import policy
policy.PATIENCE = 0.01
{FIT_AND_PREDICT}print(*(w.filename for w in caught if "FUSEM_CACHE_DIR" in str(w.message)))
print(float(model.means_[0, 0]))
"""
    said, *kernels, where, mean = run(code, FUSEM_CACHE_DIR=str(blocked)).splitlines()
    assert said.endswith("once for each kind of model, method and data in every process.")
    assert kernels[-1].endswith(": gaussian_spherical_evaluate_float64")
    assert where == "<string>", "one warning, about the user's line"
    assert float(mean) == 19.5


def test_every_long_compilation_is_said(monkeypatch, caplog):
    """The first time also what it is for."""

    def compile_slowly(_signature):
        time.sleep(0.2)

    monkeypatch.setattr(policy, "_explained", threading.Event())
    policy._announced(compile_slowly, "quick")(None)
    assert caplog.text == "", "it did not take long"
    monkeypatch.setattr(policy, "PATIENCE", 0.01)
    policy._announced(compile_slowly, "one")(None)
    policy._announced(compile_slowly, "two")(None)
    first, second = (record.message for record in caplog.records)
    assert "once for each kind of model, method and data: they are kept in" in first
    assert second == "fusem compiles its kernels for this processor: two"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("before", [True, False], ids=["collected", "not collected"])
def test_garbage_is_left_while_anything_compiles(before):
    """Afterwards it is as it was before, also where compiling fails, and in a child process."""
    seen = []

    def compile_badly(signature):
        seen.append(gc.isenabled())
        if hasattr(os, "fork"):
            child = os.fork()
            if child == 0:
                os._exit(3 if gc.isenabled() else 4)
            seen.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3)
        raise ValueError(signature)

    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match="float64"):
            policy._announced(compile_badly, "bad")("float64")
        assert seen[0] is False
        assert seen[1:] in ([], [before])
        assert gc.isenabled() == before
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_threads():
    """Several threads fit at once, each a model of its own."""
    results = {}

    def work(thread: int) -> None:
        case = CASES[thread % len(CASES)]
        X = case.data(3000)
        options = {"max_iter": 3, "tol": 0.0, "n_jobs": 2}
        results[thread] = [model_at(case, case.start(), **options).fit(X) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for number, models in results.items():
        case = CASES[number % len(CASES)]
        expected = stepped(case, case.data(3000), n_jobs=1)
        for model in models:
            assert_same_model(model, expected)


def test_one_model_predicts_in_many_threads():
    case = CASES[0]
    X = case.data(9000)
    model = stepped(case, X)
    expected = model.predict_proba(X)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(model.predict_proba(X))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(np.array_equal(result, expected) for result in results)


CHILDREN = """
import multiprocessing, sys, warnings
import numpy as np
from tests.cases import CASES
from tests.models import stepped

def work(queue):
    case = CASES[0]
    queue.put(stepped(case, case.data(3000), n_jobs=2).means_.tolist())

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python warns of any fork with threads; ours must survive it
    expected = stepped(CASES[0], CASES[0].data(3000), n_jobs=2).means_.tolist()
    context = multiprocessing.get_context("{method}")
    queue = context.Queue()
    children = [context.Process(target=work, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=120) for _ in children] == [expected] * 2
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    print("equal")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes(method, tmp_path):
    """A child of a process whose threads have worked already fits as well as its parent."""
    script = tmp_path / "children.py"
    script.write_text(CHILDREN.replace("{method}", method), encoding="utf-8")
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if method != "fork":  # spawned children import the main script, which -c does not have
        code = (
            f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, {str(script)!r}]))"
        )
    assert run(code).strip() == "equal"


def test_cross_validation_in_processes():
    from sklearn.model_selection import cross_val_score

    case = CASES[0]
    model = fusem.GaussianMixture(2, random_state=0)
    X = case.data(900)
    scores = cross_val_score(model, X, cv=2, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(model, X, cv=2, n_jobs=1))


def refuse(signature):
    raise AssertionError(f"asked to compile {signature}")


def fit_every_family():
    for case in CASES:
        for dtype in DTYPES:
            model = stepped(case, case.data(500, dtype=dtype), 1)
            model.predict(case.data(500, dtype=dtype))


def test_families_share_a_process(monkeypatch):
    """numba takes records of one name and one set of fields for one type: calls would compile for ever."""
    fit_every_family()
    asked = []
    for case in CASES:
        kernels = FAMILIES[case.family].kernels
        for kernel in (kernels.sweep, kernels.evaluate):
            for dtype in DTYPES:
                monkeypatch.setattr(kernel[dtype], "compile", asked.append)
    fit_every_family()
    assert asked == []


def test_operands_have_names_of_their_own():
    names = [type(of_family(case)).__name__ for case in CASES]
    assert len(set(names)) == len(CASES)


def of_family(case):
    start, family = case.start(), FAMILIES[case.family]
    return family.operands(family.from_covariances(start.means, start.covariances), float)


def test_records_alike_are_seen(monkeypatch):
    alike = namedtuple("SphericalOperands", "high shift scale constant gain")
    kernel = FAMILIES["gaussian_diag"].kernels.evaluate[np.float64]
    fit_every_family()
    monkeypatch.setattr(kernel, "compile", refuse)
    monkeypatch.setattr(FAMILIES["gaussian_diag"], "DiagOperands", alike)
    with pytest.raises(AssertionError, match="asked to compile"):
        fit_every_family()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no size of files")
def test_a_full_disk_costs_the_cache_alone(tmp_path):
    code = f"""
import resource, warnings
import numpy as np
import fusem
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
{FIT_AND_PREDICT}print(*(w.filename for w in caught if "File too large" in str(w.message)))
print(float(model.means_[0, 0]))
"""
    where, mean = run(code, FUSEM_CACHE_DIR=str(tmp_path)).splitlines()
    assert where == "<string>", "one warning, about the user's line"
    assert float(mean) == 19.5


@pytest.mark.slow
def test_damaged_entries_are_made_anew(tmp_path):
    cache = {"FUSEM_CACHE_DIR": str(tmp_path)}
    first = look(**cache)
    assert look(**cache) == first | {"compiled": 0}
    for damage in (b"", b"no pickle"):
        entries = list(tmp_path.rglob("*.nb[ic]"))
        assert entries
        for path in entries:
            path.write_bytes(damage)
        assert look(**cache) == first
        assert all(path.stat().st_size > 100 for path in entries)
