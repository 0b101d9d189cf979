"""Finds actors by their names, and by the ids that supervisors give to their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorrt.actors.cells.cell import current_cell
from actorrt.actors.endpoint.ref_factory import RefFactory
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.protocol.authorities import FindSibling
from actorrt.protocol.nodes import LookUp

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell


class Lookups:
    """The lookups of one endpoint.

    Args:
        threads: the endpoint's loop.
        control: asks the node and other authorities.
        peers: knows the node.
        refs: makes the refs that are found.
        namespace: where code outside of actors looks up names.
    """

    def __init__(self, threads: LoopThread, control: Control, peers: Peers, refs: RefFactory, namespace: str) -> None:
        self._threads = threads
        self._control = control
        self._peers = peers
        self._refs = refs
        self._namespace = namespace

    def by_name(self, name: str, timeout_s: float, namespace: str | None = None) -> Operation[ActorRef[Any]]:
        """Find an actor by name; see `actorrt.lookup`."""
        if namespace is None:
            cell = current_cell()
            namespace = self._namespace if cell is None else cell.blueprint.namespace
        asked = LookUp(namespace=namespace, name=name, timeout_s=timeout_s)

        async def find() -> ActorRef[Any]:
            node = self._peers.node
            return self._refs.from_card(await self._control.request(node, asked), node)

        return self._threads.operate(f"the lookup of {name!r}", find)

    def sibling(self, cell: Cell, id: str) -> Operation[ActorRef[Any]]:
        """Find another child of a hosted actor's supervisor; see `Context.sibling`."""
        authority = cell.blueprint.authority

        async def find() -> ActorRef[Any]:
            asked = FindSibling(actor=cell.actor_id, id=id)
            return self._refs.from_card(await self._control.request(authority, asked), authority)

        return self._threads.operate(f"the search of {cell.label} for its sibling {id!r}", find)
