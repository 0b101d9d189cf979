"""Pure: cuts a stream of bytes into messages of several parts, and packs such messages for a stream.

A message is a head and any number of buffers. On the stream, the length of the head (uint32), the number of buffers
(uint16) and the length of each buffer (uint32) precede it, in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from actorrt.config import MAX_FRAME_BYTES
from actorrt.transport.frames.codec import MAX_FRAME_BUFFERS_COUNT, BadFrameError
from actorrt.transport.interfaces import Buffer, Landing

_START: Final = struct.Struct(">IH")
START_BYTES: Final = _START.size

Message = tuple[Buffer, Sequence[Buffer]]


def pack_start(parts: Sequence[Buffer]) -> bytes:
    """Return the lengths that precede a message of these parts on the stream. All parts have items of one byte."""
    start = _START.pack(len(parts[0]), len(parts) - 1)
    if len(parts) == 1:
        return start
    return start + struct.pack(f">{len(parts) - 1}I", *[len(part) for part in parts[1:]])


_GROWTH: Final = 32  # a large factor, since each reallocation copies all bytes that have arrived


FindLanding = Callable[[memoryview, int], Landing | None]
"""Called with the head of a message and the length of its one buffer; returns a landing for the buffer, or None."""


class FrameReader:
    """Cuts the bytes of one connection into messages.

    The caller receives bytes into `target`, and then calls `arrived`. A message that is longer than the shared memory
    is assembled in memory of its own, which its buffers keep alive. That memory grows with the bytes that arrive; a
    claimed length allocates nothing. A buffer with a landing arrives in the landing, and is not copied again.

    Args:
        shared: the memory in which bytes arrive first; readers whose calls do not overlap can share it.
        most_bytes: the greatest length of a part.
        find_landing: called for messages with exactly one buffer, which is longer than the shared memory.
    """

    __slots__ = (
        "_due",
        "_filled",
        "_find_landing",
        "_head",
        "_landing",
        "_message",
        "_most_bytes",
        "_shared",
        "_start",
    )

    def __init__(
        self, shared: memoryview, most_bytes: int = MAX_FRAME_BYTES, find_landing: FindLanding | None = None
    ) -> None:
        self._shared = shared
        self._most_bytes = most_bytes
        self._find_landing = find_landing
        self._start = b""  # the bytes of a message whose lengths have not all arrived
        self._message: bytearray | None = None  # the message that is being assembled
        self._landing: Landing | None = None  # or the landing of its buffer; then `_head` is its head
        self._head = b""
        self._filled = self._due = 0  # the bytes of either that have arrived, and its length

    @property
    def target(self) -> memoryview:
        """The memory into which the next bytes are to be received."""
        if self._landing is not None:
            memory = self._landing.memory
            return self._shared[: self._due - self._filled] if memory is None else memory[self._filled :]
        return self._shared if self._message is None else memoryview(self._message)[self._filled :]

    def arrived(self, count: int) -> list[Message]:
        """Take the `count` bytes that were received into `target`; return the messages that are complete now.

        Heads are valid until the next bytes arrive; buffers are valid as long as they are referenced.

        Raises:
            BadFrameError: a length is over its limit; the connection must be closed.
        """
        if self._landing is not None:
            self._filled += count
            return [] if self._filled < self._due else [self._landed(self._landing)]
        if self._message is not None:
            self._filled += count
            if self._filled < self._due:
                if self._filled == len(self._message):
                    self._message = self._grown(self._message)
                return []
            message, self._message = memoryview(self._message).toreadonly(), None
            return self._cut(message, is_kept=True)
        data = self._shared[:count]
        if self._start:
            data, self._start = memoryview(self._start + data), b""
        return self._cut(data, is_kept=False)

    def _cut(self, data: memoryview, *, is_kept: bool) -> list[Message]:
        messages: list[Message] = []
        position, end = 0, len(data)
        while end - position >= START_BYTES:
            head_bytes, buffers_count = _START.unpack_from(data, position)
            if buffers_count or head_bytes > self._most_bytes:
                lengths = self._lengths(data, position, head_bytes, buffers_count)
                if lengths is None:
                    break
            else:
                lengths = ()
            first = position + START_BYTES + 4 * buffers_count
            after = first + head_bytes + sum(lengths)
            head = data[first : first + head_bytes]
            if after > end:
                is_head_here = len(head) == head_bytes and len(lengths) == 1
                if not is_head_here or not self._begin_landing(head, data[first + head_bytes :], lengths[0]):
                    self._assemble(data[position:], after - position)
                return messages
            messages.append((head, _buffers(data, first + head_bytes, lengths, is_kept) if lengths else ()))
            position = after
        self._start = bytes(data[position:])
        return messages

    def _lengths(self, data: memoryview, position: int, head_bytes: int, buffers_count: int) -> Sequence[int] | None:
        """Return the lengths of a message's buffers; None if they have not all arrived."""
        if buffers_count > MAX_FRAME_BUFFERS_COUNT:
            raise BadFrameError(f"a message of {buffers_count} buffers; {MAX_FRAME_BUFFERS_COUNT} are allowed")
        if len(data) - position < START_BYTES + 4 * buffers_count:
            return None
        lengths = struct.unpack_from(f">{buffers_count}I", data, position + START_BYTES)
        if max(head_bytes, *lengths, 0) > self._most_bytes:
            raise BadFrameError(f"a part of {max(head_bytes, *lengths, 0)} bytes; {self._most_bytes} are allowed")
        return lengths

    def _begin_landing(self, head: memoryview, beginning: memoryview, length: int) -> bool:
        """Let a buffer arrive in the receiver's landing; return False if the receiver gives none."""
        if self._find_landing is None or length <= len(self._shared):
            return False
        landing = self._find_landing(head, length)
        if landing is None or landing.memory is None:
            return False
        self._landing, self._head = landing, bytes(head)
        self._filled, self._due = len(beginning), length
        landing.memory[: len(beginning)] = beginning
        return True

    def _landed(self, landing: Landing) -> Message:
        self._landing = None
        return self._head, (b"" if landing.memory is None else landing.memory,)

    def _assemble(self, beginning: memoryview, length: int) -> None:
        self._filled, self._due = len(beginning), length
        self._message = self._grown(beginning)

    def _grown(self, beginning: bytearray | memoryview) -> bytearray:
        """Return a copy of the beginning of a message, with space for more, at most for the whole message."""
        message = bytearray(min(self._due, max(_GROWTH * len(beginning), len(self._shared))))
        message[: len(beginning)] = beginning
        return message


def _buffers(data: memoryview, position: int, lengths: Sequence[int], is_kept: bool) -> list[Buffer]:
    buffers: list[Buffer] = []
    for length in lengths:
        buffer = data[position : position + length]
        buffers.append(buffer if is_kept else bytes(buffer))
        position += length
    return buffers
