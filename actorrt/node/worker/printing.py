"""The `sys.stdout` and `sys.stderr` of a worker: unbuffered whole lines, marked with the actor that printed them.

A line has left the process when `print` returns, so a crash right after it loses nothing. `output` reads the lines.

Invariant: text between two newlines on the descriptor is from one speaker, which is one label in one thread.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Final

from actorrt.config import MAX_LINE_BYTES
from actorrt.node.processes.lines import marker

_Speaker = tuple[str, int]

_MAX_PARTIALS: Final = 100  # speakers with an unfinished line; beyond that, the oldest line is ended


class LabelledWriter(io.TextIOBase):
    """A text stream on a descriptor, for any thread. Writing blocks while the pipe is full.

    Text without a newline waits for a newline or for `flush`. After a flush the line stays open: the next text of the
    same speaker continues it; text of another speaker begins a new line.

    Args:
        fd: the descriptor; the caller closes it.
        label_of_current_actor: called in the printing thread and context; returns the label of the actor that prints,
            empty for the worker itself.
    """

    encoding = "utf-8"
    errors = "backslashreplace"
    line_buffering = True

    def __init__(self, fd: int, label_of_current_actor: Callable[[], str]) -> None:
        self._fd = fd
        self._label_of_current_actor = label_of_current_actor
        self._partials: dict[_Speaker, str] = {}
        self._open_speaker: _Speaker | None = None
        self._lock = threading.RLock()  # reentrant: a signal handler may print while its thread prints
        self.buffer = io.FileIO(fd, "w", closefd=False)

    def reset_lock(self) -> None:
        """Make a new lock: in a forked child, the thread that holds the old one does not exist."""
        self._lock = threading.RLock()

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: object) -> None:
        """Accept the arguments of `io.TextIOWrapper.reconfigure`, but change nothing."""

    def _speaker(self) -> _Speaker:
        return self._label_of_current_actor(), threading.get_ident()

    def write(self, text: str) -> int:
        """Write the lines that `text` completes; return the number of its characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        speaker = self._speaker()
        with self._lock:
            whole, newline, rest = (self._partials.pop(speaker, "") + text).rpartition("\n")
            if newline:
                self._emit(speaker, whole + newline)
            if len(rest) > MAX_LINE_BYTES:
                self._emit(speaker, rest)
            elif rest:
                self._keep(speaker, rest)
        return len(text)

    def _keep(self, speaker: _Speaker, rest: str) -> None:
        self._partials[speaker] = rest
        if len(self._partials) > _MAX_PARTIALS:
            oldest = next(iter(self._partials))
            self._emit(oldest, self._partials.pop(oldest))

    def flush(self) -> None:
        """Write the unfinished line of the current speaker."""
        if self.closed:
            return
        speaker = self._speaker()
        with self._lock:
            partial = self._partials.pop(speaker, "")
            if partial:
                self._emit(speaker, partial)

    def close(self) -> None:
        """Write the unfinished lines of all speakers; nothing can be written afterwards. Idempotent."""
        with self._lock:
            partials, self._partials = self._partials, {}
            for speaker, partial in partials.items():
                self._emit(speaker, partial)
        super().close()

    def _emit(self, speaker: _Speaker, text: str) -> None:
        mark = marker(speaker[0])
        lines = text.split("\n")
        tail = lines.pop()
        if tail:
            lines.append(tail)
        marked = mark + f"\n{mark}".join(lines) + ("" if tail else "\n")
        if self._open_speaker == speaker:
            marked = marked[len(mark) :]
        elif self._open_speaker is not None:
            marked = "\n" + marked
        self._open_speaker = speaker if tail else None
        _write_all(self._fd, marked.encode("utf-8", "backslashreplace"))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # a subprocess that shares the pipe has made it non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()


def install_output(label_of_current_actor: Callable[[], str]) -> None:
    """Replace this process's standard output and error by `LabelledWriter`s."""
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout = sys.__stdout__ = _install(1, label_of_current_actor)  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = _install(2, label_of_current_actor)  # type: ignore[assignment,misc]


def _install(fd: int, label_of_current_actor: Callable[[], str]) -> LabelledWriter:
    writer = LabelledWriter(fd, label_of_current_actor)
    os.register_at_fork(after_in_child=writer.reset_lock)
    return writer
