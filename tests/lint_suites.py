"""What benchmarks import, asv's environments have; to find the benchmarks, what fusem requires is enough."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

OWN = {"asv_benchmarks", "fusem", "tests"}
IMPORTED_AS = {"scikit-learn": "sklearn"}


def missing_packages(suites: Path, required: set[str], installed: set[str]) -> list[str]:
    """Return a line for each import in `suites` that fails in an environment made by asv.

    Parameters
    ----------
    suites : Path
        The folder with the benchmarks.
    required, installed : set of str
        Packages that come with fusem, and those that asv's configuration adds. The first alone may be
        imported when a module is read: asv reads all of them to find the benchmarks.
    """
    problems = []
    for path in sorted(suites.rglob("*.py")):
        for node, at_top in imports(ast.parse(path.read_text(encoding="utf-8"))):
            for package in packages(node) - OWN - required - sys.stdlib_module_names:
                where = f"{path.relative_to(suites)}:{node.lineno}: {package}"
                if at_top:
                    problems.append(f"{where} is imported inside the function that needs it")
                elif package not in installed:
                    problems.append(f'{where} is not in "matrix" of asv.conf.json')
    return problems


def imports(
    node: ast.AST, at_top: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield each import statement, and whether reading the module runs it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_top
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, at_top and not function)


def packages(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


def required_packages(project: str) -> set[str]:
    """Return what a pyproject.toml requires, as it is imported."""
    lines = tomllib.loads(project)["project"]["dependencies"]
    names = [re.match(r"[\w-]+", line)[0] for line in lines]
    return {IMPORTED_AS.get(name, name) for name in names}


def installed_packages(configuration: str) -> set[str]:
    """Return what asv installs beside fusem, by an asv.conf.json."""
    lines = [line for line in configuration.splitlines() if not line.lstrip().startswith("//")]
    return set(json.loads("\n".join(lines)).get("matrix", {}).get("req", {}))
