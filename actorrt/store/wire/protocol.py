"""Messages between store clients and the daemon: msgpack arrays in the packets of a SOCK_SEQPACKET socket.

A client sends `[op, serial, *arguments]`; serial 0 asks for no reply. Several messages in one packet are an array of
such arrays. On a request socket the store answers
`[serial, status, result, retired]`. A descriptor comes beside an answer that names a segment which the connection does
not have yet. On an events socket the store sends `[event, ...]`. Both ends refuse messages that exceed the bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

import msgpack

VERSION: Final = 10
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_BATCH_COUNT: Final = 1000
MAX_JOINED_COUNT: Final = 100
MAX_JOINED_BYTES: Final = MAX_MESSAGE_BYTES - 3
"""How many messages, and how many bytes of them, go into one packet."""
MAX_PUBLISHED_BYTES: Final = 16 * 1024
"""A published value of at most this length travels in messages and is not an object."""


SEALED, HELD = 1, 2
"""The flags of an object that TELL reports."""


_ARRAY_HEADER: Final = struct.Struct(">BH")


class Op(IntEnum):
    """Requests of clients. All requests of a process use one socket, so that the store sees them in their order."""

    HELLO = 1  # version, role, peer
    # object, bytes, whether it is promised, line, whether to wait for releases → segment, offset, bytes; or None: it
    # is sealed already; or WAIT
    CREATE = 2
    CONTAIN = 3  # object, objects that it will hold; before SEAL
    SEAL = 4  # object
    ABORT = 5  # object
    # object, objects that may follow, whether to wait for the disk (else PENDING) → segment, offset, bytes, [object,
    # segment, offset, bytes], ...; all pinned
    GET = 6
    DECLARE = 7  # object
    FAIL = 8  # object, error
    ACQUIRE = 9  # [object, token or None], ...
    ARRIVE = 10  # [object, token], ...: transits ended at a connection that holds the objects already
    RELEASE = 11  # objects released, objects unpinned
    TRANSIT = 12  # [object, token, copies], ...
    SETTLE = 13  # tokens
    # [token, node, whether it left], ...: a message left for a process of another node, or is not to be counted there
    ADDRESS = 32
    FREE = 14  # object
    SUBSCRIBE = 15  # objects → READY and FAILED events
    AWAIT_ALLOCATION = 16  # object that was answered with WAIT → an ALLOCATION event
    STATS = 17
    BORROW = 18  # bytes of an object to be made, or 0 to end the loan → segment, offset, bytes of a loan; or None
    REPORT = 19  # end, objects made on loan: [object, offset, bytes, flags, pins, line]
    JOIN = 20  # scope
    PUBLISH = 21  # scope, name, object, or None and the bytes of a small one → version
    # scope, name, newer than → segment, offset, bytes, version, object, held and pinned; or bytes, version; or None
    LATEST = 22
    AWAIT_VERSION = 23  # scope, name, newer than → a PUBLISHED event
    RESERVE = 25  # [object, bytes], ..., line → segment, offset, bytes of one range for all, one after the other
    LOCATE = 26  # object, node: the object is there; the connection holds it
    # objects that were answered with WAIT → as CREATE, but never WAIT: if there is no memory, the request is withdrawn
    TAKE_ALLOCATION = 28
    INTRODUCE = 27  # peer, node: a process that sent something here, and the other node that it is on
    KEEP = 29  # objects that this process can make again; asked by a REMAKE event
    FIND = 30  # objects, which are verified if they are on disk → for each a Presence, as this process sees it
    CLAIM = 31  # objects, which are held → for each whether this process is to make it, and has promised it now
    LIST = 24  # count → the largest objects: [start of the id, bytes, state, holders, line]


class Status(IntEnum):
    """How a request ended."""

    DONE = 0
    ERROR = 1  # result: an error's data
    PENDING = 2  # GET of an object that is not sealed yet
    WAIT = 3  # CREATE and RESERVE: there is no memory yet; result: a Wait


class Wait(IntEnum):
    """The reason why an allocation waits."""

    MEMORY = 1  # a segment is being made, which takes milliseconds
    SPACE = 2  # other objects are moved to disk, or must be released


class Event(IntEnum):
    """Events, which the store sends on an events socket."""

    READY = 1  # objects; if they are few, those that the store has pinned: [object, segment, offset, bytes], ...
    FAILED = 2  # object, error
    ALLOCATION = 3  # object: the outcome of its allocation can be taken
    RETIRED = 4  # segments
    NEXT = 5  # segment, with its descriptor: the process will write it next
    RECALL = 6  # memory is short: the process ends its loan, and releases refs and views that it only caches
    REMAKE = 8  # object, error: it is lost, and this process is to make it again
    PUBLISHED = 7  # scope, name, the answer to LATEST; or None: the process sends LATEST


class Role(IntEnum):
    """The purpose of a connection."""

    REQUESTS = 1  # a process's one connection for requests; the holds of the process belong to it
    EVENTS = 2  # receives the events of a process
    WAIT = 3  # for one blocking wait of one thread


class ProtocolError(Exception):
    """The other end sent a message that the protocol does not allow; its connection is closed."""


def pack(message: list[Any] | tuple[Any, ...]) -> bytes:
    """Return the packet of a message.

    Raises:
        ValueError: the packet is too long.
    """
    packet: bytes = msgpack.packb(message)
    if len(packet) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a store message of {len(packet)} bytes exceeds the limit of {MAX_MESSAGE_BYTES} bytes")
    return packet


def join(packets: Sequence[bytes]) -> bytes:
    """Return one packet with the messages of several, which have one each; the caller keeps to the bounds."""
    if len(packets) == 1:
        return packets[0]
    return b"".join((_ARRAY_HEADER.pack(0xDC, len(packets)), *packets))


def unpack_all(packet: bytes) -> list[Any]:
    """Return the messages of a packet; raises as `unpack`."""
    message = unpack(packet)
    return message if type(message[0]) is list else [message]


def unpack(packet: bytes) -> list[Any]:
    """Return the message of a packet.

    Raises:
        ProtocolError: the packet is not a msgpack array within the bounds.
    """
    try:
        message = msgpack.unpackb(
            packet,
            max_array_len=2 * MAX_BATCH_COUNT,
            max_map_len=64,
            max_str_len=MAX_MESSAGE_BYTES,
            max_bin_len=MAX_MESSAGE_BYTES,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"{len(packet)} bytes are no message: {error}") from error
    if not isinstance(message, list) or len(message) < 1:
        raise ProtocolError(f"a message is a list, not {type(message).__name__}")
    return message
