"""The oldest supported versions: each lower bound of pyproject.toml as a pip constraint, one a line.

``python tests/oldest.py pyproject.toml`` prints them. Needs only Python.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("cli", "parquet", "plot", "test")  # what tests need
BOUND = re.compile(r"[\w-]+>=[\w.]+")


def pins(text: str) -> list[str]:
    """Return the lower bounds of a pyproject.toml, as the versions that they allow at least."""
    project = tomllib.loads(text)["project"]
    required = list(project["dependencies"])
    for extra in EXTRAS:
        required += project["optional-dependencies"][extra]
    own = re.compile(rf"{project['name']}\b")
    foreign = [line for line in required if not own.match(line)]
    if unbound := [line for line in foreign if not BOUND.fullmatch(line)]:
        raise ValueError(f"{unbound}: a requirement is written NAME>=VERSION")
    return [line.replace(">=", "==") for line in foreign]


if __name__ == "__main__":
    print("\n".join(pins(Path(sys.argv[1]).read_text(encoding="utf-8"))))
