"""Compiled code is made once: per process, per machine; and wherever a process comes from."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import fusem
from tests.cases import CASES
from tests.comparison import assert_same_model
from tests.models import stepped
from tests.processes import ROOT, finish, run, start

# Counts what numba compiles in this process; prints it and the fitted means.
COUNT = """
import json, sys
from numba.core import event
recorder = event.RecordingListener()
event.register("numba:compile", recorder)
import fusem
at_import = len(recorder.buffer)
import numpy as np
from tests.cases import CASES
from tests.models import stepped
case = CASES[{index}]
X = case.data(3000, dtype=np.dtype("{dtype}"))
model = stepped(case, X)
model.score(X), model.predict(X), model.predict_proba(X), model.statistics(X)
first = len(recorder.buffer)
more = stepped(case, X[:, ::-1].copy()[:1234], steps=1)
more.predict(X)
print(json.dumps(dict(
    at_import=at_import, first=first, second=len(recorder.buffer) - first,
    means=model.means_.tolist(), file=fusem.__file__,
)))
"""


def counts(index: int, dtype: str = "float64", **environment: str) -> dict:
    return json.loads(run(COUNT.format(index=index, dtype=dtype), **environment))


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda i: CASES[i].covariance_type)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_second_process_compiles_nothing(index, dtype):
    """The first may find the usual cache full already; the second must."""
    first = counts(index, dtype)
    second = counts(index, dtype)
    assert first["at_import"] == second["at_import"] == 0
    assert first["second"] == 0, "a second fit in the same process compiled something"
    assert second["first"] == second["second"] == 0
    assert second["means"] == first["means"]


@pytest.mark.slow
def test_empty_cache_directory_is_filled(tmp_path):
    """Without it `second == 0` above could mean that nothing is counted."""
    cache = {"FUSEM_CACHE_DIR": str(tmp_path / "cache")}
    first = counts(3, **cache)
    assert first["first"] > 0
    assert any((tmp_path / "cache").rglob("*.nbi"))
    assert counts(3, **cache)["first"] == 0


@pytest.mark.slow
def test_concurrent_processes_share_an_empty_cache(tmp_path):
    cache = {"FUSEM_CACHE_DIR": str(tmp_path / "cache")}
    code = COUNT.format(index=3, dtype="float64")
    results = [json.loads(finish(process)) for process in [start(code, **cache) for _ in range(3)]]
    expected = stepped(CASES[3], CASES[3].data(3000)).means_.tolist()
    assert [result["means"] for result in results] == [expected] * 3
    after = counts(3, **cache)
    assert after["means"] == expected
    assert after["first"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("edited", ["kernels/posterior.py", "families/gaussian_spherical.py"])
def test_edit_of_any_kernel_file_is_seen(tmp_path, edited):
    """Compiled code of one file calls that of others: an edit anywhere must not find old code."""
    package = tmp_path / "fusem"
    shutil.copytree(Path(fusem.__file__).parent, package, ignore=shutil.ignore_patterns("*.pyc"))
    environment = {
        "FUSEM_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
    }
    first = counts(3, **environment)
    assert first["file"] == str(package / "__init__.py"), "the copy must be what is run"
    with (package / edited).open("a") as file:
        file.write("\nEDITED = 1\n")
    assert counts(3, **environment)["first"] == first["first"] > 0
    assert counts(3, **environment)["first"] == 0


def test_cache_that_cannot_be_written_is_said_once(tmp_path):
    """A read-only home is not an error: it compiles, and says what would help."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder should be")
    code = """
import warnings
warnings.simplefilter("always")
import numpy as np
from numba import njit
import fusem
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = fusem.GaussianMixture(1, covariance_type="spherical").fit(np.arange(40.0))
texts = [str(w.message) for w in caught if "FUSEM_CACHE_DIR" in str(w.message)]
print(len(texts), float(model.means_[0, 0]))
"""
    number, mean = run(code, FUSEM_CACHE_DIR=str(blocked)).split()
    assert int(number) >= 1
    assert float(mean) == 19.5


def test_threads():
    """Several threads fit and predict at once, each a model of its own."""
    results = {}

    def work(thread: int) -> None:
        case = CASES[thread % len(CASES)]
        X = case.data(3000)
        results[thread] = [stepped(case, X, n_jobs=2) for _ in range(3)]

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
    script.write_text(CHILDREN.replace("{method}", method))
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
