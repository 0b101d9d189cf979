"""Answers who asks for the nodes: the members of the cluster, with what there is of each now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actorrt.actors.wire.control import Control
from actorrt.ids import PeerAddress
from actorrt.node.listing.census import ask_each
from actorrt.node.placement.nodes import Nodes, daemon_of
from actorrt.node.placement.resources import Resources
from actorrt.protocol.cluster.listing import AskNodeRoom, AskNodes, NodeRow, RoomOfNode
from actorrt.protocol.cluster.members import Member

SILENT = "silent"
ALONE = "alive"


class NodeRows:
    """Lists the nodes.

    Args:
        nodes: those that the node knows of.
        resources: of this node.
        control: asks the other nodes, and answers who asks.
        peer_address: of this daemon.
        store: returns the statistics of this node's object store.
    """

    def __init__(
        self,
        nodes: Nodes,
        resources: Resources,
        control: Control,
        peer_address: PeerAddress,
        store: Callable[[], Mapping[str, int]],
    ) -> None:
        self._nodes = nodes
        self._resources = resources
        self._control = control
        self._own = peer_address
        self._store = store
        control.handle(AskNodes.by(lambda *_: self.rows()))
        control.handle(AskNodeRoom.by(lambda *_: self._room()))

    async def rows(self) -> list[NodeRow]:
        """Return the nodes, this one first."""
        members = list(self._nodes.members())
        if not members:
            return [self._own_row()]
        members.sort(key=lambda member: (member.node != self._nodes.own, member.node))
        others = [daemon_of(member) for member in members if member.incarnation != self._own.peer]
        answers = await ask_each(self._control, others, AskNodeRoom())
        rooms = {peer: answer.value() for peer, answer in answers.items() if answer.done() and not answer.error()}
        rooms[self._own.peer] = self._room()
        return [_row_of(member, rooms.get(member.incarnation)) for member in members]

    def _own_row(self) -> NodeRow:
        """Return this node, which is in no cluster."""
        return NodeRow(
            node=None,
            incarnation=self._own.peer,
            address=self._own.address,
            state=ALONE,
            resources={name: float(amount) for name, amount in self._resources.total.items()},
            labels={},
            room=self._room(),
        )

    def _room(self) -> RoomOfNode:
        stats = self._store()
        return RoomOfNode(
            free=self._resources.free(), store_bytes=stats["capacity_bytes"], used_bytes=stats["used_bytes"]
        )


def _row_of(member: Member, room: RoomOfNode | None) -> NodeRow:
    return NodeRow(
        node=member.node,
        incarnation=member.incarnation,
        address=member.addresses[0].partition("#")[0],
        state=member.status.value if room is not None else SILENT,
        resources=member.resources,
        labels=member.labels,
        room=room,
    )
