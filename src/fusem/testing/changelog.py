"""What the gate found as entries of a changelog in the form of Keep a Changelog, group *Performance*.

They stand between two comments, so that a later run puts its own in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fusem.testing.builds import Failed
from fusem.testing.signals import Signal
from fusem.testing.table import how_many
from fusem.testing.verdict import Verdict

BEGIN, END = "<!-- gate -->", "<!-- /gate -->"
UNRELEASED, GROUP = "## [Unreleased]", "### Performance"
OTHER = re.compile(r"## |\[[^\]]+\]: ")  # what ends it: another release, or the links


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
    if unclear := sum(v.outcome == "too noisy to tell" for v in verdicts):
        told += f"; {unclear} too noisy to tell"
    counted = how_many(len(verdicts), "benchmark")
    return "\n".join([f"- `{command}` ({counted}): {told}.", *lines]) + "\n"


def with_entries(path: Path, entries: str) -> str:
    """The text of a changelog with these entries, of a new one where there is none.

    Raises
    ------
    Failed
        The file is no changelog: it has no heading for what is not released.
    """
    block = [BEGIN, *entries.splitlines(), END]
    if not path.exists():
        return "\n".join([UNRELEASED, "", GROUP, "", *block]) + "\n"
    lines = path.read_text("utf-8").splitlines()
    if UNRELEASED not in lines:
        raise Failed(f"{path} has no heading {UNRELEASED!r} to put the entries under.")
    first = lines.index(UNRELEASED) + 1
    ends = (i for i, line in enumerate(lines[first:], first) if OTHER.match(line))
    last = next(ends, len(lines))
    section = lines[first:last]
    if BEGIN in section and END in section[section.index(BEGIN) :]:
        begin = section.index(BEGIN)
        section[begin : section.index(END, begin) + 1] = block
    elif GROUP in section:
        place = section.index(GROUP) + 1
        section[place:place] = ["", *block]
    else:
        while section and not section[-1]:
            section.pop()
        section += ["", GROUP, "", *block, *[""] * (last < len(lines))]
    return "\n".join([*lines[:first], *section, *lines[last:]]) + "\n"
