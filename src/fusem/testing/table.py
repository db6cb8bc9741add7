"""Verdicts as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusem.testing.signals import Signal
from fusem.testing.verdict import Verdict

UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
ORDER = ("slower", "too noisy to tell", "faster", "no change")
HEAD = """| benchmark | BASE | HEAD | HEAD / BASE (95 %) | BASE / itself | verdict |
|---|--:|--:|--:|--:|---|
"""
EXACT_HEAD = """| the same in every run | BASE | HEAD | verdict |
|---|--:|--:|---|
"""


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    unit, size = next((pair for pair in UNITS if seconds >= pair[1]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def row(verdict: Verdict) -> str:
    """One line of the table."""
    v = verdict
    outcome = f"**{v.outcome}**" if v.outcome in ("slower", "faster") else v.outcome
    ratio = f"{v.ratio:.3f} ({v.low:.3f}–{v.high:.3f})"
    times = f"{duration(v.base)} | {duration(v.head)}"
    return f"| `{v.name}` | {times} | {ratio} | {v.twin:.3f} | {outcome} |"


def how_many(count: int, what: str) -> str:
    """A number and a noun."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """Up to six digits."""
    return f"{value:.6g}"


def exact(signals: Sequence[Signal]) -> list[str]:
    """What noise cannot touch: the numbers that changed, and how many did not."""
    changed = sorted(
        (s for s in signals if s.base != s.head),
        key=lambda s: ("worse", "no change", "better").index(s.outcome),
    )
    lines = []
    if same := len(signals) - len(changed):
        lines += ["", f"{how_many(same, 'number')}, the same in every run, did not change."]
    if changed:
        lines += ["", EXACT_HEAD.rstrip()]
    for s in changed:
        outcome = f"**{s.outcome}**" if s.outcome == "worse" else s.outcome
        lines.append(f"| `{s.name}` | {number(s.base)} | {number(s.head)} | {outcome} |")
    return lines


def table(
    base: str,
    head: str,
    verdicts: Sequence[Verdict],
    signals: Sequence[Signal],
    new: Mapping[str, str],
    broken: Mapping[str, str],
    limit: float,
    gone: Sequence[str] = (),
) -> str:
    """The whole comment: what was found, every benchmark, those that could not be compared."""
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in ORDER}
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    lines = [f"### Speed of {head} against {base}"]
    if verdicts:
        lines += [
            "",
            f"{how_many(len(verdicts), 'benchmark')}, timed alternately: {found}. Slower is more than "
            f"{limit:.0%} and beyond doubt against the spread of BASE against itself.",
            "",
            HEAD + "\n".join(map(row, sorted(verdicts, key=lambda v: ORDER.index(v.outcome)))),
        ]
    lines += exact(signals)
    if broken:
        lines[1:1] = [
            "",
            f"**{how_many(len(broken), 'benchmark')} without an answer in {head}**: see below.",
        ]
    for title, reasons in (
        (f"Not compared, since they do not run in {head}:", broken),
        (f"Not compared, since they do not run in {base}:", new),
    ):
        if reasons:
            lines += ["", title]
        for name, reason in reasons.items():
            lines.append(f"- `{name}`: {reason.strip().splitlines()[-1]}")
    if gone:
        lines += ["", f"Benchmarks of {base} that {head} has no more:"]
        lines += [f"- `{name}`" for name in gone]
    return "\n".join(lines) + "\n"
