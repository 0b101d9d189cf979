"""Pure: messages of several parts on a stream of bytes, which knows no messages.

A message is a head and any number of buffers. On the stream it is preceded by the length of the head (uint32), the
number of buffers (uint16) and the length of each (uint32), in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from actorrt.config import MAX_FRAME_BUFFERS_COUNT, MAX_FRAME_BYTES
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.interfaces import Buffer

_START: Final = struct.Struct(">IH")
START_BYTES: Final = _START.size

Message = tuple[Buffer, Sequence[Buffer]]


def pack_start(parts: Sequence[Buffer]) -> bytes:
    """Return what precedes a message of these parts, all of single bytes, on the stream."""
    start = _START.pack(len(parts[0]), len(parts) - 1)
    if len(parts) == 1:
        return start
    return start + struct.pack(f">{len(parts) - 1}I", *[len(part) for part in parts[1:]])


_GROWTH: Final = 32  # by so much at a time: to begin anew, and copy, costs a large message as much as to receive it


class Landing:
    """Memory of the receiver's, into which one buffer arrives.

    Attributes:
        memory: of the buffer's length; None once it was taken back: what still arrives is thrown away.
    """

    __slots__ = ("memory",)

    def __init__(self, memory: memoryview) -> None:
        self.memory: memoryview | None = memory

    def recall(self) -> None:
        """Take the memory back: from now on nothing is written there."""
        self.memory = None


FindLanding = Callable[[memoryview, int], Landing | None]
"""Told the head of a message and the length of its one buffer, says where that is to arrive; None: anywhere."""


class FrameReader:
    """Cuts what arrives over one connection into messages.

    What arrives goes to `room`, and is taken by `arrived`. A message that is longer than the room has is put together
    in memory of its own, which its buffers keep. That grows with what arrives: what is only claimed gets none. A
    buffer for which there is a landing arrives there, and is copied no more.

    Args:
        shared: where whatever arrives first goes; readers whose turns do not overlap can share it.
        most_bytes: how long a part may be.
        find_landing: asked for messages longer than the room that have one buffer.
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
        self._start = b""  # of a message of which less than its lengths has arrived
        self._message: bytearray | None = None  # one that is being put together
        self._landing: Landing | None = None  # or where its buffer arrives, and its head
        self._head = b""
        self._filled = self._due = 0  # what of either has arrived, and how long it is to be

    @property
    def room(self) -> memoryview:
        """Where the next bytes are to go."""
        if self._landing is not None:
            memory = self._landing.memory
            return self._shared[: self._due - self._filled] if memory is None else memory[self._filled :]
        return self._shared if self._message is None else memoryview(self._message)[self._filled :]

    def arrived(self, count: int) -> list[Message]:
        """Take `count` bytes that were put into `room`; return the messages that are complete now.

        Heads are valid until the next bytes arrive; buffers for as long as they are kept.

        Raises:
            BadFrameError: the lengths are beyond what is allowed; the connection is of no more use.
        """
        if self._landing is not None:
            self._filled += count
            return [] if self._filled < self._due else [self._landed(self._landing)]
        if self._message is not None:
            self._filled += count
            if self._filled < self._due:
                if self._filled == len(self._message):
                    self._message = self._with_room(self._message)
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
                    self._put_together(data[position:], after - position)
                return messages
            messages.append((head, _buffers(data, first + head_bytes, lengths, is_kept) if lengths else ()))
            position = after
        self._start = bytes(data[position:])
        return messages

    def _lengths(self, data: memoryview, position: int, head_bytes: int, buffers_count: int) -> Sequence[int] | None:
        """Return the lengths of a message's buffers; None where they have not arrived yet."""
        if buffers_count > MAX_FRAME_BUFFERS_COUNT:
            raise BadFrameError(f"a message of {buffers_count} buffers")
        if len(data) - position < START_BYTES + 4 * buffers_count:
            return None
        lengths = struct.unpack_from(f">{buffers_count}I", data, position + START_BYTES)
        if max(head_bytes, *lengths, 0) > self._most_bytes:
            raise BadFrameError(f"a part of {max(head_bytes, *lengths, 0)} bytes, of {self._most_bytes} at the most")
        return lengths

    def _begin_landing(self, head: memoryview, beginning: memoryview, length: int) -> bool:
        """Have a buffer arrive where the receiver wants it; False where it does not say."""
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

    def _put_together(self, beginning: memoryview, length: int) -> None:
        self._filled, self._due = len(beginning), length
        self._message = self._with_room(beginning)

    def _with_room(self, beginning: bytearray | memoryview) -> bytearray:
        """Return the beginning of a message in memory that takes many times as much, as far as it is that long."""
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
