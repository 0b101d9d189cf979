"""Pure: the messages of the conversations on a node's TLS port, and how they lie on the stream.

A message is a kind and a map. On the stream its length (uint32, network order) precedes it. Every message has a
greatest length, which is checked before anything is allocated.

The first message of a client names the purpose of its connection:

| purpose | conversation |
|---|---|
| `join` with a token | `Hello`, `Challenge`, `Proof`, and `Welcome` or `Refusal` |
| `join` with a card | `Hello`, and `Welcome` or `Refusal` |
| `ask` with a card | `Question`, and `Accepted` or `Refusal`: whether the node is accepted, and why not |
| any other | is handled by whoever registered the purpose |
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import msgpack

from actorrt.cluster.security.card import Role
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.ids import NodeId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record
from actorrt.transport.zeromq.security import KEY_BYTES

R = TypeVar("R", bound=Record)

LENGTH_BYTES: Final = 4
FIRST_BYTES: Final = 32 * 1024
"""The most bytes of a client's first message."""
PROOF_BYTES: Final = 1024
ANSWER_BYTES: Final = 8 * 1024 * 1024
"""The most bytes of a server's answer, which may contain the view of a large cluster."""
ABOUT_BYTES: Final = 16 * 1024

JOIN, ASK = "join", "ask"
CHALLENGE, PROOF, WELCOME, REFUSAL, ACCEPTED = "challenge", "proof", "welcome", "refusal", "accepted"


class Versions(Record):
    """The versions of the client. Every version of the protocol sends these fields, so they are read first.

    Attributes:
        version: the version of actorrt.
        protocol_min, protocol: the oldest and newest version of the protocol that it understands.
        python: the minor version of Python, such as `3.11`.
    """

    version: str
    protocol_min: Count
    protocol: Count
    python: str


class Hello(Record):
    """The first message of a node that joins.

    Attributes:
        node, key, public_key: its id, its CURVE key, and the Ed25519 key for its card.
        role: the role that it asks for.
        token: the id of its token; None if it shows its card.
        time_s: the time of its clock, in seconds since 1970.
        about: what the membership wants to know about the node; opaque here.
    """

    node: NodeId
    key: bytes
    public_key: bytes
    role: Role
    token: bytes | None
    time_s: float
    about: bytes


class Challenge(Record):
    """What a node that joins by a token has to answer.

    Attributes:
        authority: the certificate of the cluster's authority (DER), whose fingerprint is in the token.
        nonce: drawn for this session.
        exchange_key: a Curve25519 public key, drawn for this session.
        time_s: the time of the server's clock.
    """

    authority: bytes
    nonce: bytes
    exchange_key: bytes
    time_s: float


class Proof(Record):
    """What a node proves about the transcript; see `actorrt.cluster.security.proofs`.

    Attributes:
        secret: that it has the token's secret.
        exchange: that it has the secret key to its CURVE key.
        signature: that it has the private key for its card.
    """

    secret: bytes
    exchange: bytes
    signature: bytes


class Welcome(Record):
    """The node is admitted.

    Attributes:
        card: its card (DER).
        authority: the certificate of the cluster's authority (DER).
        authority_key: the key of the authority, for a full node that joins by a token.
        seen_host: the address of the node as the server sees it.
        view: what the membership tells a node that joins; opaque here.
    """

    card: bytes
    authority: bytes
    authority_key: bytes | None
    seen_host: str
    view: bytes


class Refusal(Record):
    """The node is refused.

    Attributes:
        reason: one of `Reason`, or one that a later version has added.
        text: the reason in words, with what to do.
    """

    reason: str
    text: str

    @classmethod
    def of(cls, error: RefusedError) -> Refusal:
        """Return the message that tells of an error."""
        return cls(reason=error.reason.value, text=str(error))

    def error(self) -> RefusedError:
        """Return the error that the message tells of."""
        known = {reason.value: reason for reason in Reason}
        return RefusedError(known.get(self.reason, Reason.NO_MEMBER), self.text)


class Question(Record):
    """Ask whether the node of this connection's card is accepted, and why not."""


class Message(NamedTuple):
    """A message that arrived, whose contents have not been read."""

    kind: str
    contents: Any


def pack(kind: str, contents: Record, *more: Record) -> bytes:
    """Return a message as bytes, without its length. The fields of several records travel in one map."""
    fields = contents.pack()
    for record in more:
        fields |= record.pack()
    packed: bytes = msgpack.packb([kind, fields])
    return packed


def framed(message: bytes) -> bytes:
    """Return a message as it lies on the stream."""
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def length_of(prefix: bytes, most_bytes: int) -> int:
    """Return the length of the message that follows.

    Raises:
        RefusedError: it is longer than it may be here.
    """
    length = int.from_bytes(prefix, "big")
    if length > most_bytes:
        raise RefusedError(Reason.MALFORMED, f"a message of {length} bytes; {most_bytes} are allowed here")
    return length


def read(message: bytes) -> Message:
    """Read a message that arrived.

    Raises:
        RefusedError: it is none.
    """
    try:
        found = msgpack.unpackb(message)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise RefusedError(Reason.MALFORMED, f"the message is not msgpack: {error}") from error
    if not isinstance(found, list) or len(found) != 2 or not isinstance(found[0], str):
        raise RefusedError(Reason.MALFORMED, "the message is not a pair of a kind and a map")
    return Message(*found)


def contents_of(message: Message, record: type[R]) -> R:
    """Return the contents of a message.

    Raises:
        RefusedError: they do not fit.
    """
    try:
        return record.unpack(message.contents)
    except ValueError as error:
        raise RefusedError(Reason.MALFORMED, str(error)) from error


def check_lengths(hello: Hello) -> None:
    """Refuse a `Hello` whose keys or remarks have an impossible length.

    Raises:
        RefusedError: one has.
    """
    if len(hello.key) != KEY_BYTES or len(hello.public_key) != KEY_BYTES:
        raise RefusedError(Reason.MALFORMED, "a key of the joining node has another length")
    if len(hello.about) > ABOUT_BYTES:
        raise RefusedError(Reason.MALFORMED, f"{len(hello.about)} bytes about a node; {ABOUT_BYTES} are allowed")
    if not abs(hello.time_s) < 1e15:
        raise RefusedError(Reason.MALFORMED, "the time of the joining node's clock is not a time")
