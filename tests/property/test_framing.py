"""Messages on a stream are read unchanged, wherever the stream is cut; impossible lengths are refused."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.config import MAX_FRAME_BYTES
from actorrt.transport.frames.codec import MAX_FRAME_BUFFERS_COUNT, BadFrameError
from actorrt.transport.frames.framing import START_BYTES, FrameReader, pack_start
from actorrt.transport.interfaces import Landing

ROOM_BYTES = 64
PARTS = st.lists(st.binary(max_size=200), min_size=1, max_size=4)


def on_stream(messages):
    """Return the bytes of the messages, one after the other."""
    return b"".join(pack_start(parts) + b"".join(parts) for parts in messages)


def fed(reader, data, cuts):
    """Feed the data to the reader in pieces, whose greatest sizes repeat `cuts`; return the messages."""
    made = []
    turn = 0
    while data:
        target = reader.target
        count = min(len(data), len(target), cuts[turn % len(cuts)])
        target[:count] = data[:count]
        for head, buffers in reader.arrived(count):
            made.append((bytes(head), list(buffers)))  # a head is valid only until the next bytes arrive
        data, turn = data[count:], turn + 1
    return [[head, *map(bytes, buffers)] for head, buffers in made]


@given(st.lists(PARTS, max_size=8), st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_messages_come_out_as_they_went_in_wherever_the_stream_is_cut(messages, cuts):
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)))
    assert fed(reader, on_stream(messages), cuts) == messages


@given(st.lists(PARTS, max_size=8), st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_buffer_in_a_landing_is_unchanged(messages, cuts):
    landings = []

    def find_landing(head, length):
        assert length > ROOM_BYTES
        landings.append((bytes(head), Landing(memoryview(bytearray(length)))))
        return landings[-1][1] if len(landings) % 3 else None

    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)), find_landing=find_landing)
    assert fed(reader, on_stream(messages), cuts) == messages
    landed = [[head, bytes(landing.memory)] for at, (head, landing) in enumerate(landings, 1) if at % 3]
    assert [parts for parts in messages if parts in landed] == landed


@given(st.integers(0, 200), st.lists(st.integers(1, 64), min_size=1, max_size=6))
def test_memory_that_was_taken_back_is_not_written_any_more(written, cuts):
    landing = Landing(memoryview(bytearray(200)))
    memory = landing.memory
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)), find_landing=lambda head, length: landing)
    start = pack_start([b"head", b"x" * 200]) + b"head"
    assert fed(reader, start, [100]) == []
    assert fed(reader, b"x" * min(written, 199), cuts) == []
    landing.recall()
    assert fed(reader, b"y" * (200 - min(written, 199)) + on_stream([[b"next", b"z"]]), cuts) == [
        [b"head", b""],
        [b"next", b"z"],
    ]
    assert bytes(memory) == b"x" * min(written, 199) + bytes(200 - min(written, 199))


@given(st.binary(max_size=300), st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_any_bytes_are_messages_or_refused(data, cuts):
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)), most_bytes=1_000)
    try:
        messages = fed(reader, data, cuts)
    except BadFrameError:
        return
    assert data.startswith(on_stream(messages))


def test_buffers_of_a_long_message_outlive_the_next_ones():
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)))
    kept = []
    data = on_stream([[b"first", b"a" * 150], [b"second", b"b" * 150], [b"short", b"c"]])
    while data:
        target = reader.target
        count = min(len(data), len(target))
        target[:count] = data[:count]
        kept += [buffer for _, buffers in reader.arrived(count) for buffer in buffers]
        data = data[count:]
    assert [bytes(buffer) for buffer in kept] == [b"a" * 150, b"b" * 150, b"c"]
    assert all(memoryview(buffer).readonly for buffer in kept)


@pytest.mark.parametrize(
    "start",
    [
        struct.pack(">IH", 1_001, 0),
        struct.pack(">IH", 1, MAX_FRAME_BUFFERS_COUNT + 1),
        struct.pack(">IHI", 1, 1, 1_001),
    ],
    ids=["long_head", "many_buffers", "long_buffer"],
)
def test_lengths_over_the_limit_are_refused_before_memory_is_allocated(start):
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)), most_bytes=1_000)
    assert len(start) >= START_BYTES
    reader.target[: len(start)] = start
    with pytest.raises(BadFrameError):
        reader.arrived(len(start))


def test_claimed_length_allocates_no_memory():
    reader = FrameReader(memoryview(bytearray(ROOM_BYTES)))
    start = pack_start([b""] * 1_000)[: -4 * 999] + struct.pack(">999I", *[MAX_FRAME_BYTES] * 999)
    tracemalloc.start()
    for begin in range(0, len(start), ROOM_BYTES):
        piece = start[begin : begin + ROOM_BYTES]
        reader.target[: len(piece)] = piece
        assert reader.arrived(len(piece)) == []
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
