"""What has happened in a run: who sent what to whom, when, and what failed. Messages are read only when it is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from actorrt.ids import ID_BYTES
from actorrt.protocol import envelopes
from actorrt.transport.frames.codec import BadFrameError, is_frame, is_notice, read_head
from actorrt.transport.interfaces import Buffer

KEPT_COUNT: Final = 20_000
_FIELD_LENGTH: Final = 150
_KINDS: Final = {
    value: name.lower().replace("_", " ")
    for name, value in vars(envelopes).items()
    if name.isupper() and type(value) is int and name != "STREAM_WINDOW_ITEMS"
}


class Journal:
    """The last events of a run.

    Args:
        now: returns the virtual time.
        start_s: the time that counts as zero.
    """

    def __init__(self, now: Callable[[], float], start_s: float) -> None:
        self._now = now
        self._start_s = start_s
        self._events: deque[tuple[float, str, Buffer | None]] = deque(maxlen=KEPT_COUNT)

    def note(self, text: str) -> None:
        """Note an event."""
        self._events.append((self._now(), text, None))

    def arrived(self, now: float, way: str, head: Buffer) -> None:
        """Note a message that arrives now; `way` names its sender and its receiver."""
        self._events.append((now, way, head))

    def lines(self) -> list[str]:
        """Return the events, oldest first, a line each."""
        return [
            f"{when - self._start_s:12.6f}  {text}"
            for when, what, head in self._events
            for text in ([what] if head is None else (f"{what}: {part}" for part in _parts(head)))
        ]


def _parts(head: Buffer) -> Iterable[str]:
    """Return what a message says, a text for each envelope."""
    if is_notice(head):
        return ["notice"]
    if not is_frame(head):
        return ["acknowledgement" if len(head) == 9 else "name of a connection"]
    try:
        _, _, packed, _ = read_head(head)
    except BadFrameError as error:
        return [f"a bad frame: {error}"]
    return [_text(envelope) for envelope in packed] or ["probe"]


def _text(envelope: list[Any]) -> str:
    kind, *fields = envelope
    return f"{_KINDS.get(kind, kind)} {' '.join(map(_short, fields))}"


def _short(field: Any) -> str:
    text = _readable(field)
    return text if len(text) <= _FIELD_LENGTH else f"{text[:_FIELD_LENGTH]}..."


def _readable(value: Any) -> str:
    """Return a value in words: ids as in the labels of actors, and records without the fields that are not set."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()[:8] if len(value) == ID_BYTES else f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return f"({', '.join(f'{name}={_readable(part)}' for name, part in value.items() if part is not None)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_readable, value))}]"
    return value if isinstance(value, str) else repr(value)
