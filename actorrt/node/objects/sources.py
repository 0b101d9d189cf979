"""Names the source from which a node reads an object. The node that made the object decides for all readers."""

from __future__ import annotations

from typing import Final

from actorrt.ids import ObjectId, PeerAddress, PeerId
from actorrt.node.objects.chunks import Chunks
from actorrt.node.objects.fanout import Fanout
from actorrt.protocol.objects import ObjectSource
from actorrt.store.server.exchange import Exchange
from actorrt.transport.interfaces import Transport

FANOUTS_COUNT: Final = 1000
"""For how many objects the readers are remembered. Beyond that, only objects that are being read are remembered."""


class Sources:
    """The readers of this node's own objects.

    Args:
        transport: has the addresses of other nodes.
        chunks: keeps a view of an object while it is read.
        exchange: this node's store.
    """

    def __init__(self, transport: Transport, chunks: Chunks, exchange: Exchange) -> None:
        self._transport = transport
        self._chunks = chunks
        self._exchange = exchange
        self._fanouts: dict[ObjectId, Fanout] = {}

    def __len__(self) -> int:
        return len(self._fanouts)

    async def name(self, reader: PeerId, object_id: ObjectId, failed: PeerId | None) -> ObjectSource:
        """Return the source from which a node is to read an object of this node. Wait until the object is sealed.

        Args:
            reader: the node that wants to read it.
            object_id: the object.
            failed: the source that was named before, but sent nothing; None at first.

        Raises:
            ObjectNotFoundError, ObjectLostError: the object can't be read, or another error is in its place.
        """
        length_bytes = len(await self._chunks.view(object_id))
        fanout = self._fanouts.setdefault(object_id, Fanout(self._transport.peer))
        self._forget_idle()
        if failed is not None:
            fanout.lost(failed)
        while True:
            source = fanout.join(reader)
            address = self._address_of(source)
            if address is not None:
                contained = self._exchange.contained(object_id)
                at = PeerAddress(source, address)
                return ObjectSource(length_bytes=length_bytes, contained=contained, source=at)
            fanout.lost(source)

    def _address_of(self, peer: PeerId) -> str | None:
        return self._transport.address if peer == self._transport.peer else self._transport.address_of(peer)

    def finished(self, reader: PeerId, object_id: ObjectId) -> None:
        """Called when a node has read an object: its source has room for another reader."""
        fanout = self._fanouts.get(object_id)
        if fanout is not None:
            fanout.finished(reader)
            if fanout.is_idle:
                self._chunks.close_view(object_id)

    def lost(self, peer: PeerId) -> None:
        """Called when a node can't be reached any more. It is not named as a source again."""
        for fanout in self._fanouts.values():
            fanout.lost(peer)

    def _forget_idle(self) -> None:
        """Forget the readers of idle objects, once too many objects are remembered."""
        if len(self._fanouts) > FANOUTS_COUNT:
            self._fanouts = {i: fanout for i, fanout in self._fanouts.items() if not fanout.is_idle}
