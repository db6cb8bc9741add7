"""What is read out of README.md: its set-up commands, its Python blocks, numbers nobody measured.

``python tests/lint_readme.py README.md`` prints the set-up commands, one a line; `.ci/run` runs
what it prints, so what is promised and what is tested are one text. Needs only Python.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# "12 times faster", "3.5 ns", "2e6 rows/s": figures belong into a file that a command writes.
MEASURED = re.compile(
    r"\b\d[\d.,e]*\s*(?:(?:×|x|times)\s+(?:faster|slower|less|more)|"
    r"(?:ns|µs|ms|[KMG]i?B/s|GFLOP/s|GFLOPS?|(?:million )?rows\s*(?:/|per)\s*s(?:econd)?)\b)"
)


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return [body for found, body in FENCE.findall(text) if found == language]


def section(text: str, heading: str) -> str:
    """Return what stands under a second-level heading."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if heading not in found:
        raise ValueError(f"no section '## {heading}'; there are {', '.join(found)}")
    return found[heading]


def setup_commands(text: str) -> list[str]:
    """Return the commands of the section "Set up", one a line of its ``sh`` blocks."""
    lines = "".join(blocks(section(text, "Set up"), "sh")).splitlines()
    return [line for line in lines if line.strip()]


def typed_measurements(text: str) -> list[str]:
    """Return the phrases that state a speed."""
    return [match.group() for match in MEASURED.finditer(text)]


if __name__ == "__main__":
    print("\n".join(setup_commands(Path(sys.argv[1]).read_text(encoding="utf-8"))))
