"""Shows a run while it works: a plot in a notebook, a line in a terminal, and nothing elsewhere.

`records.progress` makes the line, `views.curve` the plot, and this module the notebook's view of a run.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorrt.rl.records.progress import PARTS_BEFORE_TIME, SEPARATOR, Progress, ProgressLine, parts, shares
from actorrt.rl.runs.callbacks import Callback
from actorrt.rl.views import curve

if TYPE_CHECKING:
    from actorrt.rl.runs.run import Run

NOTEBOOK_PERIOD_S = 0.5


class NotebookView(Callback):
    """A plot below the cell that started the run, redrawn at most twice a second.

    Args:
        display: shows an object and returns a handle that can replace it, as `IPython.display.display` does.
        now: the clock, in seconds.
    """

    def __init__(self, display: Callable[..., Any], now: Callable[[], float] = time.monotonic) -> None:
        self._display, self._now = display, now
        self._next_at = 0.0

    def begin(self, run: Run) -> None:
        """Show the run. Called in the cell that starts the run, so that the plot is below that cell."""
        self._handle = self._display(Picture(run), display_id=True)

    def note(self, text: str) -> None:
        """Print a line below the cell that is being executed."""
        sys.stderr.write(f"{text}\n")

    def on_update(self, run: Run, progress: Progress) -> None:
        """Redraw the plot, unless it was drawn just before."""
        if self._now() >= self._next_at:
            self._next_at = self._now() + NOTEBOOK_PERIOD_S
            self._handle.update(Picture(run))

    def on_end(self, run: Run) -> None:
        """Show the final state."""
        self._handle.update(Picture(run))


class TerminalView(Callback):
    """The progress line on standard error."""

    def begin(self, run: Run) -> None:
        """Begin to use the terminal."""
        self._line = ProgressLine(sys.stderr)
        self._line.wait(starting(run))

    def note(self, text: str) -> None:
        """Print a permanent line above the progress."""
        self._line.note(text)

    def on_update(self, run: Run, progress: Progress) -> None:
        """Show the progress."""
        self._line.show(progress)

    def on_end(self, run: Run) -> None:
        """Show the last state, and leave the line on the screen."""
        self._line.end(run.progress)


class Picture:
    """The present state of a run, for a notebook."""

    def __init__(self, run: Run) -> None:
        self._html, self._text = picture(run), repr(run)

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def view() -> NotebookView | TerminalView | None:
    """Return the view for this process's notebook or terminal; None if it has neither."""
    if hasattr(_shell(), "kernel"):
        from IPython.display import display

        return NotebookView(display)
    return TerminalView() if sys.stderr is not None and sys.stderr.isatty() else None


def cell() -> int | None:
    """Return the number of the notebook cell that is being executed; None outside IPython."""
    return getattr(_shell(), "execution_count", None)


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def starting(run: Run) -> str:
    """Say what a run waits for before its first update."""
    return f"{run.plan.name} starts: waiting for the first update ..."


def picture(run: Run) -> str:
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
            starting(run) if state == "starting" else f"{state} after {run.steps:,} steps, without an update"
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
