"""Pure: the queue of one link: packed envelopes in, numbered frames out.

Invariants: frames leave in the order of their numbers. A frame stays in the window until it is acknowledged. One bound
limits the sum of the queued and the unacknowledged bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorrt.config import KIB
from actorrt.errors import MailboxFullError
from actorrt.transport.frames.codec import MAX_FRAME_BUFFERS_COUNT, Attachment, join_head
from actorrt.transport.frames.sequence import Frame, SendWindow
from actorrt.transport.interfaces import Buffer

FRAME_CUT_BYTES: Final = 256 * KIB
"""An envelope that would make a frame larger than this goes into the next frame."""
INLINE_BUFFERS_BYTES: Final = 4 * KIB
"""Buffers of an envelope up to this size together are copied into the head; sending them as parts would cost more."""
MAX_INLINE_BUFFERS_COUNT: Final = 16
_ENVELOPE_COST_BYTES: Final = 16  # added to the size of each envelope, which bounds the number of envelopes in a frame


class Outbox:
    """The queue of one link.

    Args:
        limit_bytes: the bound of the bytes that are held. It may be exceeded by less than `FRAME_CUT_BYTES`, and an
            empty outbox accepts an envelope of any size.
        first: the number of the first frame.

    Attributes:
        window: the frames that are not acknowledged.
    """

    __slots__ = ("_attachments", "_buffers", "_envelopes", "_limit_bytes", "_open_bytes", "window")

    def __init__(self, limit_bytes: int, first: int = 0) -> None:
        self._limit_bytes = limit_bytes
        self.window = SendWindow(first)
        self._envelopes: list[bytes] = []
        self._attachments: list[Attachment] = []
        self._buffers: list[Buffer] = []
        self._open_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether an envelope was added since the last frame."""
        return bool(self._envelopes)

    @property
    def queued_bytes(self) -> int:
        """Bytes that have not been handed to the connection, overestimated by a few bytes for each envelope."""
        return self.window.waiting_bytes + self._open_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes that have not been acknowledged, including those that have not been handed over."""
        return self.window.unacknowledged_bytes + self._open_bytes

    @property
    def envelope_count(self) -> int:
        """The number of envelopes that have not been handed to the connection."""
        return len(self._envelopes) + sum(envelope_count for _, envelope_count, _ in self.window.waiting)

    def add(self, packed: bytes, buffers: Sequence[Buffer] = ()) -> int:
        """Queue an envelope behind all others; return the size of the frame that `seal` would make.

        Raises:
            MailboxFullError: the bound is reached; nothing is queued.
        """
        open_bytes = self._open_bytes + len(packed) + _ENVELOPE_COST_BYTES
        if open_bytes > FRAME_CUT_BYTES or buffers:
            open_bytes = self._admit(packed, buffers)
        self._envelopes.append(packed)
        self._open_bytes = open_bytes
        return open_bytes

    def _admit(self, packed: bytes, buffers: Sequence[Buffer]) -> int:
        """Check the bound, begin another frame if this one is full, attach the buffers; return the frame's new size."""
        buffers_bytes = sum([memoryview(buffer).nbytes for buffer in buffers])
        size_bytes = len(packed) + _ENVELOPE_COST_BYTES + buffers_bytes
        if self.held_bytes and self.held_bytes + size_bytes > self._limit_bytes:
            raise MailboxFullError(
                f"{self.held_bytes} bytes wait for this peer, which reads too slowly or not at all "
                f"(bound: {self._limit_bytes}); wait for replies before sending more"
            )
        is_full = self._open_bytes + size_bytes > FRAME_CUT_BYTES
        if is_full or len(self._buffers) + len(buffers) > MAX_FRAME_BUFFERS_COUNT:
            self.seal()
        if buffers:
            self._attach(buffers, buffers_bytes)
        return self._open_bytes + size_bytes

    def _attach(self, buffers: Sequence[Buffer], size_bytes: int) -> None:
        """Attach buffers to the envelope that is added next."""
        if size_bytes <= INLINE_BUFFERS_BYTES and len(buffers) <= MAX_INLINE_BUFFERS_COUNT:
            self._attachments.append((len(self._envelopes), [bytes(buffer) for buffer in buffers]))
        else:
            self._attachments.append((len(self._envelopes), len(buffers)))
            self._buffers += buffers

    def seal(self, acknowledged: int = 0) -> None:
        """Make a frame of the envelopes that were added since the last frame, if any, and push it into the window."""
        if self._envelopes:
            self.window.push(self.make_frame(acknowledged))

    def make_frame(self, acknowledged: int = 0) -> Frame:
        """Return a frame of the envelopes that were added since the last frame. The caller must push it.

        Args:
            acknowledged: the number below which every frame of the other direction has been received.
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
        """Discard everything; return how many envelopes had not been handed to the connection."""
        envelope_count = self.envelope_count
        self.window.clear()
        self._envelopes = []
        self._attachments = []
        self._buffers = []
        self._open_bytes = 0
        return envelope_count
