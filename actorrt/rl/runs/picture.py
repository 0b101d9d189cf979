"""The picture of a run that a notebook shows: name, progress and learning curve, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Protocol

from actorrt.rl.records.progress import Progress
from actorrt.rl.runs.plan import AnyPlan
from actorrt.rl.views import curve
from actorrt.rl.views.progress_line import PARTS_BEFORE_TIME, SEPARATOR, parts, shares


class PicturedRun(Protocol):
    """The part of a run that its picture shows."""

    @property
    def plan(self) -> AnyPlan: ...

    @property
    def progress(self) -> Progress | None: ...

    @property
    def state(self) -> str: ...

    @property
    def steps(self) -> int: ...

    @property
    def rows(self) -> Sequence[dict[str, Any]]: ...

    @property
    def evaluations(self) -> Sequence[tuple[int, float]]: ...


def starting(name: str) -> str:
    """Say what the run of this name waits for before its first update."""
    return f"{name} starts: waiting for the first update ..."


def as_html(run: PicturedRun) -> str:
    """Return a run as HTML: name, progress and learning curve."""
    progress, state = run.progress, run.state
    drawn = curve.draw_svg(
        [(row["steps"], row["return_mean"], row["return_std"]) for row in run.rows],
        run.evaluations,
        run.plan.stop_return,
    )
    if progress is not None:
        facts = _facts(progress, is_over=state in ("ended", "paused", "failed"))
    else:
        facts = html.escape(
            starting(run.plan.name) if state == "starting" else f"{state} after {run.steps:,} steps, without an update"
        )
    return (
        f'<div style="font-family:sans-serif;font-size:13px"><b>{html.escape(run.plan.name)}</b> · {state}<br>'
        f"{facts}<br>{drawn}</div>"
    )


def _facts(progress: Progress, *, is_over: bool) -> str:
    bars = "".join(
        f'<span style="display:inline-block;height:8px;width:{round(160 * min(1.0, part))}px;background:{colour}">'
        f"</span> {name} {part:.0%} &nbsp; "
        for (name, part), colour in zip(shares(progress).items(), ("#4c78a8", "#bbbbbb", "#f58518"), strict=True)
    )
    said = parts(progress)[: PARTS_BEFORE_TIME if is_over else PARTS_BEFORE_TIME + 1]
    return f"{html.escape(SEPARATOR.join(said).strip())}<br>{bars}"
