"""Answers which process has promised an object: the node where it was promised knows."""

from __future__ import annotations

from collections.abc import Callable

from actorrt.actors.wire.control import Control
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.objects import FindPromise, ObjectPromise
from actorrt.store.server.retention import Retention


def serve_promises(retention: Retention, address_of: Callable[[PeerId], str | None], control: Control) -> None:
    """Answer for the objects of a node, and ask other nodes for those that were made there.

    Args:
        retention: has the objects.
        address_of: returns where a process is reached, or None.
        control: speaks with processes and nodes.
    """

    async def find(_: PeerId, asked: FindPromise) -> ObjectPromise:
        peer, origin = retention.promise(asked.object)
        if origin is not None:
            return await control.request(PeerAddress.from_packed(origin), asked)
        address = None if peer is None else address_of(peer)
        return ObjectPromise(process=None if peer is None or address is None else PeerAddress(peer, address))

    control.handle(FindPromise.by(find))
