"""The daemon's end of a worker's output: reads its pipes within a budget and hands on labelled lines.

The worker's end is `printing`; what a line looks like on the pipe is in `lines`; whether a repeated line is shown is
`folding`'s decision.

A flood is bounded by the pipe: at most `OUTPUT_BUDGET_READS` times `OUTPUT_READ_BYTES` are read each time the loop
comes round, and while reading is paused a worker that fills its pipe (64 KiB) waits in `print`.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from actorrt.config import KIB, LAST_LINES_COUNT
from actorrt.node.processes.lines import LineSplitter
from actorrt.protocol.processes import OutputLine, Stream

OUTPUT_READ_BYTES: Final = 64 * KIB
OUTPUT_BUDGET_READS: Final = 4
STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr")

_DRAIN_READS: Final = 64  # a dead worker's pipe holds less; what is more comes from a process that got away


class OutputReader:
    """Makes the two pipes of one worker and reads them; the loop's thread owns it.

    `stdout_fd` and `stderr_fd` are the ends to fork the worker with; call `close_write_ends` after the fork, else the
    end of the output is never seen. When the worker has ended, call `drain`, then `last_lines` is complete.

    Args:
        loop: calls back.
        label: of lines without a label of their own.
        on_lines: called with the lines of one read, in the order of their stream. The order between the two streams
            is not kept.

    Raises:
        OSError: there are no descriptors for the pipes; none is left open.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, label: str, on_lines: Callable[[Sequence[OutputLine]], None]
    ) -> None:
        self.label = label
        self._on_lines = on_lines
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES_COUNT)
        self._pipes: list[_Pipe] = []
        try:
            for stream in STREAMS:
                self._pipes.append(_Pipe(loop, stream, self._take))
            self.resume()
        except BaseException:
            self.close()
            raise

    @property
    def stdout_fd(self) -> int:
        """The end of standard output to give to the worker."""
        return self._pipes[0].write_fd

    @property
    def stderr_fd(self) -> int:
        """The end of standard error to give to the worker."""
        return self._pipes[1].write_fd

    @property
    def last_lines(self) -> list[str]:
        """The last 50 lines of both streams, oldest first, to say how the worker died."""
        return list(self._last_lines)

    def _take(self, stream: Stream, labelled: list[tuple[str, str]]) -> None:
        lines = [OutputLine(label or self.label, stream, text) for label, text in labelled]
        self._last_lines.extend(line.text for line in lines)
        if lines:
            self._on_lines(lines)

    def close_write_ends(self) -> None:
        """Close this process's copies of the worker's ends. Idempotent."""
        for pipe in self._pipes:
            pipe.close_write_end()

    def pause(self) -> None:
        """Read no more for now; the worker waits once its pipe is full."""
        for pipe in self._pipes:
            pipe.pause()

    def resume(self) -> None:
        """Read on after a pause."""
        for pipe in self._pipes:
            pipe.resume()

    def drain(self) -> None:
        """Hand on what a worker that has ended left in its pipes, lines without a newline included; then close."""
        for pipe in self._pipes:
            pipe.read(_DRAIN_READS)
        self.close()

    def close(self) -> None:
        """Close every end; what was begun and not ended by a newline is handed on. Idempotent."""
        for pipe in self._pipes:
            pipe.close()


class _Pipe:
    """One pipe: a read end that does not block, and a write end for the worker that does."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: Stream,
        on_lines: Callable[[Stream, list[tuple[str, str]]], None],
    ) -> None:
        self._loop = loop
        self._stream: Stream = stream
        self._on_lines = on_lines
        self._splitter = LineSplitter()
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)

    def resume(self) -> None:
        if self._read_fd >= 0:
            self._loop.add_reader(self._read_fd, self.read)

    def pause(self) -> None:
        if self._read_fd >= 0:
            self._loop.remove_reader(self._read_fd)

    def read(self, budget: int = OUTPUT_BUDGET_READS) -> None:
        """Read until nothing is left, the budget is spent, or a callback has closed this."""
        while budget and self._read_fd >= 0:
            budget -= 1
            try:
                data = os.read(self._read_fd, OUTPUT_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self.close()
            else:
                self._on_lines(self._stream, self._splitter.feed(data))

    def close_write_end(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def close(self) -> None:
        self.close_write_end()
        if self._read_fd >= 0:
            self._loop.remove_reader(self._read_fd)
            os.close(self._read_fd)
            self._read_fd = -1
            self._on_lines(self._stream, self._splitter.finish())
