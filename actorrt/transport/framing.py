"""Pure: messages of several parts on a stream of bytes, which knows no messages.

A message is a head and any number of buffers. On the stream it is preceded by the length of the head (uint32), the
number of buffers (uint16) and the length of each (uint32), in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from actorrt.config import MAX_FRAME_BUFFERS_COUNT, MAX_FRAME_BYTES
from actorrt.transport.codec import BadFrameError
from actorrt.transport.protocol import Buffer

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


class FrameReader:
    """Cuts what arrives over one connection into messages.

    What arrives goes to `room`, and is taken by `arrived`. A message that is longer than the room has is put together
    in memory of its own, which its buffers keep. That grows with what arrives: what is only claimed gets none.

    Args:
        shared: where whatever arrives first goes; readers whose turns do not overlap can share it.
        most_bytes: how long a part may be.
    """

    __slots__ = ("_due", "_filled", "_message", "_most_bytes", "_shared", "_start")

    def __init__(self, shared: memoryview, most_bytes: int = MAX_FRAME_BYTES) -> None:
        self._shared = shared
        self._most_bytes = most_bytes
        self._start = b""  # of a message of which less than its lengths has arrived
        self._message: bytearray | None = None  # one that is being put together
        self._filled = self._due = 0  # what of it has arrived, and how long it is to be

    @property
    def room(self) -> memoryview:
        """Where the next bytes are to go."""
        return self._shared if self._message is None else memoryview(self._message)[self._filled :]

    def arrived(self, count: int) -> list[Message]:
        """Take `count` bytes that were put into `room`; return the messages that are complete now.

        Heads are valid until the next bytes arrive; buffers for as long as they are kept.

        Raises:
            BadFrameError: the lengths are beyond what is allowed; the connection is of no more use.
        """
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
            if after > end:
                self._put_together(data[position:], after - position)
                return messages
            head = data[first : first + head_bytes]
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
