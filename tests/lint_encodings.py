"""Text files are read and written as UTF-8 and say so: the encoding left out is that of the machine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

# Positional arguments of a call that names the encoding by its place.
PLACES = {"read_text": 1, "write_text": 2}
TEXT_ONLY = {"mode", "buffering", "errors", "newline"}
MODE = re.compile(r"[rwxabt+]+")


def without_encoding(folder: Path) -> list[str]:
    """Return a line for each text file below `folder` that is opened without ``encoding=``."""
    return [
        f'{path.relative_to(folder)}:{node.lineno}: say encoding="utf-8"'
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_text(node) and not names_encoding(node)
    ]


def opens_text(call: ast.Call) -> bool:
    """Tell a call that opens a file as text."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in PLACES:
        return len(call.args) < PLACES[name]
    if name != "open":
        return False
    modes = [mode for value in arguments(call) if (mode := text(value)) and MODE.fullmatch(mode)]
    if isinstance(call.func, ast.Name):  # open(path, mode)
        return not any("b" in mode for mode in modes)
    bare = not call.args and {keyword.arg for keyword in call.keywords} <= TEXT_ONLY
    if bare or (call.args and text(call.args[0]) in modes):  # path.open(mode)
        return not any("b" in mode for mode in modes)
    return any("t" in mode for mode in modes)  # gzip.open(path, mode) and the like: else binary


def arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]


def text(value: ast.expr) -> str | None:
    found = value.value if isinstance(value, ast.Constant) else None
    return found if isinstance(found, str) else None


def names_encoding(call: ast.Call) -> bool:
    return any(keyword.arg in {"encoding", None} for keyword in call.keywords)
