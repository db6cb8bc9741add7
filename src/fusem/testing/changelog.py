"""What the gate found as entries of a changelog in the form of Keep a Changelog, group *Performance*.

They stand between two comments, so that a later run puts its own in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fusem.testing.builds import Failed
from fusem.testing.signals import Signal
from fusem.testing.verdict import Verdict

BEGIN, END = "<!-- gate -->", "<!-- /gate -->"
UNRELEASED, GROUP = "## [Unreleased]", "### Performance"


def performance_entries(
    verdicts: Sequence[Verdict], signals: Sequence[Signal], command: str
) -> str:
    """What is faster, slower, better or worse, by how much, and the command that found it."""
    lines = []
    for v in verdicts:
        if v.outcome == "faster":
            lines.append(
                f"- `{v.name}` is {1 / v.ratio:.2f} times ({1 / v.high:.2f}–{1 / v.low:.2f}) as fast."
            )
        elif v.outcome == "slower":
            lines.append(
                f"- `{v.name}` takes {v.ratio:.2f} times ({v.low:.2f}–{v.high:.2f}) as long."
            )
    lines += [
        f"- `{s.name}` is {s.head:.6g} where it was {s.base:.6g}."
        for s in signals
        if s.outcome != "no change"
    ]
    told = "what changed" if lines else "no change beyond the limit"
    return "\n".join([f"- `{command}` ({len(verdicts)} benchmarks): {told}.", *lines]) + "\n"


def with_entries(path: Path, entries: str) -> str:
    """The text of a changelog with these entries; of a file that is not there the entries alone.

    Raises
    ------
    Failed
        The file is no changelog: it has no heading for what is not released.
    """
    if not path.exists():
        return entries
    text = path.read_text("utf-8")
    heading = text.find(UNRELEASED)
    if heading < 0:
        raise Failed(f"{path} has no heading {UNRELEASED!r} to put the entries under.")
    next_release = re.compile(r"^## ", re.MULTILINE).search(text, heading + len(UNRELEASED))
    end = next_release.start() if next_release else len(text)
    section = text[heading:end]
    block = f"{BEGIN}\n{entries}{END}\n"
    if BEGIN in section and END in section:
        before, rest = section.split(BEGIN, 1)
        section = before + block + rest.split(END, 1)[1].removeprefix("\n")
    elif GROUP in section:
        before, rest = section.split(GROUP, 1)
        section = f"{before}{GROUP}\n\n{block}{rest.lstrip(chr(10))}"
    else:
        section = f"{section.rstrip()}\n\n{GROUP}\n\n{block}\n"
    return text[:heading] + section + text[end:]
