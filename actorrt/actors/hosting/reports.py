"""What a host reports to the authorities of its actors: how incarnations ended, and that they have handled a message.

Reports of exits wait for the end of the loop's turn. Actors that ended alike, as a group does that was told to stop,
share a message; the order of the reports is that of the exits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from actorrt.completion import Completion
from actorrt.ids import ActorId, ActorIds, PeerAddress
from actorrt.protocol.authorities import Exited, Handled
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.wire.control import Control
    from actorrt.actors.wire.peers import Peers

ALIKE_COUNT: Final = 200
"""How many exits share a message: its authority decides about all of them at once."""


class ExitReport(NamedTuple):
    """How an incarnation ended, and which authority is told.

    Attributes:
        authority: decides what follows.
        incarnation, reason: which one, and why it ended.
        is_administrative: whether the actor was to end for good.
        is_buried: whether nothing is left of the actor here, so that its authority need not have it buried.
    """

    authority: PeerAddress
    incarnation: int
    reason: ExitReason
    is_administrative: bool
    is_buried: bool


class Reports:
    """The reports of one host.

    Args:
        registry: the authority of light children here.
        peers: knows the node, which knows what an incarnation has spawned in other processes.
        control: reaches other authorities.
        call_soon: calls a function in the next turn of the loop.
    """

    def __init__(self, registry: Registry, peers: Peers, control: Control, call_soon: Callable[..., object]) -> None:
        self._registry = registry
        self._peers = peers
        self._control = control
        self._call_soon = call_soon
        self._unsent: list[tuple[ExitReport, list[ActorId]]] = []
        self._awaited: dict[ActorId, Completion[None]] = {}

    def next_exit_of(self, actor_id: ActorId) -> Completion[None]:
        """Return a completion that ends with the incarnation of an actor that is hosted here."""
        return self._awaited.setdefault(actor_id, Completion())

    def happened(self, cell: Cell) -> None:
        """Called when an incarnation has ended: complete the waits for that, and end its children."""
        awaited = self._awaited.pop(cell.actor_id, None)
        if awaited is not None:
            awaited.set_value(None)
        self._registry.stops.stop_children(cell.actor_id)
        if self.has_unknown_children(cell):
            self._control.notify(self._peers.node, Orphaned(actor=cell.actor_id))

    def has_unknown_children(self, cell: Cell) -> bool:
        """Whether the node may have children of an actor that it does not know itself, so that it has to be told."""
        return cell.has_distant_children and cell.blueprint.authority != self._peers.node

    async def unknown_children_gone(self, cell: Cell) -> None:
        """End what an actor has spawned elsewhere on this node and its authority does not know; return when it is gone.

        A light child has none: its authority is here.
        """
        if self.has_unknown_children(cell) and not cell.blueprint.is_child_here:
            await self._control.request(self._peers.node, Orphaned(actor=cell.actor_id))

    def exited(
        self, cell: Cell, incarnation: int, reason: ExitReason, *, is_administrative: bool, is_buried: bool
    ) -> None:
        """Tell the cell's authority that an incarnation has ended."""
        if cell.blueprint.is_child_here:
            exited = partial(self._registry.exited, is_administrative=is_administrative)
            self._call_soon(exited, cell.actor_id, incarnation, reason)
            return
        report = ExitReport(cell.blueprint.authority, incarnation, reason, is_administrative, is_buried)
        if not self._unsent:
            self._call_soon(self._send)
        elif self._unsent[-1][0] == report and len(self._unsent[-1][1]) < ALIKE_COUNT:
            self._unsent[-1][1].append(cell.actor_id)
            return
        self._unsent.append((report, [cell.actor_id]))

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        for exit, actor_ids in unsent:
            report = Exited(
                actors=ActorIds(b"".join(actor_ids)),
                incarnation=exit.incarnation,
                reason=exit.reason,
                is_administrative=exit.is_administrative,
                is_buried=exit.is_buried,
            )
            self._control.notify(exit.authority, report)

    def handled_first(self, cell: Cell) -> None:
        """Tell the cell's authority that an incarnation has handled its first message."""
        if cell.blueprint.is_child_here:
            self._registry.handled_a_message(cell.actor_id, cell.incarnation)
        else:
            notice = Handled(actor=cell.actor_id, incarnation=cell.incarnation)
            self._control.notify(cell.blueprint.authority, notice)
