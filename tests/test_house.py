"""The house rules hold, and each rule is seen to fail on a bad case."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import fusem
from fusem.testing.changelog import performance_entries, with_entries
from tests.lint_encodings import without_encoding
from tests.lint_imports import wrong_imports
from tests.lint_public import undocumented
from tests.lint_readme import blocks, setup_commands, typed_measurements
from tests.lint_release import wrong_changelog, wrong_tag
from tests.lint_sources import long_files, policy_elsewhere, raising_kernels
from tests.lint_suites import installed_packages, missing_packages, required_packages
from tests.lint_tests import toothless_tests
from tests.oldest import pins

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fusem"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def house(tmp_path):
    """Return a function that writes a source file into an empty package, and returns that."""

    def write(path: str, text: str) -> Path:
        package = tmp_path / "fusem"
        target = package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return package

    return write


@pytest.mark.parametrize(
    "lint", [wrong_imports, policy_elsewhere, raising_kernels, long_files], ids=lambda f: f.__name__
)
def test_sources_keep_the_rule(lint):
    assert (PACKAGE / "kernels" / "policy.py").exists(), "the lint would read nothing"
    assert lint(PACKAGE) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("em/loop.py", "from fusem.families import registry"),
        ("em/loop.py", "from ..families import registry"),
        ("em/loop.py", "from fusem import mixture"),
        ("em/loop.py", "import fusem"),
        ("families/a.py", "import fusem.em.loop"),
        ("kernels/a.py", "def f():\n    from fusem.data import open"),
        ("data/open.py", "from fusem.persist import read_model"),
        ("data/open.py", "def f():\n    import numba"),
        ("data/open.py", "import pandas as pd"),
        ("mixture/gaussian.py", "from fusem.cli import main"),
        ("plot/density.py", "from fusem import GaussianMixture"),
        ("demo/scan.py", "from fusem import cli"),
        ("utils.py", "import os"),
    ],
)
def test_an_import_that_goes_up_is_seen(house, path, text):
    assert len(wrong_imports(house(path, text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("em/loop.py", "from fusem.data.blocks import segments\nimport numpy as np"),
        ("mixture/gaussian.py", "from fusem import em, families\nfrom fusem.mixture import base"),
        ("data/tables.py", "def f():\n    import pandas as pd"),
        ("demo/scan.py", "import fusem\nfrom fusem import plot, profile_loglik"),
        ("__init__.py", "from fusem.cli import main"),
    ],
)
def test_an_import_that_goes_down_is_fine(house, path, text):
    assert wrong_imports(house(path, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "f(fastmath=True)",
        "@helper(parallel=False)\ndef f(): ...",
        "g = compile(f, cache=True)",
        "import numba\n@numba.njit\ndef f(): ...",
        "import numba as nb\ng = nb.jit(f)",
        "from numba import njit",
    ],
)
def test_numba_policy_outside_its_file_is_seen(house, text):
    assert len(policy_elsewhere(house("families/a.py", text))) == 1
    assert policy_elsewhere(house("families/a.py", "from functools import cache")) == []
    assert policy_elsewhere(house("kernels/policy.py", text)) == []


@pytest.mark.parametrize("text", ["def f():\n    raise ValueError", "def f(x):\n    assert x"])
def test_a_kernel_that_raises_is_seen(house, text):
    assert raising_kernels(house("em/loop.py", text)) == []
    assert len(raising_kernels(house("kernels/a.py", text))) == 1


def test_a_long_file_is_seen(house):
    assert long_files(house("em/loop.py", '"""Short."""\n' + "x = 1\n" * 399)) == []
    assert len(long_files(house("em/loop.py", '"""Long."""\n' + "x = 1\n" * 400))) == 1
    reason = '"""Long.\n\nLonger than 400 lines because it is a table.\n"""\n'
    assert long_files(house("em/loop.py", reason + "x = 1\n" * 400)) == []


@pytest.mark.parametrize("folder", ["src", "tests", "asv_benchmarks"])
def test_text_files_are_opened_with_an_encoding(folder):
    assert list((ROOT / folder).rglob("*.py"))
    assert without_encoding(ROOT / folder) == []


@pytest.mark.parametrize(
    "call",
    [
        "open(path)",
        "open(path, 'w')",
        "path.open()",
        "path.open('w')",
        "path.open(mode='a', newline='')",
        "gzip.open(path, 'wt')",
        "path.read_text()",
        "path.write_text(text)",
        "path.write_text(text, newline='')",
    ],
)
def test_a_text_file_without_an_encoding_is_seen(house, call):
    assert len(without_encoding(house("data/files.py", call))) == 1
    named = f"{call[:-1]}, encoding='utf-8')".replace("(, ", "(")
    assert without_encoding(house("data/files.py", named)) == []


@pytest.mark.parametrize(
    "call",
    [
        "open(path, 'rb')",
        "path.open('wb')",
        "path.open(mode='rb')",
        "gzip.open(path, 'w')",
        "archive.open(member, 'w')",
        "tarfile.open(fileobj=stream)",
        "os.open(folder, flags)",
        "path.read_text('utf-8')",
        "path.write_text(text, 'utf-8')",
    ],
)
def test_what_opens_no_text_needs_no_encoding(house, call):
    assert without_encoding(house("data/files.py", call)) == []


def test_benchmarks_import_what_asv_installs():
    required = required_packages((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"numpy", "sklearn"} <= required
    suites = ROOT / "asv_benchmarks"
    installed = installed_packages((suites / "asv.conf.json").read_text(encoding="utf-8"))
    assert missing_packages(suites, required, installed) == []
    assert missing_packages(suites, required, set())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import pandas as pd", "inside the function"),
        ("from pyarrow import parquet", "inside the function"),
        ("try:\n    import pandas\nexcept ImportError: ...", "inside the function"),
        ("class Suite:\n    import pandas", "inside the function"),
        ("def setup():\n    import polars", "matrix"),
    ],
)
def test_a_benchmark_that_asv_could_not_run_is_seen(house, text, problem):
    installed = installed_packages('{\n  // ours\n  "matrix": {"req": {"pandas": [""]}}\n}')
    (found,) = missing_packages(house("suite.py", text), {"numpy"}, installed)
    assert problem in found
    fine = "import os\nimport numpy\nimport fusem\ndef setup():\n    import pandas"
    assert missing_packages(house("suite.py", fine), {"numpy"}, installed) == []


def test_public_names_are_documented():
    names = [name for name in fusem.__all__ if name != "__version__"]
    assert "GaussianMixture" in names
    assert undocumented((f"fusem.{name}", getattr(fusem, name)) for name in names) == []


def test_a_public_name_without_docstring_or_example_is_seen():
    def silent(): ...

    def told():
        """Tell, without an example."""

    def shown():
        """>>> 1 + 1"""

    class Method:
        """>>> Method()"""

        def silent(self): ...

    Method.silent.__module__ = "fusem.mixture"
    module = ModuleType("module", "Holds a function that says nothing.")
    module.__all__, module.silent = ["silent"], silent
    for bad in (silent, told, Method, module):
        assert len(undocumented([("name", bad)])) == 1
    assert undocumented([("name", shown)]) == []


def test_every_test_can_fail():
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert Path(__file__) in files
    assert [problem for path in files for problem in toothless_tests(path)] == []


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ("f()", 1),
        ("x == 1", 1),
        ("assert True", 1),
        ("assert (x == 1, 'text')", 1),
        ("assert x.a == x.a", 1),
        ("assert x == 1", 0),
        ("np.testing.assert_allclose(x, 1)", 0),
        ("with pytest.raises(ValueError): f()", 0),
    ],
)
def test_a_test_that_cannot_fail_is_seen(tmp_path, body, problems):
    path = tmp_path / "test_it.py"
    path.write_text(f"def test_it():\n    {body}\n", encoding="utf-8")
    assert len(toothless_tests(path)) == problems


def test_readme_has_two_setup_commands():
    commands = setup_commands(README)
    assert len(commands) == 2
    assert commands[0].endswith("fusem demo")
    assert commands[1].endswith("pytest")
    assert all(re.match(r"pip install '\.\[[a-z,]+\]' && ", command) for command in commands)


def test_setup_commands_are_read_from_their_section_only():
    text = (
        "## Use\n```sh\nno\n```\n## Set up\n```sh\none\n```\nor\n```sh\ntwo\nthree\n```\n## End\n"
    )
    assert setup_commands(text) == ["one", "two", "three"]
    with pytest.raises(ValueError, match="no section '## Set up'"):
        setup_commands("## Use\n")


def test_readme_states_no_typed_measurement():
    assert typed_measurements(README) == []


@pytest.mark.parametrize(
    "text", ["12 times faster", "3.5 ns", "2e6 rows/s", "20 million rows per second", "80 GFLOP/s"]
)
def test_a_typed_measurement_is_seen(text):
    assert typed_measurements(f"It is {text}.") == [text]
    assert typed_measurements("It fits 10 million rows, 2 components, in 4 lines.") == []


def test_readme_python_blocks_run(tmp_path):
    code = "\n".join(blocks(README, "python"))
    assert "GaussianMixture" in code
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_python_block_that_fails_is_seen(tmp_path):
    code = "\n".join(blocks("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "python"))
    assert run_python(code, tmp_path).returncode != 0


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_links_in_the_documents_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert ROOT / "README.md" in documents
    assert [link for path in documents for link in dead_links(path)] == []


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "[here](page.md#part), [there](nowhere.md), [away](https://example.org)", encoding="utf-8"
    )
    assert dead_links(page) == ["page.md: nowhere.md"]


def dead_links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    return [
        f"{page.name}: {target}"
        for target in targets
        if "://" not in target and not (page.parent / target).exists()
    ]


def runs_all(workflow):
    """Whether a workflow runs the tests that a plain run leaves out."""
    return re.search(r"^ +- run: pytest -n auto -m ''( #.*)?$", workflow, re.MULTILINE) is not None


def test_what_a_plain_run_leaves_out_is_run_for_every_change():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    assert "not thorough" in options["ini_options"]["addopts"]
    assert runs_all((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    for other in (
        "pytest -n auto",
        "pytest tests/test_house.py -m ''",
        "pytest -n auto -m '' tests",
    ):
        assert not runs_all(f"      - run: {other}\n")
    assert not runs_all("      # - run: pytest -n auto -m ''\n")


def test_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert fusem.__version__ == project["version"]


def test_the_oldest_versions_are_the_lower_bounds():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"numpy==2.0", "numba==0.61", "pyarrow==17", "pytest==8.2"} <= set(pins(project))


@pytest.mark.parametrize("requirement", ["numpy", "numpy>=2,<3", "numpy~=2.0"])
def test_a_requirement_without_a_lower_bound_alone_is_refused(requirement):
    extras = "cli = []\nparquet = []\nplot = ['own[cli]']\ntest = ['polars>=1.0']"
    text = (
        "[project]\nname = 'own'\ndependencies = ['{}']\n[project.optional-dependencies]\n" + extras
    )
    assert pins(text.format("numpy>=2.0")) == ["numpy==2.0", "polars==1.0"]
    with pytest.raises(ValueError, match="NAME>=VERSION"):
        pins(text.format(requirement))


@pytest.mark.parametrize("tag", ["v1.2", "1.2.3", "v1.2.30", "v1.2.3rc1", ""])
def test_a_tag_of_another_version_is_seen(tag):
    project = "[project]\nversion = '1.2.3'"
    assert wrong_tag("v1.2.3", project) is None
    assert "correct one, tag as v1.2.3" in wrong_tag(tag, project)


def test_a_release_without_measured_entries_is_seen(tmp_path):
    path, first = tmp_path / "CHANGELOG.md", "## [1.2.2]\n\n- Old.\n"
    path.write_text(f"# Changelog\n\n## [Unreleased]\n\n{first}", encoding="utf-8")
    measured = with_entries(path, performance_entries([], [], "the command"))
    released = measured.replace("[Unreleased]", "[1.2.3] - 2026-11-28")
    assert wrong_changelog("v1.2.3", released) is None
    assert "no heading '## [1.2.3]'" in wrong_changelog("v1.2.3", measured)
    assert "entries for 1.2.3" in wrong_changelog("v1.2.3", f"## [1.2.3]\n\n- New.\n\n{first}")
    assert wrong_changelog("v1.2.2", first) is None, "there is none to compare the first one with"
