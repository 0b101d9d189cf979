"""Messages on a stream of bytes, case by case; `tests/property/test_framing.py` cuts streams at random."""

from __future__ import annotations

import struct

import pytest

from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.frames.framing import START_BYTES, FrameReader, pack_start
from actorrt.transport.interfaces import Buffer, Landing

SHARED_BYTES = 256


class Stream:
    """A reader that gets bytes in pieces, and the messages that it returned."""

    def __init__(self, landing: Landing | None = None) -> None:
        self.asked: list[tuple[bytes, int]] = []
        self._landing = landing
        shared = memoryview(bytearray(SHARED_BYTES))
        self.reader = FrameReader(shared, most_bytes=100_000, find_landing=self._find)
        self.messages: list[tuple[bytes, list[bytes]]] = []
        self.buffers: list[Buffer] = []

    def _find(self, head: memoryview, size_bytes: int) -> Landing | None:
        self.asked.append((bytes(head), size_bytes))
        return self._landing

    def write(self, data: bytes) -> None:
        while data:
            target = self.reader.target
            count = min(len(target), len(data))
            target[:count], data = data[:count], data[count:]
            for head, buffers in self.reader.arrived(count):
                self.messages.append((bytes(head), [bytes(buffer) for buffer in buffers]))
                self.buffers += buffers


def packed(head: bytes, *buffers: bytes) -> bytes:
    return pack_start((head, *buffers)) + head + b"".join(buffers)


def test_start_tells_the_lengths_in_network_order() -> None:
    assert pack_start((b"head",)) == struct.pack(">IH", 4, 0)
    assert pack_start((b"head", b"", b"abc")) == struct.pack(">IHII", 4, 2, 0, 3)


def test_several_messages_in_one_piece_come_out_in_order() -> None:
    stream = Stream()
    stream.write(packed(b"a") + packed(b"b", b"1", b"") + packed(b"c"))
    assert stream.messages == [(b"a", []), (b"b", [b"1", b""]), (b"c", [])]


@pytest.mark.parametrize("cut", range(1, START_BYTES + 4 + 3))
def test_message_that_arrives_in_two_pieces_comes_out_once_it_is_complete(cut: int) -> None:
    data = packed(b"head", b"buffer")
    stream = Stream()
    stream.write(data[:cut])
    assert stream.messages == []
    stream.write(data[cut:] + packed(b"next"))
    assert stream.messages == [(b"head", [b"buffer"]), (b"next", [])]


def test_message_longer_than_the_shared_memory_is_assembled() -> None:
    stream = Stream()
    stream.write(packed(b"h" * 1000, b"b" * 50_000, b"c" * 30_000) + packed(b"next"))
    assert stream.messages == [(b"h" * 1000, [b"b" * 50_000, b"c" * 30_000]), (b"next", [])]


def test_buffer_arrives_in_its_landing() -> None:
    landing = Landing(memoryview(bytearray(1000)))
    stream = Stream(landing)
    stream.write(packed(b"head", b"x" * 1000) + packed(b"next"))
    assert stream.asked == [(b"head", 1000)]
    assert stream.messages == [(b"head", [b"x" * 1000]), (b"next", [])]
    assert stream.buffers[0] is landing.memory


def test_landing_is_not_asked_for_where_a_message_fits_or_has_several_buffers() -> None:
    stream = Stream()
    stream.write(packed(b"head", b"x" * 10) + packed(b"head", b"x" * 1000, b"y"))
    assert stream.asked == []


def test_landing_that_is_recalled_receives_nothing_more_and_the_message_has_an_empty_buffer() -> None:
    memory = bytearray(1000)
    landing = Landing(memoryview(memory))
    stream = Stream(landing)
    data = packed(b"head", b"x" * 1000)
    stream.write(data[:500])
    landing.recall()
    stream.write(data[500:] + packed(b"next"))
    assert stream.messages == [(b"head", [b""]), (b"next", [])]
    assert memory.count(b"x"[0]) == 500 - len(packed(b"head", b""))


@pytest.mark.parametrize(
    ("start", "complaint"),
    [
        (struct.pack(">IH", 100_001, 0), "a part of 100001 bytes; 100000 are allowed"),
        (struct.pack(">IHI", 1, 1, 100_001), "a part of 100001 bytes; 100000 are allowed"),
        (struct.pack(">IH", 1, 1025), "a message of 1025 buffers; 1024 are allowed"),
    ],
)
def test_length_over_its_limit_is_refused(start: bytes, complaint: str) -> None:
    with pytest.raises(BadFrameError, match=complaint):
        Stream().write(start)
