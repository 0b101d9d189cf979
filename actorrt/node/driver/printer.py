"""Prints the output of actors in the driver."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from actorrt.ids import PeerId
from actorrt.node.driver.folding import Folder
from actorrt.protocol.processes import Output


class OutputPrinter:
    """Prints the output of actors with their labels, and folds repeated lines.

    Args:
        now: the clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._folder = Folder()
        self._now = now
        self._timer: asyncio.TimerHandle | None = None

    def received(self, _: PeerId, output: Output) -> None:
        """Called when the node sends output."""
        now = self._now()
        for label, stream, text in output.lines:
            lines = self._folder.add(f"{label} pid={output.pid}", stream, text, now)
            self._print(lines, sys.stderr if stream == "stderr" else sys.stdout)
        self._flush_later()

    def _flush_later(self) -> None:
        due = self._folder.due_at
        if due is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._now()), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._print(self._folder.flush(self._now()), sys.stderr)
        self._flush_later()

    def close(self) -> None:
        """Print the lines that are still folded. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._print(self._folder.close(self._now()), sys.stderr)

    @staticmethod
    def _print(lines: list[str], file: Any) -> None:
        for line in lines:
            file.write(f"{line}\n")  # one write, so that no other output comes between text and newline
        file.flush()
