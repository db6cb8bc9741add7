"""``python -m fusem.testing.template``: benchmarks, their history and the gate for a project of one's own.

Writes ``asv_benchmarks/`` and ``.github/workflows/speed.yml`` into the folder of the project and prints the
lines that ``pyproject.toml`` needs. Nothing that is there is overwritten.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

PLACES = {  # in the project, and the file here; None is an empty one
    "asv_benchmarks/__init__.py": None,
    "asv_benchmarks/fits.py": "fits.py.txt",
    "asv_benchmarks/asv.conf.json": "asv.conf.json",
    "asv_benchmarks/.gitignore": "gitignore.txt",
    ".github/workflows/speed.yml": "speed.yml",
}
OTHERS = "asv_benchmarks", "tests", "benchmarks", "docs"
TOLD = "packages", "py-modules"
CONFIGURATION = """[tool.fusem.gate]
benchmarks = ["asv_benchmarks.fits"]
limit = 0.10"""


def main(arguments: list[str] | None = None) -> int:
    """Write what is missing; exit code 2 where there is no project, or where something is there already."""
    parser = argparse.ArgumentParser(prog="python -m fusem.testing.template", description=__doc__)
    parser.add_argument("project", type=Path, nargs="?", default=Path(), help="[default: here]")
    project: Path = parser.parse_args(arguments).project
    configuration = project / "pyproject.toml"
    if not configuration.exists():
        print(f"{configuration} is not there: which project is to be timed?", file=sys.stderr)
        return 2
    there = [place for place in PLACES if (project / place).exists()]
    if there:
        print(f"{', '.join(there)}: there already, nothing is written.", file=sys.stderr)
        return 2
    document = tomllib.loads(configuration.read_text("utf-8"))
    name = document.get("project", {}).get("name", project.resolve().name)
    for place, source in PLACES.items():
        text = "" if source is None else template(source).replace("PROJECT", name)
        path = project / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"Written: {', '.join(PLACES)}.\n")
    if finds_packages(document, project):
        own = [path.parent.name for path in sorted(project.glob("[!.]*/__init__.py"))]
        own = [folder for folder in own if folder not in OTHERS] or [name.replace("-", "_")]
        print(
            "setuptools looks for the packages of this project by itself, and would find asv_benchmarks "
            f"too. Name them:\n\n[tool.setuptools.packages.find]\ninclude = {json.dumps(own)}\n"
        )
    print(f"Now add these lines to pyproject.toml:\n\n{CONFIGURATION}")
    return 0


def finds_packages(document: dict[str, Any], project: Path) -> bool:
    """Whether setuptools takes every folder for a package, and refuses a second one."""
    build = document.get("build-system", {}).get("build-backend", "setuptools")
    told = any(name in document.get("tool", {}).get("setuptools", {}) for name in TOLD)
    elsewhere = any((project / name).exists() for name in ("src", "setup.py", "setup.cfg"))
    return build.startswith("setuptools") and not told and not elsewhere


def template(name: str) -> str:
    """The text of a file of the template."""
    return files("fusem.testing").joinpath("template", name).read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
