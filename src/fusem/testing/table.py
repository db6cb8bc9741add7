"""Verdicts as Markdown, for a pull request or a changelog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusem.testing.verdict import Verdict

UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
ORDER = ("slower", "too noisy to tell", "faster", "no change")
HEAD = """| benchmark | BASE | HEAD | HEAD / BASE (95 %) | BASE / itself | verdict |
|---|--:|--:|--:|--:|---|
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


def table(
    base: str,
    head: str,
    verdicts: Sequence[Verdict],
    new: Mapping[str, str],
    broken: Mapping[str, str],
    limit: float,
) -> str:
    """The whole comment: what was found, every benchmark, those that could not be compared."""
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in ORDER}
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    lines = [
        f"### Speed of {head} against {base}",
        "",
        f"{len(verdicts)} benchmarks, timed alternately: {found or 'none'}. Slower is more than {limit:.0%} "
        "and beyond doubt against the spread of BASE against itself.",
        "",
        HEAD + "\n".join(map(row, sorted(verdicts, key=lambda v: ORDER.index(v.outcome)))),
    ]
    if broken:
        lines[2:2] = [f"**{len(broken)} run in {base}, but not in {head}**: see below.", ""]
    for title, reasons in (
        (f"Not compared, since they do not run in {head} any more:", broken),
        (f"Not compared, since they do not run in {base}:", new),
    ):
        if reasons:
            lines += ["", title]
        for name, reason in reasons.items():
            lines.append(f"- `{name}`: {reason.strip().splitlines()[-1]}")
    return "\n".join(lines) + "\n"


def performance_entries(verdicts: Sequence[Verdict]) -> str:
    """Lines for the *Performance* group of a changelog: what is faster or slower, and by how much."""
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
    return "\n".join(lines or ["No change beyond the limit."]) + "\n"
