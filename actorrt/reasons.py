"""Why an actor ended: typed exit reasons, in the terms of OTP.

A reason is plain data, so it can pass through processes that never unpickle. It holds the exception of an `error` as
text, and pickled: a process that may unpickle rebuilds the exception from `pickled`.
"""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self

from actorrt.texts import MAX_LINE_CHARACTERS, MAX_TRACEBACK_CHARACTERS, clipped


class ExitKind(StrEnum):
    """The kinds of ends that a supervisor distinguishes."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    ERROR = "error"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_LOST = "node_lost"
    INTENSITY = "intensity"


@dataclass(frozen=True, slots=True)
class ExitReason:
    """Why an actor ended.

    Attributes:
        kind: the kind of end.
        detail: one line for people, such as the exception's text or the last line that a process printed.
        traceback: the remote traceback of an `error`, or the stack of a crashed process; may be empty.
        signal: the number of the signal that ended the process, if one did.
        exit_status: the exit status of the process, if it exited.
        pickled: the pickled exception of an `error` and its buffers, for processes that may unpickle it.
    """

    kind: ExitKind
    detail: str = ""
    traceback: str = ""
    signal: int | None = None
    exit_status: int | None = None
    pickled: list[Any] | None = None

    @property
    def is_abnormal(self) -> bool:
        """Whether a transient child that ended for this reason is restarted (OTP: all but normal and shutdown)."""
        return self.kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    @property
    def size_bytes(self) -> int:
        """The approximate memory use of its texts and its exception."""
        parts = (self.detail, self.traceback, *(self.pickled or ()))
        return sum(len(part) for part in parts if isinstance(part, str | bytes | bytearray | memoryview))

    def __str__(self) -> str:
        if self.signal is not None:
            return f"{self.kind} ({_signal_name(self.signal)}){self._tail()}"
        if self.exit_status is not None:
            return f"{self.kind} (exit status {self.exit_status}){self._tail()}"
        return f"{self.kind}{self._tail()}"

    @property
    def in_full(self) -> str:
        """The reason in words, and below it the traceback, stack or last lines of output, if there are any."""
        return f"{self}\n{self.traceback}" if self.traceback else str(self)

    def _tail(self) -> str:
        return f": {self.detail}" if self.detail else ""

    def to_data(self) -> dict[str, Any]:
        """Return the reason as plain data for the wire. UTF-8 can encode its texts, and their length is bounded."""
        return {
            **{name: getattr(self, name) for name in _FIELDS},
            "detail": clipped(self.detail, MAX_LINE_CHARACTERS),
            "traceback": clipped(self.traceback, MAX_TRACEBACK_CHARACTERS),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Rebuild what `to_data` made."""
        return cls(**{**data, "kind": ExitKind(data["kind"])})


_FIELDS: Final = tuple(field.name for field in fields(ExitReason))


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


NORMAL = ExitReason(ExitKind.NORMAL)
SHUTDOWN = ExitReason(ExitKind.SHUTDOWN)
KILLED = ExitReason(ExitKind.KILLED)
