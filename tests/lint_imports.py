"""Imports only go down the floors of the house (docs/design/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# Part -> the parts it may import. A part is a file or folder directly under src/fusem.
GROUND = {"exceptions", "data"}
ESTIMATORS = {"em", "families", "kernels", "persist", *GROUND}
MODELS = {"mixture", *ESTIMATORS}
FLOORS: dict[str, set[str]] = {
    "exceptions": set(),
    "data": {"exceptions"},
    "persist": {"exceptions"},
    "kernels": set(),
    "families": {"kernels", "exceptions"},
    "em": {"kernels", *GROUND},
    "mixture": ESTIMATORS,
    "hmm": MODELS,
    "model_file": {"hmm", *MODELS},
    "profile": MODELS,
    "impute": MODELS,
    "plot": {"profile", "hmm", *MODELS},
    "demo": {"profile", "plot", *MODELS},
    "testing": set(),
    "cli": {"demo", "hmm", "impute", "profile", "plot", *MODELS},
    "__main__": {"cli"},
}
# Packages that are not required. The roof is only reached by those who installed them; below it
# they are imported inside the function that needs them.
EXTRAS = {"click", "matplotlib", "pandas", "polars", "pyarrow", "rich"}
ROOF = {"cli", "demo", "plot"}
# These use fusem as a user does: `import fusem`, `from fusem import GaussianMixture`.
FRONT_DOOR = {"cli", "demo"}
# data/ reads rows; it neither compiles nor fits.
FOREIGN_TO_DATA = {"llvmlite", "numba", "scipy", "sklearn"}


def wrong_imports(package: Path) -> list[str]:
    """Return a line for each import in `package` (the folder ``fusem``) that goes up or aside."""
    problems = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        part = relative.parts[0].removesuffix(".py")
        if part == "__init__":
            continue  # the front door names everything, lazily
        for node, target in imported(ast.parse(path.read_text(encoding="utf-8")), package):
            where = f"{relative}:{node.lineno}"
            if part not in FLOORS:
                problems.append(f"{where}: {part} has no floor; give it one in tests/{FILE}")
                break
            if reason := forbidden(part, target, node.col_offset == 0):
                problems.append(f"{where}: {reason}")
    return problems


FILE = Path(__file__).name


def forbidden(part: str, target: str, at_top: bool) -> str | None:
    """Say why `part` may not import `target`, or return None when it may."""
    root, *rest = target.split(".")
    if root == "fusem":
        floor = rest[0] if rest else "the package itself"
        if floor == part or floor in FLOORS[part]:
            return None
        if floor not in FLOORS and part in FRONT_DOOR:
            return None
        return f"{part} imports {floor}, which is not below it"
    if part == "data" and root in FOREIGN_TO_DATA:
        return f"data imports {root}; it knows rows, not models"
    if root in EXTRAS and part not in ROOF and at_top:
        return f"{part} imports {root}, an extra; import it inside the function that needs it"
    return None


def imported(tree: ast.Module, package: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each import statement with the dotted name it reaches, submodules of fusem included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"fusem.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            if module == "fusem":
                yield from ((node, f"fusem.{alias.name}") for alias in node.names)
            else:
                yield node, module
