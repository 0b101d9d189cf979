"""Keeps objects alive that were made on other nodes: each node holds them at the node that made them.

    process of node A        A                          B                    process of node B
    ref in a message ──────────────────────────────────────────────────────▶ its store hears of the sender's node
                        held, the transit ends ◀── "hold_object" ── adopted; fetched on demand
                        released ◀───────────── "release_hold" ── no process there refers to it

B may send the ref on to C. C asks B, the sender's node, and B answers that A made the object. A holds the object for C,
and then the transit at B ends ("object_arrived"). So a node that passes a ref on is not needed afterwards.

When a node can't be reached any more, its holds here are released. The objects that it made are lost, except copies.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.errors import ActorRtError, ObjectLostError
from actorrt.ids import ObjectId, PeerAddress, PeerId, short
from actorrt.protocol.objects import Holding, HoldObject, ObjectArrived, ReleaseHold
from actorrt.scopes import Scope
from actorrt.store.server.exchange import Exchange

logger = logging.getLogger(__name__)


def _unpack_node(node: bytes) -> PeerAddress:
    """Return the address of a node.

    Raises:
        ObjectLostError: these bytes do not name a node.
    """
    try:
        return PeerAddress.from_packed(node)
    except ValueError as error:
        raise ObjectLostError(f"the sender of an object's ref does not say which node it is on: {node!r}") from error


@dataclass(slots=True)
class _AdoptedObject:
    """One object that was adopted.

    Attributes:
        origin: the node that made it; completes when the object is held there.
        is_released: whether no process of this node refers to it any more.
    """

    origin: Completion[PeerAddress]
    is_released: bool = False


class Holdings:
    """The objects that this node holds at other nodes, and those that other nodes hold here.

    Args:
        node: the address of this node.
        control: carries requests to and from other nodes.
        exchange: this node's store.
        scope: owns the tasks that ask other nodes.
    """

    def __init__(self, node: PeerAddress, control: Control, exchange: Exchange, scope: Scope) -> None:
        self._node = node
        self._control = control
        self._exchange = exchange
        self._scope = scope
        self._holdings: dict[ObjectId, _AdoptedObject] = {}
        control.handle(HoldObject.by(self._hold_for))
        control.handle(ObjectArrived.by(self._arrived_for))
        control.handle(ReleaseHold.by(self._release_for))

    def __len__(self) -> int:
        return len(self._holdings)

    # Objects of other nodes

    def adopt(self, object_id: ObjectId, node: bytes, token: bytes | None) -> None:
        """Hold an object at the node that made it; see `exchange.RemoteStores`."""
        adopted = self._holdings[object_id] = _AdoptedObject(Completion())
        self._scope.start(self._adopt(object_id, node, token, adopted), f"hold {short(object_id)}")

    async def _adopt(self, object_id: ObjectId, node: bytes, token: bytes | None, adopted: _AdoptedObject) -> None:
        try:
            origin = await self._hold(object_id, _unpack_node(node), token)
        except ActorRtError as error:
            lost = ObjectLostError(
                f"object {short(object_id)} is lost: it can't be held at the node that made it: {error}"
            )
            adopted.origin.set_error(lost)
            if not adopted.is_released:
                self._exchange.fail(object_id, lost)
        else:
            adopted.origin.set_value(origin)
            if adopted.is_released:
                self._release(object_id, origin)
            else:
                self._exchange.set_origin(object_id, origin.packed())
        finally:
            adopted.origin.set_error(ObjectLostError("the node ended its work"))  # no effect if the origin is known

    async def _hold(self, object_id: ObjectId, sender: PeerAddress, token: bytes | None) -> PeerAddress:
        """Hold an object at the node that made it, and return that node; `sender` knows the node."""
        elsewhere = await self._ask(sender, object_id, token)
        if elsewhere is None:
            return sender
        origin = _unpack_node(elsewhere)
        try:
            if origin.peer == self._node.peer or await self._ask(origin, object_id, None):
                raise ObjectLostError(f"node {short(origin.peer)}, which made it, has it no longer")
        finally:
            if token is not None:
                self._control.notify(sender, ObjectArrived(object=object_id, token=token))
        return origin

    async def _ask(self, node: PeerAddress, object_id: ObjectId, token: bytes | None) -> bytes | None:
        """Ask a node to hold an object. Return None, or the other node that made the object."""
        try:
            return (await self._control.request(node, HoldObject(object=object_id, token=token))).node
        except ValueError as error:  # the transport can't use the address
            raise ObjectLostError(f"node {short(node.peer)} at {node.address!r} can't be reached from here") from error

    def arrived(self, object_id: ObjectId, node: bytes, token: bytes) -> None:
        """End a transit at the node of its sender; see `exchange.RemoteStores`."""
        try:
            sender = _unpack_node(node)
            self._control.notify(sender, ObjectArrived(object=object_id, token=token))
        except (ActorRtError, ValueError) as error:
            logger.warning("object %s: its sender's node can't be told that it arrived: %s", short(object_id), error)

    def release(self, object_id: ObjectId) -> None:
        """Release an object at the node that made it; see `exchange.RemoteStores`."""
        adopted = self._holdings.pop(object_id, None)
        if adopted is None:
            return
        adopted.is_released = True
        if adopted.origin.done() and adopted.origin.error() is None:
            self._release(object_id, adopted.origin.value())

    def _release(self, object_id: ObjectId, origin: PeerAddress) -> None:
        self._control.notify(origin, ReleaseHold(object=object_id))

    async def origin(self, object_id: ObjectId) -> PeerAddress:
        """Wait until an adopted object is held at the node that made it; return that node.

        Raises:
            ObjectLostError: the object can't be held there, or no process of this node refers to it any more.
        """
        adopted = self._holdings.get(object_id)
        if adopted is None:
            raise ObjectLostError(f"object {short(object_id)} is lost: its node is gone, or nothing here refers to it")
        return await adopted.origin

    async def settled(self, object_id: ObjectId) -> None:
        """Wait until an adopted object is held or lost. Return at once for an object of this node."""
        adopted = self._holdings.get(object_id)
        if adopted is not None:
            with suppress(ObjectLostError):  # the store has the error
                await adopted.origin

    def node_gone(self, peer: PeerId) -> None:
        """Called when a node can't be reached. Release its holds; the objects that it made are lost."""
        self._exchange.node_gone(peer)
        for object_id, adopted in list(self._holdings.items()):
            is_known = adopted.origin.done() and adopted.origin.error() is None
            if is_known and adopted.origin.value().peer == peer:
                del self._holdings[object_id]
                self._exchange.set_origin(object_id, None)

    # Objects of this node

    async def _hold_for(self, peer: PeerId, asked: HoldObject) -> Holding:
        """Hold an object for another node; if it was made elsewhere, return that node instead."""
        await self.settled(asked.object)
        return Holding(node=self._exchange.hold_for(peer, asked.object, asked.token))

    def _arrived_for(self, peer: PeerId, arrived: ObjectArrived) -> None:
        self._exchange.arrived_for(peer, arrived.object, arrived.token)

    def _release_for(self, peer: PeerId, released: ReleaseHold) -> None:
        self._exchange.release_for(peer, released.object)
