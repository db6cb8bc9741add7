"""Tests that cannot fail: no assertion, or one that is true whatever the code does."""

from __future__ import annotations

import ast
from pathlib import Path

# A call to one of these is an assertion; `check` is what scikit-learn hands to a test of its own.
ASSERTING_NAMES = {"check", "fail", "raises", "warns"}
ASSERTING_STARTS = ("assert_", "check_")


def toothless_tests(path: Path) -> list[str]:
    """Return a line for each test function in the file `path` that cannot fail."""
    problems = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            asserts = [n for n in ast.walk(node) if isinstance(n, ast.Assert)]
            problems += [
                f"{path.name}:{n.lineno} {node.name}: always true"
                for n in asserts
                if always_true(n)
            ]
            if not asserts and not any(asserting_call(n) for n in ast.walk(node)):
                problems.append(f"{path.name}:{node.lineno} {node.name}: asserts nothing")
    return problems


def always_true(node: ast.Assert) -> bool:
    """See ``assert True``, ``assert (x, "text")`` and ``assert x == x``."""
    condition = node.test
    if isinstance(condition, ast.Constant):
        return bool(condition.value)
    if isinstance(condition, ast.Tuple):
        return bool(condition.elts)
    if isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        reflexive = isinstance(condition.ops[0], ast.Eq | ast.Is | ast.LtE | ast.GtE)
        return reflexive and ast.dump(condition.left) == ast.dump(condition.comparators[0])
    return False


def asserting_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ASSERTING_NAMES or name.startswith(ASSERTING_STARTS)
