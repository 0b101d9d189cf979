"""Pure: what one link holds back, as frames: packed envelopes in, numbered frames out.

Invariants: frames leave in the order of their numbers; a frame stays in the window until it is acknowledged; what is
queued and what is unacknowledged are bounded together, in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorrt.config import (
    FRAME_CUT_BYTES,
    INLINE_BUFFERS_BYTES,
    MAX_FRAME_BUFFERS_COUNT,
    MAX_INLINE_BUFFERS_COUNT,
)
from actorrt.errors import MailboxFullError
from actorrt.transport.frames.codec import Attachment, join_head
from actorrt.transport.frames.sequence import Frame, Window
from actorrt.transport.interfaces import Buffer

_ENVELOPE_COST_BYTES: Final = 16  # counted on top of each envelope, so that their number in a frame is bounded too


class Outbox:
    """The queue of one link.

    Args:
        limit_bytes: how much may be held, exceeded by less than `FRAME_CUT_BYTES`; an envelope that finds nothing
            there is taken at any size.
        first: the number of the first frame.

    Attributes:
        window: the frames that were made, until they are acknowledged.
    """

    __slots__ = ("_attachments", "_buffers", "_envelopes", "_limit_bytes", "_open_bytes", "window")

    def __init__(self, limit_bytes: int, first: int = 0) -> None:
        self._limit_bytes = limit_bytes
        self.window = Window(first)
        self._envelopes: list[bytes] = []
        self._attachments: list[Attachment] = []
        self._buffers: list[Buffer] = []
        self._open_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether anything was added since the last frame."""
        return bool(self._envelopes)

    @property
    def queued_bytes(self) -> int:
        """Bytes that have not been handed over, a little more rather than less."""
        return self.window.waiting_bytes + self._open_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes that have not been acknowledged, those that have not been handed over included."""
        return self.window.unacknowledged_bytes + self._open_bytes

    @property
    def envelope_count(self) -> int:
        """Envelopes that have not been handed over."""
        return len(self._envelopes) + sum(envelope_count for _, envelope_count, _ in self.window.waiting)

    def add(self, packed: bytes, buffers: Sequence[Buffer] = ()) -> int:
        """Queue an envelope behind all others; return the bytes that `seal` would make a frame of.

        Raises:
            MailboxFullError: the bound is reached; nothing is queued.
        """
        open_bytes = self._open_bytes + len(packed) + _ENVELOPE_COST_BYTES
        if open_bytes > FRAME_CUT_BYTES or buffers:
            open_bytes = self._make_room(packed, buffers)
        self._envelopes.append(packed)
        self._open_bytes = open_bytes
        return open_bytes

    def _make_room(self, packed: bytes, buffers: Sequence[Buffer]) -> int:
        """Start another frame where this one is full, and attach the buffers; return the open frame's bytes."""
        buffers_bytes = sum([memoryview(buffer).nbytes for buffer in buffers])
        size_bytes = len(packed) + _ENVELOPE_COST_BYTES + buffers_bytes
        if self.held_bytes and self.held_bytes + size_bytes > self._limit_bytes:
            raise MailboxFullError(
                f"{self.held_bytes} bytes wait for this peer, which takes them too slowly or not at all "
                f"(bound: {self._limit_bytes}); wait for replies before sending more"
            )
        is_full = self._open_bytes + size_bytes > FRAME_CUT_BYTES
        if is_full or len(self._buffers) + len(buffers) > MAX_FRAME_BUFFERS_COUNT:
            self.seal()
        if buffers:
            self._attach(buffers, buffers_bytes)
        return self._open_bytes + size_bytes

    def _attach(self, buffers: Sequence[Buffer], size_bytes: int) -> None:
        """Attach buffers to the envelope that is added next; a part of its own costs more than a small copy."""
        if size_bytes <= INLINE_BUFFERS_BYTES and len(buffers) <= MAX_INLINE_BUFFERS_COUNT:
            self._attachments.append((len(self._envelopes), [bytes(buffer) for buffer in buffers]))
        else:
            self._attachments.append((len(self._envelopes), len(buffers)))
            self._buffers += buffers

    def seal(self, acknowledged: int = 0) -> None:
        """Put what was added since the last frame into the window, as another one, if there was anything."""
        if self._envelopes:
            self.window.push(self.make_frame(acknowledged))

    def make_frame(self, acknowledged: int = 0) -> Frame:
        """Return what was added since the last frame as the next one, which is to go into the window.

        Args:
            acknowledged: the number below which everything has been taken that came the other way.
        """
        envelopes = self._envelopes
        head = join_head(self.window.next, acknowledged, envelopes, self._attachments)
        frame: Frame = ((head,), len(envelopes), len(head))
        if self._attachments:
            size_bytes = len(head) + sum([memoryview(buffer).nbytes for buffer in self._buffers])
            frame = ((head, *self._buffers), len(envelopes), size_bytes)
            self._attachments = []
            self._buffers = []
        self._envelopes = []
        self._open_bytes = 0
        return frame

    def clear(self) -> int:
        """Discard everything; return how many envelopes had not been handed over."""
        envelope_count = self.envelope_count
        self.window.clear()
        self._envelopes = []
        self._attachments = []
        self._buffers = []
        self._open_bytes = 0
        return envelope_count
