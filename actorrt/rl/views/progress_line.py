"""The progress line of a run: its text, and how it is rewritten in a terminal or printed elsewhere."""

from __future__ import annotations

import io
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from actorrt.rl.records.progress import Progress

logger = logging.getLogger(__name__)

LIVE_PERIOD_S = 0.1
PLAIN_PERIOD_S = 2.0
SEPARATOR = " · "
LONGEST_S = 1e9  # a longer remaining time says only that there is no progress
PARTS_BEFORE_TIME = 6  # of the progress line; the parts after these are the remaining time and the shares of time
LAST_WORDS = "evaluating the last policy"

UP, ERASE_LINE, ERASE_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


def describe(progress: Progress) -> str:
    """Return the progress line, without an end of line."""
    return SEPARATOR.join(parts(progress))


def parts(progress: Progress) -> list[str]:
    """Return the parts of the progress line."""
    nothing = "none yet" if progress.is_evaluated else "not evaluated"
    best = nothing if progress.evaluation is None else f"{progress.evaluation:.1f}"
    said = [
        f"{progress.steps:>7,}/{progress.total_steps:,} steps",
        f"{progress.steps_per_s:,.0f}/s",
        _with_spread(progress.return_mean, progress.return_std),
        f"best {best}",
        f"lag {progress.policy_lag:.1f}",
        f"simulators {progress.simulators_alive}/{progress.simulators} alive, "
        f"{progress.simulators_restarted} restarted",
        f"{_duration(progress.left_s)} left",
    ]
    if progress.running_s:
        said.append(", ".join(f"{name} {share:.0%}" for name, share in shares(progress).items()))
    return said


def folded(pieces: Sequence[str], width: int) -> list[str]:
    """Return parts in lines of at most so many characters, broken between two parts; a longer part is cut off."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1] + SEPARATOR + piece) <= width:
            lines[-1] += SEPARATOR + piece
        else:
            lines.append((" " + piece if lines else piece)[:width])
    return lines


def shares(progress: Progress) -> dict[str, float]:
    """Return how a run shared its time; the sum may exceed 1, since simulators may sample while it learns."""
    times, seconds = progress.times, progress.running_s or math.inf
    named = {"sampling": times.sampling_s, "waiting": times.waiting_s, "learning": times.learning_s}
    return {name: spent_s / seconds for name, spent_s in named.items()}


def _with_spread(mean: float, std: float) -> str:
    if math.isnan(mean):
        return "return none yet"
    return f"return {mean:.1f}" if math.isnan(std) else f"return {mean:.1f} ± {std:.1f}"


def _duration(seconds: float) -> str:
    if seconds >= LONGEST_S:
        return "?"
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return (
        f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
    )


class ProgressLine:
    """Shows a run's progress: one line that is rewritten in a terminal, or a new line every two seconds elsewhere.

    In a narrow terminal it takes several lines. A terminal that can't move its cursor (`TERM=dumb`) is treated like a
    file.

    Args:
        out: the stream to write to, which may be a terminal.
        now: the clock, in seconds.
    """

    def __init__(self, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out, self._now = out, now
        self._is_live = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._next_at = 0.0
        self._is_gone = False

    def wait(self, text: str) -> None:
        """Show in a terminal what the run waits for, until something else is shown."""
        if self._is_live:
            self._write([text])

    def show(self, progress: Progress) -> None:
        """Show the progress, unless it was shown just before; after the last update, show what the run waits for."""
        now, is_last = self._now(), progress.steps >= progress.total_steps
        if now >= self._next_at or (is_last and self._is_live):
            self._next_at = now + (LIVE_PERIOD_S if self._is_live else PLAIN_PERIOD_S)
            is_evaluating = is_last and self._is_live and progress.is_evaluated
            self._write([*parts(progress), *([LAST_WORDS] if is_evaluating else [])])

    def note(self, text: str) -> None:
        """Print a permanent line above the progress."""
        self._put(f"\r{text}{ERASE_BELOW}\n" if self._is_live else f"{text}\n")

    def end(self, progress: Progress | None) -> None:
        """Show the last state, and leave it on the screen."""
        if progress is None:
            self._put(f"\r{ERASE_BELOW}" if self._is_live else "")
        else:
            self._write(parts(progress), "\n")

    def _write(self, pieces: Sequence[str], end: str | None = None) -> None:
        """Overwrite what was written last; the cursor is at its beginning.

        Other output, such as the node's warnings, overwrites the first of these lines and is not lost.
        """
        if not self._is_live:
            self._put(SEPARATOR.join(pieces) + "\n")
        else:
            lines = folded(pieces, _columns(self._out) - 1)  # a line that the terminal wraps can't be rewritten
            back = "\r" if len(lines) == 1 else UP.format(len(lines) - 1) + "\r"
            text = f"{ERASE_LINE}\n".join(lines)
            self._put(f"\r{text}{ERASE_BELOW}{back if end is None else end}")

    def _put(self, text: str) -> None:
        """Write a text. If that fails, nothing is shown any more: a run does not end because its terminal is gone."""
        if self._is_gone:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError) as error:
            self._is_gone = True
            logger.warning("the progress is not shown any more: %s", error)


def _columns(out: TextIO) -> int:
    """Return the terminal's width, or 1,000 if the output is not a terminal."""
    try:
        return os.get_terminal_size(out.fileno()).columns or 1_000
    except (OSError, io.UnsupportedOperation):
        return 1_000
