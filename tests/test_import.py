"""``import fusem`` is quick, lazy and compiles nothing; its names are one list."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fusem

HEAVY = {"click", "llvmlite", "matplotlib", "numba", "numpy", "pandas", "polars", "pyarrow", "rich"}
HEAVY |= {"scipy", "sklearn"}
BUDGET = 0.3  # seconds of import time that a user may be charged before touching a model


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def loaded_after(statement: str) -> set[str]:
    """Return the top-level packages that a new interpreter holds after `statement`."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps([n.split('.')[0] for n in sys.modules]))"
    )
    return set(json.loads(python(code).stdout))


def import_seconds(report: str, module: str) -> float:
    """Read a module's cumulative time out of what ``-X importtime`` reports."""
    for line in report.splitlines():
        *_, cumulative, name = line.removeprefix("import time:").split("|")
        if name.strip() == module:
            return int(cumulative) / 1e6
    raise ValueError(f"{module} was not imported")


def test_import_loads_nothing_heavy():
    assert not loaded_after("import fusem") & HEAVY
    assert not loaded_after("import fusem; dir(fusem)") & HEAVY


def test_a_heavy_import_is_seen():
    assert "numpy" in loaded_after("import fusem; fusem.rows") & HEAVY


def test_import_time_is_within_budget():
    report = python("import fusem", "-X", "importtime").stderr
    assert import_seconds(report, "fusem") <= BUDGET


def test_import_time_is_read_from_the_report():
    report = "import time: self [us] | cumulative | imported package\n"
    report += "import time:       200 |     400000 | fusem\n"
    assert import_seconds(report, "fusem") == pytest.approx(0.4)
    with pytest.raises(ValueError, match="was not imported"):
        import_seconds(report, "numba")


EVERY_MODULE = """
import importlib, pkgutil, fusem
for module in pkgutil.walk_packages(fusem.__path__, "fusem."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
COMPILED = """
import gc
from numba.core.dispatcher import Dispatcher
mine = [d for d in gc.get_objects() if isinstance(d, Dispatcher)]
mine = [d for d in mine if d.py_func.__module__.split(".")[0] in ("fusem", "__main__")]
print(len(mine), sum(len(d.signatures) for d in mine))
"""


def dispatchers(code: str) -> tuple[int, int]:
    """Return how many compiled functions of fusem there are, and how many signatures they have."""
    found, signatures = map(int, python(EVERY_MODULE + code + COMPILED).stdout.split())
    return found, signatures


def test_importing_every_module_compiles_nothing():
    found, signatures = dispatchers("")
    assert found > 0, "no compiled function was found; the check looks in the wrong place"
    assert signatures == 0


def test_a_compiled_function_is_seen():
    _, signatures = dispatchers("import numba\n@numba.njit\ndef f(x): return x\nf(1.0)\n")
    assert signatures == 1


def test_names_of_interpreter_and_type_checker_agree():
    tree = ast.parse(Path(fusem.__file__).read_text(encoding="utf-8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If)]  # if TYPE_CHECKING
    seen = {
        alias.asname: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {
        name: (module, attribute) if attribute else tuple(module.rsplit(".", 1))
        for name, (module, attribute) in fusem._PUBLIC.items()
    }
    assert seen == lazy
    assert {*seen, "__version__"} == set(fusem.__all__)
    assert set(fusem.__all__) <= set(dir(fusem))


@pytest.mark.parametrize("name", fusem.__all__)
def test_every_name_is_there(name):
    assert getattr(fusem, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fusem' has no attribute 'Gaussian'"):
        fusem.Gaussian  # noqa: B018
