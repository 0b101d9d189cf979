"""Pure: renders outcomes as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.bench.measuring.measurement import RowOutcome, Samples, Target, summarise

_HEADINGS = ("row", "what", "median", "p10 .. p90", "p99", "n", "ratio", "target", "")


def render(outcomes: Sequence[RowOutcome]) -> str:
    """Return the table, one line for each row, and below it the reasons of rows without figures."""
    cells = [_HEADINGS, *[_cells(outcome) for outcome in outcomes]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "-" * max(len(line) for line in lines))
    reasons = [f"{outcome.row.name}: {outcome.failure}" for outcome in outcomes if outcome.samples is None]
    return "\n".join([*lines, *reasons])


def _cells(outcome: RowOutcome) -> tuple[str, ...]:
    row, samples = outcome.row, outcome.samples
    if samples is None:
        word = "skipped" if outcome.is_skipped else "FAILED"
        return (row.name, row.title, word, "", "", "", "", "", "")
    summary = summarise(samples.values)
    return (
        row.name,
        row.title,
        f"{figure(summary.median)} {row.unit}",
        f"{figure(summary.p10)} .. {figure(summary.p90)}",
        figure(summary.p99),
        str(summary.count),
        "" if samples.ratio is None else f"{samples.ratio:.2f} x {row.reference}",
        "" if row.target is None else describe(row.target, row.unit),
        _verdict(row.target, samples),
    )


def _verdict(target: Target | None, samples: Samples) -> str:
    if target is None:
        return ""
    return "met" if target.is_met(samples) else "MISSED"


def describe(target: Target, unit: str) -> str:
    """Return a target in words."""
    sense = "at least" if target.is_least else "at most"
    return f"{sense} {target.bound:g} x" if target.is_ratio else f"{sense} {figure(target.bound)} {unit}"


def figure(value: float) -> str:
    """Return a number with three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
