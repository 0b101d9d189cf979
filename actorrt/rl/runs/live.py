"""Shows a run while it works: a plot in a notebook, a line in a terminal, and nothing elsewhere.

The plot is in `picture`, the line in `views.progress_line`; this module decides when they are shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from actorrt.rl.records.progress import Progress
from actorrt.rl.runs import picture
from actorrt.rl.runs.callbacks import Callback
from actorrt.rl.runs.run import Run
from actorrt.rl.views import notebook
from actorrt.rl.views.progress_line import ProgressLine

NOTEBOOK_PERIOD_S = 0.5


class NotebookView(Callback):
    """A plot below the cell that started the run, redrawn at most twice a second.

    Args:
        display: shows an object and returns a handle that can replace it, as `IPython.display.display` does.
        now: the clock, in seconds.
    """

    draws = True

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

    draws = False

    def begin(self, run: Run) -> None:
        """Begin to use the terminal."""
        self._line = ProgressLine(sys.stderr)
        self._line.wait(picture.starting(run.plan.name))

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
        self._html, self._text = picture.as_html(run), repr(run)

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def view() -> NotebookView | TerminalView | None:
    """Return the view for this process's notebook or terminal; None if it has neither."""
    if notebook.is_notebook():
        from IPython.display import display

        return NotebookView(display)
    return TerminalView() if sys.stderr is not None and sys.stderr.isatty() else None


def view_to_show(show: bool | None) -> NotebookView | TerminalView | None:
    """Return the view of a run.

    Args:
        show: True shows the run also where there is neither a notebook nor a terminal; False never shows it.
    """
    return None if show is False else view() or (TerminalView() if show and sys.stderr is not None else None)
