"""Reads a worker's output in the daemon: two pipes, within a budget, as labelled lines.

`printing` is the worker's end; `lines` defines the form of a line; `folding` decides whether a repeated line is shown.

The pipe bounds a flood of output: at most `OUTPUT_BUDGET_READS` times `OUTPUT_READ_BYTES` are read in one turn of the
loop, and while reading is paused, a worker that has filled its pipe (64 KiB) waits in `print`.
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

_DRAIN_READS: Final = 64  # a dead worker's pipe holds less; only a process that outlived the worker writes more


class OutputReader:
    """Makes the two pipes of one worker and reads them; the loop's thread owns it.

    Fork the worker with `stdout_fd` and `stderr_fd`. Call `close_write_ends` after the fork; otherwise the end of the
    output is never read. Call `drain` when the worker has ended; `last_lines` is complete then.

    Args:
        loop: reads the pipes.
        label: the label of lines without one.
        on_lines: called with the lines of one read, in the order of their stream. The order between the two streams
            is lost.

    Raises:
        OSError: there are no descriptors for the pipes; nothing is left open.
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
        """The write end of standard output, for the worker."""
        return self._pipes[0].write_fd

    @property
    def stderr_fd(self) -> int:
        """The write end of standard error, for the worker."""
        return self._pipes[1].write_fd

    @property
    def last_lines(self) -> list[str]:
        """The last 50 lines of both streams, the oldest first: they tell how the worker died."""
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
        """Pause reading; the worker waits once its pipe is full."""
        for pipe in self._pipes:
            pipe.pause()

    def resume(self) -> None:
        """Resume reading."""
        for pipe in self._pipes:
            pipe.resume()

    def drain(self) -> None:
        """Read the rest of the output of a worker that has ended, with a last line without a newline; then close."""
        for pipe in self._pipes:
            pipe.read(_DRAIN_READS)
        self.close()

    def close(self) -> None:
        """Close every end; pass on a last line without a newline. Idempotent."""
        for pipe in self._pipes:
            pipe.close()


class _Pipe:
    """One pipe. Its read end does not block; its write end, for the worker, does."""

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
        """Read until nothing is left, the budget is spent, or a callback has closed the pipe."""
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
