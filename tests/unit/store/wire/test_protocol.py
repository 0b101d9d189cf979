"""Packets of the store's protocol, and their bounds."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from actorrt.store.wire.protocol import (
    MAX_BATCH_COUNT,
    MAX_JOINED_COUNT,
    MAX_MESSAGE_BYTES,
    Op,
    ProtocolError,
    join,
    pack,
    unpack,
    unpack_all,
)


def test_a_message_returns_as_a_list() -> None:
    assert unpack(pack((Op.GET, 7, b"x" * 16, [], True))) == [Op.GET, 7, b"x" * 16, [], True]


def test_a_full_batch_of_releases_fits_into_a_packet() -> None:
    message = [Op.RELEASE, 0, [b"x" * 16] * MAX_BATCH_COUNT, [b"y" * 16] * MAX_BATCH_COUNT]
    assert unpack(pack(message)) == message


@pytest.mark.parametrize("count", [1, 2, MAX_JOINED_COUNT])
def test_messages_that_are_joined_return_in_their_order(count: int) -> None:
    messages = [[Op.GET, number, b"x" * 16, [], True] for number in range(count)]
    assert unpack_all(join([pack(message) for message in messages])) == messages


def test_a_message_that_exceeds_a_packet_is_refused_by_its_sender() -> None:
    with pytest.raises(ValueError, match="a store message of 65544 bytes exceeds the limit of 65536 bytes"):
        pack([Op.PUBLISH, b"x" * MAX_MESSAGE_BYTES, 1])


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        msgpack.packb([0] * (2 * MAX_BATCH_COUNT + 1)),
        msgpack.packb([{n: n for n in range(65)}]),
    ],
    ids=["empty", "not msgpack", "cut off", "a long array", "a large map"],
)
def test_a_packet_that_is_no_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"{len(packet)} bytes are no message"):
        unpack(packet)


@pytest.mark.parametrize("message", [{}, "text", 7, None, []], ids=repr)
def test_a_packet_that_is_no_list_is_refused(message: Any) -> None:
    with pytest.raises(ProtocolError, match="a message is a list"):
        unpack(msgpack.packb(message))
