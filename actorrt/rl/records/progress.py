"""What a run looks like from outside while it goes on: one record for each update, and a line for the terminal."""

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
PARTS_BEFORE_TIME = 6  # of the progress line: what follows is how long it still takes, and where the time went
LAST_WORDS = "evaluating the last policy"

UP, ERASE_LINE, ERASE_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


@dataclass(frozen=True)
class Times:
    """Where a run's time went since it was started, or resumed.

    Attributes:
        sampling_s: of each simulator, in the mean, stepping environments and acting.
        waiting_s: of the run, for simulators.
        learning_s: of the run, for updates.
    """

    sampling_s: float = 0.0
    waiting_s: float = 0.0
    learning_s: float = 0.0

    def add(self, sampling_s: float = 0.0, waiting_s: float = 0.0, learning_s: float = 0.0) -> Times:
        """Return these with more."""
        return Times(self.sampling_s + sampling_s, self.waiting_s + waiting_s, self.learning_s + learning_s)


@dataclass(frozen=True)
class Progress:
    """Where a run is after an update.

    Attributes:
        steps: transitions learnt from so far.
        total_steps: where the run ends at the latest.
        seconds: since the run began.
        steps_per_s: over the last seconds.
        return_mean: mean return of the training episodes that ended last; NaN before the first.
        evaluation: score of the best policy so far, by evaluations after the update, too; None before the first.
        policy_lag: mean lag of the batch, in versions.
        simulators: how many there are.
        simulators_alive: how many are not being restarted.
        simulators_restarted: restarts so far.
        metrics: the update's own measures.
        trained_on: simulator, incarnation and process id of each fragment of the batch.
        update: number of the update, from 1.
        return_std: deviation between the episodes that `return_mean` is of.
        counters: what was dropped or lost on the way, by name.
        times: where the time went.
        running_s: how long those count: since the roles had started.
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
    """Return what the progress line says, piece by piece."""
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
    """Return pieces in lines of at most so many characters, broken between two pieces; what is longer is cut."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1] + SEPARATOR + piece) <= width:
            lines[-1] += SEPARATOR + piece
        else:
            lines.append((" " + piece if lines else piece)[:width])
    return lines


def shares(progress: Progress) -> dict[str, float]:
    """Return the shares of its time that a run spent with what; simulators may sample while it learns."""
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
    """Shows a run's progress: rewritten in place in a terminal, else a line every two seconds.

    In a terminal that is too narrow for one line it takes several. One that can't move its cursor (`TERM=dumb`) is
    written to as a file is.

    Args:
        out: where to write; asked whether it is a terminal.
        now: the clock, in seconds.
    """

    def __init__(self, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out, self._now = out, now
        self._is_live = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._next_at = 0.0

    def wait(self, text: str) -> None:
        """Say in a terminal what is waited for, until something else is shown."""
        if self._is_live:
            self._write([text])

    def show(self, progress: Progress) -> None:
        """Show this, unless something was shown just before; of the last update, what is waited for then."""
        now, is_last = self._now(), progress.steps >= progress.total_steps
        if now >= self._next_at or (is_last and self._is_live):
            self._next_at = now + (LIVE_PERIOD_S if self._is_live else PLAIN_PERIOD_S)
            self._write([*parts(progress), *([LAST_WORDS] if is_last and self._is_live else [])])

    def note(self, text: str) -> None:
        """Print a line that stays, above the progress."""
        self._out.write(f"\r{text}{ERASE_BELOW}\n" if self._is_live else f"{text}\n")
        self._out.flush()

    def end(self, progress: Progress | None) -> None:
        """Show the last state, and leave it there."""
        if progress is None:
            self._out.write(f"\r{ERASE_BELOW}" if self._is_live else "")
        else:
            self._write(parts(progress), "\n")
        self._out.flush()

    def _write(self, pieces: Sequence[str], end: str | None = None) -> None:
        """Write over what was written last, which begins where the cursor is left.

        What others print then, the node's warnings for one, takes the first of these lines, and nothing of it is lost.
        """
        if not self._is_live:
            self._out.write(SEPARATOR.join(pieces) + "\n")
        else:
            lines = folded(pieces, _columns(self._out) - 1)  # a line that wraps can't be rewritten
            back = "\r" if len(lines) == 1 else UP.format(len(lines) - 1) + "\r"
            text = f"{ERASE_LINE}\n".join(lines)
            self._out.write(f"\r{text}{ERASE_BELOW}{back if end is None else end}")
        self._out.flush()


def _columns(out: TextIO) -> int:
    """Return how wide a terminal is; of what is none in truth, a thousand."""
    try:
        return os.get_terminal_size(out.fileno()).columns or 1_000
    except (OSError, io.UnsupportedOperation):
        return 1_000
