"""The interfaces of the transport layer: `Transport`, `Link` and the `Receiver` that is handed in.

What an envelope means is the business of the layer above; here it is a list whose first item is an integer.

What a transport promises: envelopes of one link arrive in the order in which they were sent, each once, whole, also
over connections that break, as long as both processes live and find each other again in time. If they don't, the
receiver is told (`peer_failed`), and of what was sent last nobody knows whether it arrived. So is the peer's receiver,
as soon as the peer is heard of again: where one end gives the other up, both know that what was under way is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from actorrt.errors import ActorRtError
from actorrt.ids import PeerId

Buffer = bytes | bytearray | memoryview
Envelope = Sequence[Any]
"""None, bool, int of 64 bits, float, str, bytes, lists of them, and dicts of them with str, bytes or int keys.

Tuples and bytearrays travel as lists and bytes. The first item is an int, the kind.
"""


class Lane(IntEnum):
    """What a link carries; each lane has a connection of its own, so control is never behind user traffic."""

    USER = 0
    CONTROL = 1


class Receiver(Protocol):
    """What the layer above hands in. Both are called on the transport's loop, never in a sender's stack."""

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Take one envelope and its read-only buffers; `()` where it has none.

        An exception fails the peer as a bad frame does: whoever waits there is told.
        """

    # A receiver may have a method `drained() -> None` too. It is called after the last of the envelopes that arrived
    # together, in a stack of the transport's own; what is sent until it returns leaves as soon as it does.
    #
    # It may have `peer_silent(peer: PeerId, silent_s: float) -> None` and `peer_speaks(peer: PeerId) -> None`. The
    # first is called once when a peer with acknowledgements due has said nothing for `SILENCE_S`: it is stopped, or
    # busy in user code, or cut off; nothing has been closed. The second when it is heard again.

    # It may have `landing(peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None`. When a large buffer
    # begins to arrive, it is asked, by transports that can, for memory of its own to receive it in. The envelope
    # itself arrives later, if at all. A buffer that arrives in `landing.memory` is that object, and not read-only.

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        """Take notice that `peer` can't be spoken with; the links to it are closed by now.

        Args:
            peer: who failed.
            error: `PeerUnreachableError` (a later `link` may try again), or what makes the peer unfit to be
                spoken with: `BadFrameError`, `WireVersionError`, `AuthenticationError`.
        """


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """What one link has done; bytes are those of whole frames."""

    envelopes_out: int
    frames_out: int
    bytes_out: int
    queued_bytes: int
    is_connected: bool


@dataclass(slots=True)
class TransportStatistics:
    """What one transport has done since it was made.

    Attributes:
        links: links open towards others.
        queued_bytes: sent on them, and not handed to a connection yet.
        envelopes_in, frames_in, bytes_in: delivered to the receiver.
        envelopes_out, frames_out, bytes_out: handed to the connection, HELLOs included.
        discarded_envelopes: queued when their link was closed, hence never sent.
        ignored_frames: arrived from a peer that had been dropped, on a connection that a later one replaced, or
            without a HELLO before them.
        bad_frames: could not be decoded, or broke the protocol.
        repeated_frames: arrived again after a connection broke, and were ignored.
        resumed_links: connections that were made anew after one broke.
        acknowledgements_out: sent alone, for want of a frame that they could ride in.
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
    """One way to one peer, on one lane."""

    @property
    def peer(self) -> PeerId: ...

    @property
    def queued_bytes(self) -> int:
        """Bytes that were sent and have not been handed to the connection yet."""

    @property
    def left_below(self) -> int:
        """The number below which frames may have left, also once the link is closed. What is in the others never has.

        Numbers grow from one link to a peer to the next.
        """

    def send(self, envelope: Envelope, buffers: Sequence[Buffer] = ()) -> int:
        """Queue an envelope; it leaves at the end of this tick of the loop, in one frame with all others.

        What is sent while envelopes are being received leaves when those that arrived together have been.

        The envelope is encoded at once: what the caller changes in it afterwards is not seen. Buffers are not
        copied: they must not change any more.

        Returns:
            The number of the frame that it is in.

        Raises:
            TypeError, ValueError, OverflowError: the envelope holds what can't be encoded; nothing is queued.
            SerializationError: the envelope or a buffer is larger than any peer accepts; nothing is queued.
            MailboxFullError: what is queued or unacknowledged is at its bound; nothing is queued.
            PeerUnreachableError: the link is closed.
        """

    def statistics(self) -> LinkStatistics: ...


class Transport(Protocol):
    """One process's endpoint. Everything is called on the loop that `start` ran on."""

    @property
    def peer(self) -> PeerId: ...

    @property
    def address(self) -> str:
        """Where others reach this endpoint; final once `start` has returned."""

    async def start(self, receiver: Receiver) -> None:
        """Bind, and deliver what arrives to `receiver` from now on.

        Raises:
            OSError: the address can't be bound; nothing is left behind.
        """

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> Link:
        """Return the link to `peer` on `lane`, opened to `address` if there is none.

        Raises:
            PeerUnreachableError: the peer was dropped, or this transport is closed.
            AuthenticationError: the address has no key that this transport accepts.
            ValueError: the transport does not speak to addresses of that form.
        """

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address a peer gave of itself when it opened a link to us, or None."""

    def node_of(self, peer: PeerId) -> bytes:
        """Return what a peer's node is called by, as it said when it opened a link to us.

        Empty for those of this process's own node, and for those of which nothing is known.
        """

    def drop(self, peer: PeerId) -> None:
        """Take the peer for dead: close the links to it, discard what they hold, ignore what still arrives."""

    def watch(self, peer: PeerId, address: str) -> None:
        """Find out when the peer falls silent, though nothing is sent to it, until `unwatch`, `drop` or its failure."""

    def unwatch(self, peer: PeerId) -> None:
        """End what `watch` began; peers that acknowledgements are due of are listened for nevertheless."""

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer has owed an acknowledgement and said nothing; 0 if it owes none.

        As of the last look, twice a second while anything is awaited. Only a peer that is watched always owes one.
        Time in which this process was held up itself is not counted.
        """

    def hold(self) -> None:
        """Let what is sent from now on wait for `release`, rather than for the end of the tick.

        For those who know when the work of a tick is done, and call `release` then, in the same tick.
        """

    def release(self) -> None:
        """Send what was held, now."""

    async def flush(self, timeout_s: float) -> bool:
        """Wait until no link holds anything back; return whether that came about in time."""

    async def close(self) -> None:
        """Wait until peers have what was sent, for `FLUSH_TIMEOUT_S` at most; give everything back. Idempotent."""

    def abandon(self) -> None:
        """Send nothing more, in a forked child whose sockets are its parent's; they are not touched."""

    def statistics(self) -> TransportStatistics: ...
