"""Pure: packs and reads envelopes, frames of envelopes, acknowledgements, and notices such as the HELLO.

A frame is a message of one or more parts. Its first part, the head, is the msgpack array
`[sequence, acknowledged, envelopes, attachments]`. `acknowledged` is the number below which the sender has received
every frame of the other direction on the same lane. `attachments` has an item for each envelope with buffers:
`[envelope_index, buffer_count]` if the buffers follow as parts of their own, or `[envelope_index, buffers]` for small
buffers, which are in the head. Each envelope is packed when it is sent, so a bad envelope fails alone, in its sender's
stack. The head is joined from the packed envelopes.

Two kinds of message travel against the direction of a link: an acknowledgement, of a mark and eight bytes, and a
notice.

A notice (a HELLO, a refusal) begins with `MAGIC`, which can't begin a frame. The rest is a map, so readers of every
version of the protocol find the version range in it, and ignore unknown keys.

The bytes come from outside, so every fault raises `BadFrameError`, and the number of items in arrays and maps, and
their nesting, are capped. `form` has checked each message before it is read here: the message is complete, so it has
the bytes for every item that it claims, and no string is longer than its frame.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgpack

from actorrt.config import MAX_FRAME_BYTES, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN
from actorrt.errors import ActorRtError, SerializationError, WireVersionError
from actorrt.ids import ID_BYTES, PeerId, short
from actorrt.transport.interfaces import Buffer, Envelope

MAX_ARRAY_COUNT: Final = 32_767
MAX_MAP_COUNT: Final = 16_383
MAX_NESTING: Final = 16
"""How deep arrays and maps may be nested in an envelope, the envelope included."""
MAX_FRAME_BUFFERS_COUNT: Final = 1_024
MAGIC: Final = b"\x00actorrt"  # a frame's head begins with 0x94, an array of four
SAFE_BYTES: Final = min(MAX_ARRAY_COUNT, 2 * MAX_MAP_COUNT)  # an envelope up to this size can't exceed the caps
HEAD_ROOM_BYTES: Final = 1 << 16  # the part of a frame that an envelope can't use
_MAX_ADDRESS_LENGTH: Final = 4096
_MAX_MESSAGE_LENGTH: Final = 1000
_HEAD_START: Final = struct.Struct(">BBQBQBH")  # an array of four: two uint64, an array of at most 65,535 items, ...
_HEAD_MARK: Final = b"\x94\xcf"
_NO_ATTACHMENTS: Final = b"\x90"
_CONTAINERS: Final = frozenset((list, dict))
_ACK: Final = struct.Struct(">BQ")
_ACK_MARK: Final = 1

Attachment = tuple[int, int | Sequence[Buffer]]
"""The index of an envelope, and the number of its buffers in parts of their own; or the buffers, if they are small."""


class BadFrameError(ActorRtError):
    """A peer broke the protocol; its links are closed, and it is ignored from then on."""


pack_envelope = msgpack.Packer(use_bin_type=True, autoreset=True).pack
"""Return the envelope's bytes. Raises TypeError, ValueError or OverflowError for a value that msgpack can't hold."""

_pack = pack_envelope


def check_envelope(envelope: Envelope, packed_bytes: int, buffers: Sequence[Buffer]) -> None:
    """Refuse an envelope that no peer would accept. Needed only if it has buffers or more than `SAFE_BYTES`.

    Raises:
        SerializationError: a container has too many items or is nested too deep, or a part is too large for any frame.
    """
    if packed_bytes > MAX_FRAME_BYTES - HEAD_ROOM_BYTES:
        raise SerializationError(
            f"an envelope of {packed_bytes} bytes is larger than a frame ({MAX_FRAME_BYTES}); "
            "send large values as buffers"
        )
    if len(buffers) > MAX_FRAME_BUFFERS_COUNT:
        raise SerializationError(f"{len(buffers)} buffers in one envelope; a frame holds {MAX_FRAME_BUFFERS_COUNT}")
    for index, buffer in enumerate(buffers):
        if memoryview(buffer).nbytes > MAX_FRAME_BYTES:
            raise SerializationError(
                f"buffers[{index}] has {memoryview(buffer).nbytes} bytes; a frame holds {MAX_FRAME_BYTES}: "
                "put it into the object store, or send it in pieces"
            )
    if packed_bytes > SAFE_BYTES:
        _check_counts(envelope, MAX_NESTING)


def _check_counts(value: Any, depth_left: int) -> None:
    if depth_left < 0:
        raise SerializationError(f"containers in an envelope are nested deeper than {MAX_NESTING}")
    if isinstance(value, dict):
        if len(value) > MAX_MAP_COUNT:
            raise SerializationError(f"a dict of {len(value)} items in an envelope; {MAX_MAP_COUNT} are accepted")
        for item in value.values():
            _check_counts(item, depth_left - 1)
    elif isinstance(value, (list, tuple)):
        if len(value) > MAX_ARRAY_COUNT:
            raise SerializationError(f"a list of {len(value)} items in an envelope; {MAX_ARRAY_COUNT} are accepted")
        for item in value:
            _check_counts(item, depth_left - 1)


def join_head(
    sequence: int, acknowledged: int, envelopes: Sequence[bytes], attachments: Sequence[Attachment] = ()
) -> bytes:
    """Return the head of a frame of at most 65,535 packed envelopes."""
    start = _HEAD_START.pack(0x94, 0xCF, sequence, 0xCF, acknowledged, 0xDC, len(envelopes))
    return b"".join((start, *envelopes, _pack(attachments) if attachments else _NO_ATTACHMENTS))


def read_head(head: Buffer) -> tuple[int, int, list[list[Any]], list[list[Any]]]:
    """Return the sequence number, the acknowledged number, the envelopes and the attachments of a frame.

    Raises:
        BadFrameError: `head` is not the head of a frame.
    """
    try:
        sequence, acknowledged, envelopes, attachments = _unpack(head)
    except (TypeError, ValueError) as error:
        raise BadFrameError("a frame's head is not an array of four") from error
    if type(sequence) is not int or type(acknowledged) is not int:
        raise BadFrameError("a frame's head does not begin with two integers")
    if type(envelopes) is not list or type(attachments) is not list:
        raise BadFrameError("a frame's head does not end with two arrays")
    for envelope in envelopes:
        if type(envelope) is not list or not envelope or type(envelope[0]) is not int:
            raise BadFrameError("an envelope is not an array that begins with an integer")
    if attachments:
        _check_attachments(attachments, len(envelopes))
    return sequence, acknowledged, envelopes, attachments


def check_nesting(envelopes: list[list[Any]]) -> None:
    """Check how deep arrays and maps are nested in each envelope.

    Raises:
        BadFrameError: an envelope is nested deeper than `MAX_NESTING`.
    """
    for envelope in envelopes:
        for item in envelope:
            if type(item) in _CONTAINERS and _has_containers(item):
                _check_depth(item, MAX_NESTING - 1)


def _has_containers(container: list[Any] | dict[Any, Any]) -> bool:
    for item in container.values() if type(container) is dict else container:  # noqa: SIM110  any() is slower
        if type(item) in _CONTAINERS:
            return True
    return False


def _check_depth(container: list[Any] | dict[Any, Any], depth_left: int) -> None:
    if not depth_left:
        raise BadFrameError(f"an envelope is nested deeper than {MAX_NESTING}")
    for item in container.values() if type(container) is dict else container:
        if type(item) in _CONTAINERS:
            _check_depth(item, depth_left - 1)


def _check_attachments(attachments: list[Any], envelope_count: int) -> None:
    last_index = -1
    for attachment in attachments:
        if type(attachment) is not list or len(attachment) != 2 or type(attachment[0]) is not int:
            raise BadFrameError("an attachment is not [envelope_index, buffers]")
        index, buffers = attachment
        is_well_formed = buffers >= 1 if type(buffers) is int else _are_buffers(buffers)
        if not last_index < index < envelope_count or not is_well_formed:
            raise BadFrameError(f"the attachment of envelope {index} does not fit a frame of {envelope_count}")
        last_index = index


def _are_buffers(value: Any) -> bool:
    return type(value) is list and bool(value) and all(type(item) is bytes for item in value)


def split_buffers(attachments: Sequence[Sequence[Any]], buffers: Sequence[Buffer]) -> dict[int, Sequence[Buffer]]:
    """Return the buffers of each envelope that has buffers, by its index.

    Raises:
        BadFrameError: the frame has more or fewer buffers than its head says.
    """
    by_index: dict[int, Sequence[Buffer]] = {}
    start = 0
    for index, count in attachments:
        if type(count) is int:
            by_index[index] = buffers[start : start + count]
            start += count
        else:
            by_index[index] = count
    if start != len(buffers):
        raise BadFrameError(f"a frame has {len(buffers)} buffers, but its head says {start}")
    return by_index


def pack_acknowledgement(acknowledged: int) -> bytes:
    """Return the message that acknowledges every frame below the number."""
    return _ACK.pack(_ACK_MARK, acknowledged)


def read_acknowledgement(part: Buffer) -> int:
    """Return the number in an acknowledgement.

    Raises:
        BadFrameError: `part` is no acknowledgement.
    """
    if len(part) != _ACK.size or part[0] != _ACK_MARK:
        raise BadFrameError("a message that came back over a link is no acknowledgement")
    return int(_ACK.unpack(part)[1])


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of each connection. It identifies the opener, and gives the opener's address and versions.

    Attributes:
        peer: the id of the opener.
        to: the id of the peer that the opener means to reach; another process may have taken that peer's address.
        address: the address for answers to the opener, over a connection of the same kind.
        first: the number of the link's first frame. The number of an earlier HELLO means that this connection continues
            that link, whose connection broke; a greater number means another link.
        node: the name of the opener's node; empty if it has none.
        features: names of the opener's abilities beyond its protocol version.
        logical: the opener's address in its cluster, which stands in refs; empty if it is `address`.
        protocol_min, protocol_max: the range of protocol versions that the opener speaks.
    """

    peer: PeerId
    to: PeerId
    address: str
    first: int = 0
    node: bytes = b""
    features: tuple[str, ...] = ()
    logical: str = ""
    protocol_min: int = PROTOCOL_VERSION_MIN
    protocol_max: int = PROTOCOL_VERSION


def pack_hello(hello: Hello) -> bytes:
    """Return the HELLO's bytes."""
    return MAGIC + bytes(
        _pack(
            {
                "notice": "hello",
                "protocol_min": hello.protocol_min,
                "protocol_max": hello.protocol_max,
                "peer": hello.peer,
                "to": hello.to,
                "address": hello.address,
                "first": hello.first,
                "node": hello.node,
                "features": list(hello.features),
                "logical": hello.logical,
            }
        )
    )


MISDIRECTED: Final = MAGIC + bytes(_pack({"notice": "misdirected"}))
"""The answer to a HELLO that is meant for another process."""

GIVEN_UP: Final = MAGIC + bytes(_pack({"notice": "given up"}))
"""Tells the opener of a link that we could not reach it, and discarded the messages in both directions."""


def is_frame(head: Buffer) -> bool:
    """Whether this begins like the head of a frame, and not like a notice or garbage."""
    return bytes(memoryview(head)[:2]) == _HEAD_MARK


def pack_refusal(error: ActorRtError) -> bytes:
    """Return the notice that tells a peer that we have closed its links because of this error."""
    body = {"notice": "refused", "error": type(error).__name__, "message": str(error)[:_MAX_MESSAGE_LENGTH]}
    return MAGIC + bytes(_pack(body))


def read_refusal(part: Buffer) -> ActorRtError:
    """Return the error in the refusal.

    Raises:
        BadFrameError: `part` is no refusal.
    """
    value = _read_notice(part, "refused", "neither a frame nor a refusal")
    kind = WireVersionError if value.get("error") == WireVersionError.__name__ else BadFrameError
    return kind(_field(value, "message", str, _MAX_MESSAGE_LENGTH))


def is_notice(part: Buffer) -> bool:
    """Whether this is a notice, and not a frame."""
    return bytes(memoryview(part)[: len(MAGIC)]) == MAGIC


def _read_notice(part: Buffer, kind: str, complaint: str) -> dict[Any, Any]:
    value = _unpack(memoryview(part)[len(MAGIC) :]) if is_notice(part) else None
    if not isinstance(value, dict) or value.get("notice") != kind:
        raise BadFrameError(complaint)
    return value


def read_hello(part: Buffer) -> Hello:
    """Return the HELLO in `part`. Its protocol versions are not checked.

    Raises:
        BadFrameError: `part` is no HELLO.
    """
    value = _read_notice(part, "hello", "a link does not begin with a HELLO")
    return Hello(
        peer=PeerId(_field(value, "peer", bytes, ID_BYTES)),
        to=PeerId(_field(value, "to", bytes, ID_BYTES)),
        address=_field(value, "address", str, _MAX_ADDRESS_LENGTH),
        first=_field(value, "first", int, None),
        node=_field(value, "node", bytes, _MAX_ADDRESS_LENGTH),
        features=tuple(str(feature) for feature in _field(value, "features", list, MAX_ARRAY_COUNT)),
        logical=_field(value, "logical", str, _MAX_ADDRESS_LENGTH),
        protocol_min=_field(value, "protocol_min", int, None),
        protocol_max=_field(value, "protocol_max", int, None),
    )


def _field(value: dict[Any, Any], name: str, kind: type[Any], length_max: int | None) -> Any:
    item: Any = value.get(name)
    if not isinstance(item, kind) or (length_max is not None and len(item) > length_max):
        raise BadFrameError(f"the notice's {name!r} is missing or malformed")
    return item


def agree_on_version(hello: Hello) -> int:
    """Return the highest protocol version that both sides speak.

    Raises:
        WireVersionError: the two ranges have no version in common.
    """
    version = min(hello.protocol_max, PROTOCOL_VERSION)
    if version < max(hello.protocol_min, PROTOCOL_VERSION_MIN):
        raise WireVersionError(
            f"peer {short(hello.peer)} at {hello.address} speaks protocol {hello.protocol_min} to "
            f"{hello.protocol_max}, this process {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}; "
            "run the same release of actorrt on both sides"
        )
    return version


def _unpack(part: Buffer) -> Any:
    try:
        return msgpack.unpackb(
            part,
            strict_map_key=False,  # keys may be integers; the cap on a map's size bounds hash collisions
            max_array_len=MAX_ARRAY_COUNT,
            max_map_len=MAX_MAP_COUNT,
            max_ext_len=0,
            ext_hook=_refuse_extension,
        )
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise BadFrameError(f"not readable as msgpack: {error}") from error


def _refuse_extension(code: int, _: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} is not used here")
