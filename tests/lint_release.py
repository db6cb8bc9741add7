"""A tag says the version that is released, and the changelog says how fast that is.

``python tests/lint_release.py TAG pyproject.toml CHANGELOG.md`` fails where they do not. Needs only Python.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ENTRIES = "<!-- gate -->"  # before what the comparison of two commits put there


def wrong_tag(tag: str, project: str) -> str | None:
    """Say what is wrong with a tag of this pyproject.toml, or return None when nothing is."""
    version = tomllib.loads(project)["project"]["version"]
    if tag == f"v{version}":
        return None
    return (
        f"The tag is {tag}, pyproject.toml has version {version}: correct one, tag as v{version}."
    )


def wrong_changelog(tag: str, changelog: str) -> str | None:
    """Say what the changelog lacks of the version of a tag, or return None when nothing."""
    version = tag.removeprefix("v")
    own = re.search(
        rf"^## \[{re.escape(version)}\].*?(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if own is None:
        return f"CHANGELOG.md has no heading '## [{version}]': name what was unreleased so."
    earlier = re.search(r"^## \[\d", changelog[own.end() :], re.MULTILINE)
    if earlier and ENTRIES not in own[0]:
        return (
            f"CHANGELOG.md has no measured entries for {version}: before it is released, run "
            "'python -m asv_benchmarks.gate LAST HEAD --changelog CHANGELOG.md'; LAST is the tag before."
        )
    return None


if __name__ == "__main__":
    TAG, PROJECT, CHANGELOG = sys.argv[1:]
    sys.exit(
        wrong_tag(TAG, Path(PROJECT).read_text(encoding="utf-8"))
        or wrong_changelog(TAG, Path(CHANGELOG).read_text(encoding="utf-8"))
    )
