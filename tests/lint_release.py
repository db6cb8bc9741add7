"""A tag says the version that is released.

``python tests/lint_release.py TAG pyproject.toml`` fails where it does not. Needs only Python.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def wrong_tag(tag: str, project: str) -> str | None:
    """Say what is wrong with a tag of this pyproject.toml, or return None when nothing is."""
    version = tomllib.loads(project)["project"]["version"]
    if tag == f"v{version}":
        return None
    return (
        f"The tag is {tag}, pyproject.toml has version {version}: correct one, tag as v{version}."
    )


if __name__ == "__main__":
    sys.exit(wrong_tag(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8")))
