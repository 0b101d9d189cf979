"""The progress of a run: one `Progress` for each update, and the line that a terminal shows."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

LIVE_PERIOD_S = 0.1
PLAIN_PERIOD_S = 2.0
SEPARATOR = " · "
PARTS_BEFORE_TIME = 6  # of the progress line; the parts after these are the remaining time and the shares of time
LAST_WORDS = "evaluating the last policy"

UP, ERASE_LINE, ERASE_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


@dataclass(frozen=True)
class Times:
    """How a run spent its time since it was started or resumed.

    Attributes:
        sampling_s: mean time that a simulator stepped environments and acted.
        waiting_s: time that the run waited for simulators.
        learning_s: time that the run waited for updates.
    """

    sampling_s: float = 0.0
    waiting_s: float = 0.0
    learning_s: float = 0.0

    def add(self, sampling_s: float = 0.0, waiting_s: float = 0.0, learning_s: float = 0.0) -> Times:
        """Return the sum of these times and more."""
        return Times(self.sampling_s + sampling_s, self.waiting_s + waiting_s, self.learning_s + learning_s)


@dataclass(frozen=True)
class Progress:
    """The state of a run after an update.

    Attributes:
        steps: transitions learnt from so far.
        total_steps: largest number of steps of the run.
        seconds: time since the run began.
        steps_per_s: over the last seconds.
        return_mean: mean return of the last training episodes; NaN before the first episode.
        evaluation: score of the best policy so far, including evaluations after the update; None before the first.
        policy_lag: mean lag of the batch, in versions.
        simulators: number of simulators.
        simulators_alive: number of simulators that are not being restarted.
        simulators_restarted: restarts so far.
        metrics: metrics of the update rule.
        trained_on: simulator, incarnation and process id of each fragment of the batch.
        update: number of the update, from 1.
        return_std: standard deviation of the returns of which `return_mean` is the mean.
        counters: numbers of dropped, repeated and lost fragments, by name.
        times: how the run spent its time.
        running_s: the time over which `times` counts: since all roles had started.
    """

    steps: int
    total_steps: int
    seconds: float
    steps_per_s: float
    return_mean: float
    evaluation: float | None
    policy_lag: float
    simulators: int
    simulators_alive: int
    simulators_restarted: int
    metrics: dict[str, Any]
    trained_on: tuple[tuple[int, int, int], ...]
    update: int = 0
    return_std: float = math.nan
    counters: dict[str, int] = field(default_factory=dict)
    times: Times = Times()
    running_s: float = 0.0

    @property
    def left_s(self) -> float:
        """Seconds until `total_steps` at the present rate."""
        return (self.total_steps - self.steps) / self.steps_per_s if self.steps_per_s else float("inf")

    def row(self) -> dict[str, Any]:
        """Return it as a row of `Run.metrics`."""
        return {
            "update": self.update,
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_per_s": self.steps_per_s,
            "return_mean": self.return_mean,
            "return_std": self.return_std,
            "best_evaluation": self.evaluation,
            "policy_lag": self.policy_lag,
            "sampling_s": self.times.sampling_s,
            "waiting_s": self.times.waiting_s,
            "learning_s": self.times.learning_s,
            **self.counters,
            **self.metrics,
        }


def describe(progress: Progress) -> str:
    """Return the progress line, without an end of line."""
    return SEPARATOR.join(parts(progress))


def parts(progress: Progress) -> list[str]:
    """Return the parts of the progress line."""
    best = "none yet" if progress.evaluation is None else f"{progress.evaluation:.1f}"
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
    if seconds == float("inf"):
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

    def wait(self, text: str) -> None:
        """Show in a terminal what the run waits for, until something else is shown."""
        if self._is_live:
            self._write([text])

    def show(self, progress: Progress) -> None:
        """Show the progress, unless it was shown just before; after the last update, show what the run waits for."""
        now, is_last = self._now(), progress.steps >= progress.total_steps
        if now >= self._next_at or (is_last and self._is_live):
            self._next_at = now + (LIVE_PERIOD_S if self._is_live else PLAIN_PERIOD_S)
            self._write([*parts(progress), *([LAST_WORDS] if is_last and self._is_live else [])])

    def note(self, text: str) -> None:
        """Print a permanent line above the progress."""
        self._out.write(f"\r{text}{ERASE_BELOW}\n" if self._is_live else f"{text}\n")
        self._out.flush()

    def end(self, progress: Progress | None) -> None:
        """Show the last state, and leave it on the screen."""
        if progress is None:
            self._out.write(f"\r{ERASE_BELOW}" if self._is_live else "")
        else:
            self._write(parts(progress), "\n")
        self._out.flush()

    def _write(self, pieces: Sequence[str], end: str | None = None) -> None:
        """Overwrite what was written last; the cursor is at its beginning.

        Other output, such as the node's warnings, overwrites the first of these lines and is not lost.
        """
        if not self._is_live:
            self._out.write(SEPARATOR.join(pieces) + "\n")
        else:
            lines = folded(pieces, _columns(self._out) - 1)  # a line that the terminal wraps can't be rewritten
            back = "\r" if len(lines) == 1 else UP.format(len(lines) - 1) + "\r"
            text = f"{ERASE_LINE}\n".join(lines)
            self._out.write(f"\r{text}{ERASE_BELOW}{back if end is None else end}")
        self._out.flush()


def _columns(out: TextIO) -> int:
    """Return the terminal's width, or 1,000 if the output is not a terminal."""
    try:
        return os.get_terminal_size(out.fileno()).columns or 1_000
    except (OSError, io.UnsupportedOperation):
        return 1_000
