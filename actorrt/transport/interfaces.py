"""The interface to the layers above: `Transport`, `Link`, and the `Receiver` that those layers pass in.

The layers above define the meaning of an envelope. Here it is a list whose first item is an integer.

A transport promises: the envelopes of one link arrive in the order in which they were sent, each exactly once and
whole, also if connections break, as long as both processes live and reconnect in time. If they do not reconnect, the
receiver is told (`peer_failed`), and it is unknown whether the last envelopes arrived. The peer's receiver is told too,
as soon as the peer can be reached. So when one end gives the other up, both ends know that messages are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from actorrt.errors import ActorRtError
from actorrt.ids import PeerId

Buffer = bytes | bytearray | memoryview
Envelope = Sequence[Any]
"""None, bool, int of 64 bits, float, str, bytes, lists of them, and dicts of them with str, bytes or int keys.

Tuples and bytearrays travel as lists and bytes. The first item is an int, the kind.
"""


class Landing:
    """Memory that the receiver provides for one buffer to arrive in.

    Attributes:
        memory: memory of the buffer's length. None after `recall`; bytes that still arrive are discarded.
    """

    __slots__ = ("memory",)

    def __init__(self, memory: memoryview) -> None:
        self.memory: memoryview | None = memory

    def recall(self) -> None:
        """Take the memory back. Nothing is written to it from now on."""
        self.memory = None


class Lane(IntEnum):
    """The traffic that a link carries. Each lane has its own connection, so control never waits behind user traffic."""

    USER = 0
    CONTROL = 1


LANES: Final = tuple(Lane)
"""All lanes; to iterate over an enum takes several times as long."""


class Receiver(Protocol):
    """The layer above. Its methods are called on the transport's loop, never in a sender's stack.

    These methods are optional:

    * `drained() -> None`: called after the last of the envelopes that arrived together, in a stack of the transport's
      own. Envelopes that are sent before it returns leave when it returns.
    * `peer_silent(peer: PeerId, silent_s: float) -> None`: called once when a peer that owes acknowledgements has sent
      nothing for `SILENCE_S`. The peer is stopped, busy in user code, or cut off; no link has been closed.
    * `peer_speaks(peer: PeerId) -> None`: called when a silent peer sends something again.
    * `landing(peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None`: called when a
      large buffer begins to arrive, by transports that support it; returns memory for the buffer, or None. The envelope
      is delivered later, if at all. Its buffer is then `landing.memory` itself, and not read-only.
    """

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Called with one envelope and its read-only buffers, `()` if it has none.

        An exception fails the peer as a bad frame does, so that callers there are told.
        """

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        """Called when a peer has failed; the links to it are closed.

        Args:
            peer: the peer.
            error: `PeerUnreachableError`, after which a later `link` may try again; or an error after which the peer
                is ignored for good: `BadFrameError`, `WireVersionError`, `AuthenticationError`.
        """


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """Counts of one link. Bytes are those of whole frames."""

    envelopes_out: int
    frames_out: int
    bytes_out: int
    queued_bytes: int
    is_connected: bool


@dataclass(slots=True)
class TransportStatistics:
    """Counts of one transport since it was made.

    Attributes:
        links: the number of open links to peers.
        queued_bytes: bytes that were sent on these links and not handed to a connection yet.
        envelopes_in, frames_in, bytes_in: counts of what was delivered to the receiver.
        envelopes_out, frames_out, bytes_out: counts of what was handed to connections, including HELLOs.
        discarded_envelopes: envelopes that were still queued when their link was closed.
        ignored_frames: frames of a dropped peer, of a connection that a later one had replaced, or without a HELLO
            before them.
        bad_frames: messages that could not be decoded, or broke the protocol.
        repeated_frames: frames that arrived again after a connection broke, and were ignored.
        resumed_links: connections that replaced a broken one.
        acknowledgements_out: acknowledgements that were sent alone, since no frame left that could carry them.
        receiver_errors: envelopes for which `Receiver.received` raised.
    """

    links: int = 0
    queued_bytes: int = 0
    envelopes_in: int = 0
    frames_in: int = 0
    bytes_in: int = 0
    envelopes_out: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    discarded_envelopes: int = 0
    ignored_frames: int = 0
    bad_frames: int = 0
    repeated_frames: int = 0
    resumed_links: int = 0
    acknowledgements_out: int = 0
    receiver_errors: int = 0


class Link(Protocol):
    """The one-way link to a peer on one lane."""

    @property
    def peer(self) -> PeerId: ...

    @property
    def queued_bytes(self) -> int:
        """Bytes of envelopes that have not been handed to the connection yet."""

    @property
    def left_below(self) -> int:
        """The number below which frames may have left. The other frames never left. Valid also when the link is closed.

        Numbers grow from one link to a peer to the next link to it.
        """

    def send(self, envelope: Envelope, buffers: Sequence[Buffer] = ()) -> int:
        """Queue an envelope. It leaves at the end of this tick of the loop, in one frame with the others of the tick.

        An envelope that is sent from within `Receiver.received` leaves after `Receiver.drained` returns.

        The envelope is encoded at once, so later changes of it have no effect. Buffers are not copied, and must not
        change any more.

        Returns:
            The number of the frame that carries the envelope.

        Raises:
            TypeError, ValueError, OverflowError: the envelope holds a value that can't be encoded; nothing is queued.
            SerializationError: the envelope or a buffer is larger than any peer accepts; nothing is queued.
            MailboxFullError: the queued and unacknowledged bytes are at their bound; nothing is queued.
            PeerUnreachableError: the link is closed.
        """

    def statistics(self) -> LinkStatistics: ...


class Transport(Protocol):
    """Carries the envelopes of one process's endpoint. All methods are called on the loop that `start` ran on."""

    @property
    def peer(self) -> PeerId: ...

    @property
    def address(self) -> str:
        """The address at which peers reach this endpoint; final once `start` has returned."""

    async def start(self, receiver: Receiver) -> None:
        """Bind, and deliver arriving envelopes to `receiver` from now on.

        Raises:
            OSError: the address can't be bound; no socket or file is left behind.
        """

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> Link:
        """Return the link to `peer` on `lane`; open it to `address` if there is none.

        Raises:
            PeerUnreachableError: the peer was dropped, or this transport is closed.
            AuthenticationError: the address has no key that this transport accepts.
            ValueError: this transport can't connect to such an address.
        """

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address that a peer gave when it opened a link to us, or None."""

    def node_of(self, peer: PeerId) -> bytes:
        """Return the name of a peer's node, which the peer gave when it opened a link to us.

        The name is empty for peers of this process's own node, and for unknown peers.
        """

    def drop(self, peer: PeerId) -> None:
        """Close the links to a dead peer, discard their envelopes, and ignore messages that still arrive from it."""

    def watch(self, peer: PeerId, address: str) -> None:
        """Probe the peer, so that its silence is noticed although nothing is sent to it.

        Probing ends with `unwatch`, `drop` or the failure of the peer.
        """

    def unwatch(self, peer: PeerId) -> None:
        """Stop probing the peer. Its silence is still noticed while it owes acknowledgements."""

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer has owed an acknowledgement and sent nothing; 0 if it owes none.

        The value is updated twice a second while any acknowledgement is awaited. Only a watched peer always owes one.
        Time in which this process itself was stopped or busy does not count.
        """

    def round_trip_s(self, peer: PeerId) -> float:
        """Return how long a message to the peer and its answer take, in seconds; 0 for peers of the own node.

        It is measured on the links to peers of other nodes: the smallest of the last times, at most 2 s. Times of
        grace, in which the last messages of a peer or its verdict may still arrive, are longer by it.
        """

    def hold(self) -> None:
        """Let envelopes that are sent from now on wait for `release`, and not for the end of the tick.

        For callers that know when the work of a tick is done, and then call `release` in the same tick; and for code
        that runs between two ticks.
        """

    def release(self) -> None:
        """Send the envelopes that were held."""

    async def flush(self, timeout_s: float) -> bool:
        """Wait until no link has queued envelopes; return whether that happened in time."""

    async def close(self) -> None:
        """Wait up to `FLUSH_TIMEOUT_S` until peers have received all envelopes; release all resources. Idempotent."""

    def abandon(self) -> None:
        """Called in a forked child: send nothing more. The sockets belong to the parent, and are not touched."""

    def statistics(self) -> TransportStatistics: ...
