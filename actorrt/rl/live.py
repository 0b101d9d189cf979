"""Shows a run while it goes on: a plot in a notebook, a line in a terminal, nothing where nobody looks.

What is shown is made in `progress` (the line), `curve` (the plot) and here (the notebook's picture of a run).
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorrt.rl import curve
from actorrt.rl.callbacks import Callback
from actorrt.rl.progress import Progress, ProgressLine, describe, shares

if TYPE_CHECKING:
    from actorrt.rl.run import Run

NOTEBOOK_PERIOD_S = 0.5


class NotebookView(Callback):
    """A plot below the cell that started the run, drawn anew at most twice a second.

    Args:
        display: shows an object and returns what can show another in its place, as `IPython.display.display` does.
        now: the clock, in seconds.
    """

    def __init__(self, display: Callable[..., Any], now: Callable[[], float] = time.monotonic) -> None:
        self._display, self._now = display, now
        self._next_at = 0.0

    def begin(self, run: Run) -> None:
        """Show the run; called by whoever starts it, so that it is below that cell."""
        self._handle = self._display(Picture(run), display_id=True)

    def on_update(self, run: Run, progress: Progress) -> None:
        """Show where it is, unless that was shown just before."""
        if self._now() >= self._next_at:
            self._next_at = self._now() + NOTEBOOK_PERIOD_S
            self._handle.update(Picture(run))

    def on_end(self, run: Run) -> None:
        """Show the end."""
        self._handle.update(Picture(run, is_over=True))


class TerminalView(Callback):
    """The progress line on standard error."""

    def begin(self, run: Run) -> None:
        """Take hold of the terminal."""
        self._line = ProgressLine(sys.stderr)

    def on_update(self, run: Run, progress: Progress) -> None:
        """Show where the run is."""
        self._line.show(progress)

    def on_end(self, run: Run) -> None:
        """Show the last state, and leave the line."""
        self._line.end(run.progress)


class Picture:
    """What a run looks like at this moment, for a notebook."""

    def __init__(self, run: Run, *, is_over: bool = False) -> None:
        self._html, self._text = picture(run, is_over=is_over), repr(run)

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def view() -> NotebookView | TerminalView | None:
    """Return what shows a run where this process has a notebook or a terminal; None where it has neither."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display

        return NotebookView(display)
    return TerminalView() if sys.stderr is not None and sys.stderr.isatty() else None


def picture(run: Run, *, is_over: bool = False) -> str:
    """Return a run as HTML: its name, where it is, its learning curve."""
    progress = run.progress
    state = "ended" if is_over or run.done() else "running"
    rows = run.rows
    drawn = curve.draw_svg(
        [(row["steps"], row["return_mean"], row["return_std"]) for row in rows], run.evaluations, run.plan.stop_return
    )
    facts = "waiting for the first update" if progress is None else _facts(progress)
    return (
        f'<div style="font-family:sans-serif;font-size:13px"><b>{html.escape(run.plan.name)}</b> · {state}<br>'
        f"{facts}<br>{drawn}</div>"
    )


def _facts(progress: Progress) -> str:
    share = shares(progress)
    bars = "".join(
        f'<span style="display:inline-block;height:8px;width:{round(160 * min(1.0, part))}px;background:{colour}">'
        f"</span> {name} {part:.0%} &nbsp; "
        for (name, part), colour in zip(share.items(), ("#4c78a8", "#bbbbbb", "#f58518"), strict=True)
    )
    text = describe(progress).rpartition(" · sampling ")[0] or describe(progress)
    return f"{html.escape(text.strip())}<br>{bars}"
