"""A node's store and its way to others, for transfers and holdings: what is asked of them is noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actorrt.errors import ActorRtError, ObjectNotFoundError, PeerUnreachableError
from actorrt.ids import ObjectId, PeerAddress, PeerId
from tests.unit.node.fakes import IDS


def node_at(name: str) -> PeerAddress:
    return PeerAddress(IDS.peer(), f"memory://{name}")


class FakeExchange:
    """The store of one node: objects are bytes in a dict."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.here: dict[ObjectId, bytes] = {}
        self.begun: dict[ObjectId, memoryview] = {}
        self.inner: dict[ObjectId, list[ObjectId]] = {}
        self.held_for: dict[tuple[PeerId, ObjectId], bytes | None] = {}
        self.made_elsewhere: dict[ObjectId, bytes] = {}
        self.others: Any = None

    def attach(self, others: Any) -> None:
        self.others = others

    def locate(self, object_id: ObjectId, node: bytes) -> None:
        self.events.append(("locate", object_id))
        self.others.adopt(object_id, node, None)

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None:
        self.events.append(("origin", object_id, origin))

    def contain(self, object_id: ObjectId, contained: list[ObjectId]) -> None:
        self.inner[object_id] = contained

    def contained(self, object_id: ObjectId) -> list[ObjectId]:
        return self.inner.get(object_id, [])

    def release(self, object_id: ObjectId) -> None:
        self.events.append(("release", object_id))

    async def create(self, object_id: ObjectId, length_bytes: int) -> memoryview | None:
        if object_id in self.here:
            return None
        self.begun[object_id] = memoryview(bytearray(length_bytes))
        return self.begun[object_id]

    def seal(self, object_id: ObjectId) -> None:
        self.here[object_id] = bytes(self.begun.pop(object_id))

    def abort(self, object_id: ObjectId) -> None:
        self.begun.pop(object_id, None)
        self.events.append(("abort", object_id))

    def fail(self, object_id: ObjectId, error: ActorRtError) -> None:
        self.events.append(("fail", object_id, str(error)))

    async def read(self, object_id: ObjectId) -> memoryview:
        if object_id not in self.here:
            raise ObjectNotFoundError("no such object")
        return memoryview(self.here[object_id])

    def is_here(self, object_id: ObjectId) -> bool:
        return object_id in self.here

    def node_gone(self, peer: PeerId) -> None:
        self.events.append(("node gone", peer))

    def hold_for(self, peer: PeerId, object_id: ObjectId, token: bytes | None) -> bytes | None:
        self.held_for[peer, object_id] = token
        return self.made_elsewhere.get(object_id)

    def arrived_for(self, peer: PeerId, object_id: ObjectId, token: bytes) -> None:
        self.events.append(("arrived", peer, object_id, token))

    def release_for(self, peer: PeerId, object_id: ObjectId) -> None:
        del self.held_for[peer, object_id]


class FakeTransport:
    """Keeps what is sent to other nodes; those in `unreachable` can't be spoken with."""

    def __init__(self, address: PeerAddress) -> None:
        self.peer, self.address = address
        self.sent: list[tuple[PeerId, list[Any], list[bytes]]] = []
        self.addresses: dict[PeerId, str] = {}
        self.unreachable: set[PeerId] = set()

    def address_of(self, peer: PeerId) -> str | None:
        return self.addresses.get(peer)

    def link(self, peer: PeerId, address: str, lane: Any) -> FakeLink:
        if peer in self.unreachable:
            raise PeerUnreachableError(f"{address} does not answer")
        return FakeLink(self, peer)

    def take(self) -> list[tuple[PeerId, list[Any], list[bytes]]]:
        """Return what was sent since the last look."""
        sent, self.sent = self.sent, []
        return sent


class FakeLink:
    """A link of a `FakeTransport`."""

    def __init__(self, transport: FakeTransport, peer: PeerId) -> None:
        self._transport = transport
        self._peer = peer

    def send(self, envelope: Sequence[Any], buffers: Sequence[Any] = ()) -> None:
        self._transport.sent.append((self._peer, list(envelope), [bytes(buffer) for buffer in buffers]))
