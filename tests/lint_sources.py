"""Lints on the text of the sources: one policy for numba, kernels that never raise, small files."""

from __future__ import annotations

import ast
from pathlib import Path

POLICY = Path("kernels", "policy.py")
# What decides how code is compiled. Other files ask the policy for a kernel or a helper.
POLICY_WORDS = {"fastmath", "parallel", "cache", "njit", "jit", "vectorize", "guvectorize"}
LINES = 400
REASON = "Longer than 400 lines because"


def policy_elsewhere(package: Path) -> list[str]:
    """Return a line for each compile option or decorator spelled outside the policy file."""
    problems = []
    for path, tree in trees(package):
        if path == POLICY:
            continue
        for node in ast.walk(tree):
            if word := policy_word(node):
                line = getattr(node, "lineno", 0) or node.value.lineno  # a keyword has no line
                problems.append(f"{path}:{line}: {word} is spelled only in {POLICY}")
    return problems


def policy_word(node: ast.AST) -> str | None:
    """Return the word of the numba policy that `node` spells, if it does."""
    if isinstance(node, ast.keyword) and node.arg in {"fastmath", "parallel", "cache"}:
        return f"{node.arg}="
    if isinstance(node, ast.Attribute) and node.attr in POLICY_WORDS - {"cache"}:
        owner = node.value
        return f"numba.{node.attr}" if getattr(owner, "id", "") in {"numba", "nb"} else None
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
        named = POLICY_WORDS & {alias.name for alias in node.names}
        return f"from numba import {', '.join(sorted(named))}" if named else None
    return None


def raising_kernels(package: Path) -> list[str]:
    """Return a line for each ``raise`` or ``assert`` in a kernel file: only the facade refuses."""
    return [
        f"{path}:{node.lineno}: kernels assume, the facade checks"
        for path, tree in trees(package)
        if path.parts[0] == "kernels" and path != POLICY
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise | ast.Assert)
    ]


def long_files(package: Path) -> list[str]:
    """Return a line for each file over 400 lines whose first docstring gives no reason."""
    problems = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        reason = REASON in (ast.get_docstring(ast.parse(text)) or "")
        if len(text.splitlines()) > LINES and not reason:
            problems.append(f"{path.relative_to(package)}: split it, or say '{REASON} ...' on top")
    return problems


def trees(package: Path) -> list[tuple[Path, ast.Module]]:
    return [
        (path.relative_to(package), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(package.rglob("*.py"))
    ]
