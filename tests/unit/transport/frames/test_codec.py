"""Messages that the codec accepts or refuses, and the text of each refusal."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from actorrt.config import MAX_FRAME_BYTES
from actorrt.errors import SerializationError, WireVersionError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    HEAD_ROOM_BYTES,
    MAGIC,
    MAX_ARRAY_COUNT,
    MAX_FRAME_BUFFERS_COUNT,
    MAX_MAP_COUNT,
    MAX_NESTING,
    MISDIRECTED,
    PROTOCOL_VERSION,
    SAFE_BYTES,
    BadFrameError,
    Hello,
    agree_on_version,
    check_envelope,
    check_nesting,
    is_frame,
    is_notice,
    join_head,
    pack_acknowledgement,
    pack_envelope,
    pack_hello,
    pack_refusal,
    read_acknowledgement,
    read_head,
    read_hello,
    read_refusal,
    split_buffers,
)

HELLO = Hello(PeerId(b"p" * 16), PeerId(b"t" * 16), "unix:///x", 7, b"node", ("feature",))


def test_head_holds_numbers_envelopes_and_attachments() -> None:
    head = join_head(3, 2, [pack_envelope([1, "a"]), pack_envelope([2])], [(0, 2), (1, [b"small"])])
    assert read_head(head) == (3, 2, [[1, "a"], [2]], [[0, 2], [1, [b"small"]]])
    assert is_frame(head)
    assert not is_notice(head)


def test_head_of_a_probe_holds_no_envelope() -> None:
    assert read_head(join_head(0, 5, [])) == (0, 5, [], [])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([0, 0, []], "not an array of four"),
        (7, "not an array of four"),
        (["0", 0, [], []], "does not begin with two integers"),
        ([0, True, [], []], "does not begin with two integers"),
        ([0, 0, {}, []], "does not end with two arrays"),
        ([0, 0, [], None], "does not end with two arrays"),
        ([0, 0, ["text"], []], "not an array that begins with an integer"),
        ([0, 0, [[]], []], "not an array that begins with an integer"),
        ([0, 0, [[True]], []], "not an array that begins with an integer"),
        ([0, 0, [[0]], [[0]]], r"not \[envelope_index, buffers\]"),
        ([0, 0, [[0]], [["0", 1]]], r"not \[envelope_index, buffers\]"),
        ([0, 0, [[0]], [[1, 1]]], "attachment of envelope 1 does not fit a frame of 1"),
        ([0, 0, [[0]], [[-1, 1]]], "attachment of envelope -1 does not fit"),
        ([0, 0, [[0]], [[0, 0]]], "attachment of envelope 0 does not fit"),
        ([0, 0, [[0]], [[0, []]]], "attachment of envelope 0 does not fit"),
        ([0, 0, [[0]], [[0, ["text"]]]], "attachment of envelope 0 does not fit"),
        ([0, 0, [[0], [0]], [[1, 1], [0, 1]]], "attachment of envelope 0 does not fit"),
        ([0, 0, [[0]], [[0, 1], [0, 1]]], "attachment of envelope 0 does not fit"),
    ],
)
def test_malformed_head_is_refused_with_the_reason(value: Any, complaint: str) -> None:
    with pytest.raises(BadFrameError, match=complaint):
        read_head(msgpack.packb(value))


def test_extension_types_are_refused() -> None:
    with pytest.raises(BadFrameError, match="not readable as msgpack"):
        read_head(msgpack.packb([0, 0, [[0, msgpack.ExtType(4, b"")]], []]))


def test_buffers_go_to_their_envelopes_in_order() -> None:
    assert split_buffers([[0, 2], [1, [b"small"]], [3, 1]], [b"a", b"b", b"c"]) == {
        0: [b"a", b"b"],
        1: [b"small"],
        3: [b"c"],
    }


@pytest.mark.parametrize(("buffers", "count"), [([], 0), ([b"a", b"b"], 2)])
def test_frame_with_more_or_fewer_buffers_than_its_head_says_is_refused(buffers: list[bytes], count: int) -> None:
    with pytest.raises(BadFrameError, match=f"a frame has {count} buffers, but its head says 1"):
        split_buffers([[0, 1]], buffers)


def nested(depth: int, *, is_map: bool) -> list[Any]:
    value: Any = [0]
    for _ in range(depth - 1):
        value = [0, {"in": value}] if is_map else [0, value]
    return value


def test_nesting_counts_arrays_and_maps() -> None:
    check_nesting([nested(MAX_NESTING, is_map=False), nested(MAX_NESTING // 2, is_map=True)])
    with pytest.raises(BadFrameError, match=f"nested deeper than {MAX_NESTING}"):
        check_nesting([[0], nested(MAX_NESTING + 1, is_map=False)])
    with pytest.raises(BadFrameError, match=f"nested deeper than {MAX_NESTING}"):
        check_nesting([nested(MAX_NESTING // 2 + 1, is_map=True)])


def test_envelope_at_its_limits_may_leave() -> None:
    check_envelope([0], MAX_FRAME_BYTES - HEAD_ROOM_BYTES, [])
    check_envelope([0, [0] * MAX_ARRAY_COUNT, dict.fromkeys(range(MAX_MAP_COUNT))], SAFE_BYTES + 1, [])
    check_envelope([0], 2, [b""] * MAX_FRAME_BUFFERS_COUNT)


@pytest.mark.parametrize(
    ("envelope", "packed_bytes", "buffers", "complaint"),
    [
        ([0], MAX_FRAME_BYTES - HEAD_ROOM_BYTES + 1, [], "larger than a frame .*send large values as buffers"),
        ([0], 2, [b""] * (MAX_FRAME_BUFFERS_COUNT + 1), "1025 buffers in one envelope; a frame holds 1024"),
        ([0, [0] * (MAX_ARRAY_COUNT + 1)], SAFE_BYTES + 1, [], "a list of 32768 items"),
        ([0, (0,) * (MAX_ARRAY_COUNT + 1)], SAFE_BYTES + 1, [], "a list of 32768 items"),
        ([0, dict.fromkeys(range(MAX_MAP_COUNT + 1))], SAFE_BYTES + 1, [], "a dict of 16384 items"),
        (nested(MAX_NESTING + 2, is_map=False), SAFE_BYTES + 1, [], "nested deeper than 16"),
    ],
)
def test_envelope_that_no_peer_would_accept_stays_here(
    envelope: list[Any], packed_bytes: int, buffers: list[bytes], complaint: str
) -> None:
    with pytest.raises(SerializationError, match=complaint):
        check_envelope(envelope, packed_bytes, buffers)


def test_buffer_that_is_larger_than_a_frame_stays_here_and_is_named() -> None:
    with pytest.raises(SerializationError, match=rf"buffers\[1\] has {MAX_FRAME_BYTES + 1} bytes; .*object store"):
        check_envelope([0], 2, [b"small", bytes(MAX_FRAME_BYTES + 1)])


def test_acknowledgement_round_trips_and_anything_else_is_refused() -> None:
    packed = pack_acknowledgement(1 << 40)
    assert read_acknowledgement(packed) == 1 << 40
    for wrong in (b"", packed[:-1], packed + b"\0", b"\x02" + packed[1:]):
        with pytest.raises(BadFrameError, match="is no acknowledgement"):
            read_acknowledgement(wrong)


def test_hello_round_trips_and_is_a_notice() -> None:
    packed = pack_hello(HELLO)
    assert read_hello(packed) == HELLO
    assert is_notice(packed)
    assert not is_frame(packed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("peer", b"p" * 17),
        ("peer", "text"),
        ("to", None),
        ("address", b"bytes"),
        ("address", "x" * 4097),
        ("first", "0"),
        ("node", "text"),
        ("features", "text"),
        ("protocol_min", None),
        ("protocol_max", 1.5),
    ],
)
def test_hello_with_a_malformed_field_is_refused_by_its_name(name: str, value: Any) -> None:
    fields = msgpack.unpackb(pack_hello(HELLO)[len(MAGIC) :])
    with pytest.raises(BadFrameError, match=f"the notice's '{name}' is missing or malformed"):
        read_hello(MAGIC + msgpack.packb({**fields, name: value}))


@pytest.mark.parametrize("part", [MISDIRECTED, GIVEN_UP, join_head(0, 0, []), MAGIC + b"\x07", b""])
def test_message_that_is_no_hello_is_refused(part: bytes) -> None:
    with pytest.raises(BadFrameError, match="a link does not begin with a HELLO"):
        read_hello(part)


def test_refusal_keeps_its_message_and_the_type_of_version_errors() -> None:
    version = read_refusal(pack_refusal(WireVersionError("speaks another version")))
    assert (type(version), str(version)) == (WireVersionError, "speaks another version")
    other = read_refusal(pack_refusal(SerializationError("x" * 2000)))
    assert (type(other), str(other)) == (BadFrameError, "x" * 1000)
    with pytest.raises(BadFrameError, match="neither a frame nor a refusal"):
        read_refusal(pack_hello(HELLO))


def test_highest_version_in_common_is_agreed_on() -> None:
    later = Hello(HELLO.peer, HELLO.to, HELLO.address, protocol_min=PROTOCOL_VERSION, protocol_max=PROTOCOL_VERSION + 5)
    assert agree_on_version(later) == PROTOCOL_VERSION


@pytest.mark.parametrize("versions", [(PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 2), (-1, 0)])
def test_ranges_of_versions_that_do_not_meet_are_an_error_that_names_both(versions: tuple[int, int]) -> None:
    stranger = Hello(HELLO.peer, HELLO.to, HELLO.address, protocol_min=versions[0], protocol_max=versions[1])
    with pytest.raises(WireVersionError, match=f"speaks protocol {versions[0]} to {versions[1]}, this process"):
        agree_on_version(stranger)
