"""Pure: what one link holds back, as frames: packed envelopes in, numbered frames out.

Invariants: frames leave in the order of their numbers; a frame stays in front until it is taken away, so one that
the connection would not take is offered again; what is queued is bounded in bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from actorrt.config import FRAME_CUT_BYTES, MAX_FRAME_BUFFERS_COUNT
from actorrt.errors import MailboxFullError
from actorrt.transport.codec import Attachment, join_head
from actorrt.transport.protocol import Buffer

_ENVELOPE_COST_BYTES: Final = 16  # counted on top of each envelope, so that their number in a frame is bounded too


class Frame(NamedTuple):
    """A message, ready to leave: its parts, how many envelopes it carries, and the bytes of all parts."""

    parts: Sequence[Buffer]
    envelope_count: int
    size_bytes: int


class Outbox:
    """The queue of one link.

    Args:
        limit_bytes: how much may be queued, exceeded by less than `FRAME_CUT_BYTES`; an envelope that finds the queue
            empty is taken at any size.

    Attributes:
        frames: what is sealed, in order. For reading; `take` removes the first.
    """

    __slots__ = (
        "_attachments",
        "_buffers",
        "_envelopes",
        "_limit_bytes",
        "_open_bytes",
        "_sealed_bytes",
        "_sequence",
        "frames",
    )

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.frames: deque[Frame] = deque()
        self._sealed_bytes = 0
        self._envelopes: list[bytes] = []
        self._attachments: list[Attachment] = []
        self._buffers: list[Buffer] = []
        self._open_bytes = 0
        self._sequence = 0

    @property
    def queued_bytes(self) -> int:
        """Bytes that have not been taken away, a little more rather than less."""
        return self._sealed_bytes + self._open_bytes

    @property
    def envelope_count(self) -> int:
        """Envelopes that have not been taken away."""
        return len(self._envelopes) + sum(frame.envelope_count for frame in self.frames)

    def add_notice(self, notice: bytes) -> None:
        """Queue a message that is no frame and has no number."""
        self._push(Frame((notice,), 0, len(notice)))

    def add(self, packed: bytes, buffers: Sequence[Buffer] = ()) -> None:
        """Queue an envelope behind all others.

        Raises:
            MailboxFullError: the queue is at its bound; nothing is queued.
        """
        open_bytes = self._open_bytes + len(packed) + _ENVELOPE_COST_BYTES
        if open_bytes > FRAME_CUT_BYTES or buffers:
            open_bytes = self._make_room(packed, buffers)
        if buffers:
            self._attachments.append((len(self._envelopes), len(buffers)))
            self._buffers += buffers
        self._envelopes.append(packed)
        self._open_bytes = open_bytes

    def _make_room(self, packed: bytes, buffers: Sequence[Buffer]) -> int:
        """Start another frame where this one is full; return the bytes of the open frame with the envelope in it."""
        size_bytes = len(packed) + _ENVELOPE_COST_BYTES + sum(memoryview(buffer).nbytes for buffer in buffers)
        if self.queued_bytes and self.queued_bytes + size_bytes > self._limit_bytes:
            raise MailboxFullError(
                f"{self.queued_bytes} bytes wait for this peer, which takes them too slowly or not at all "
                f"(bound: {self._limit_bytes}); wait for replies before sending more"
            )
        is_full = self._open_bytes + size_bytes > FRAME_CUT_BYTES
        if is_full or len(self._buffers) + len(buffers) > MAX_FRAME_BUFFERS_COUNT:
            self.seal()
        return self._open_bytes + size_bytes

    def seal(self) -> None:
        """Make a frame of what was added since the last one."""
        if not self._envelopes:
            return
        head = join_head(self._sequence, self._envelopes, self._attachments)
        size_bytes = len(head)
        parts: Sequence[Buffer] = (head,)
        if self._buffers:
            size_bytes += sum(memoryview(buffer).nbytes for buffer in self._buffers)
            parts = (head, *self._buffers)
            self._attachments = []
            self._buffers = []
        self._sequence += 1
        self._push(Frame(parts, len(self._envelopes), size_bytes))
        self._envelopes = []
        self._open_bytes = 0

    def _push(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._sealed_bytes += frame.size_bytes

    def take(self) -> None:
        """Forget the front frame: the connection has it."""
        self._sealed_bytes -= self.frames.popleft().size_bytes

    def clear(self) -> int:
        """Discard everything; return how many envelopes that were."""
        envelope_count = self.envelope_count
        self.frames.clear()
        self._envelopes = []
        self._attachments = []
        self._buffers = []
        self._sealed_bytes = self._open_bytes = 0
        return envelope_count
