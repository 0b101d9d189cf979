"""The progress of `map`: one line that is rewritten in a terminal or a notebook, or a new line every few seconds."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from actorrt.machine.clock import Clock

LIVE_PERIOD_S: Final = 0.1
PLAIN_PERIOD_S: Final = 5.0
ERASE_LINE: Final = "\x1b[K"


class MapProgress:
    """Counts the values that were taken, and shows how many there are.

    Args:
        name: of the function.
        total: how many items there are; None if that is not known.
        clock: the time.
        out: where the line is written.
    """

    def __init__(self, name: str, total: int | None, clock: Clock, out: TextIO) -> None:
        self._name = name
        self._total = total
        self._clock = clock
        self._out = out
        self._is_live = out.isatty() or "ipykernel" in sys.modules
        self._begun_at = self._shown_at = clock.now()
        self._count = 0

    def taken(self, in_flight: int) -> None:
        """Called when a value is yielded, with the number of tasks that are in flight."""
        self._count += 1
        now = self._clock.now()
        if now - self._shown_at >= (LIVE_PERIOD_S if self._is_live else PLAIN_PERIOD_S):
            self._shown_at = now
            self._write(f"{self.text(now)} · {in_flight:,} in flight")

    def end(self) -> None:
        """Called when the iteration ends: the last line stays."""
        self._write(self.text(self._clock.now()), is_last=True)

    def text(self, now: float) -> str:
        """Return the line, without the number in flight."""
        seconds = now - self._begun_at
        rate = self._count / seconds if seconds > 0 else 0.0
        if self._total is None:
            return f"{self._name}: {self._count:,} done · {rate:,.0f}/s"
        share = self._count / self._total if self._total else 1.0
        left_s = (self._total - self._count) / rate if rate else float("inf")
        left = f" · {left_s:,.0f} s left" if 0 < left_s < float("inf") else ""
        return f"{self._name}: {self._count:,}/{self._total:,} done, {share:.0%} · {rate:,.0f}/s{left}"

    def _write(self, text: str, *, is_last: bool = False) -> None:
        if self._is_live:
            self._out.write(f"\r{text}{ERASE_LINE if self._out.isatty() else '   '}" + ("\n" if is_last else ""))
        else:
            self._out.write(f"{text}\n")
        self._out.flush()
