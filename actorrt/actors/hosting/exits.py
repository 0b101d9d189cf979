"""What a host reports to the authorities of its actors: how incarnations ended.

Reports wait for the end of the loop's turn. Of actors that ended alike, as a group does that was told to stop, many
share one message; the order of the reports is that of the exits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from actorrt.completion import Completion
from actorrt.ids import ActorId, ActorIds, PeerAddress
from actorrt.protocol.authorities import Exited
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.endpoint.endpoint import System

ALIKE_COUNT: Final = 200
"""How many exits share a message: its authority decides about all of them at once."""


class Exit(NamedTuple):
    """How an incarnation ended, and who is to hear of it.

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


class Exits:
    """The reports of one host."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._unsent: list[tuple[Exit, list[ActorId]]] = []
        self._awaited: dict[ActorId, Completion[None]] = {}

    def next_of(self, actor_id: ActorId) -> Completion[None]:
        """Return what ends with the incarnation of an actor that is hosted here."""
        return self._awaited.setdefault(actor_id, Completion())

    def happened(self, actor_id: ActorId) -> None:
        """An incarnation has ended: wake whoever waits for that here."""
        exit = self._awaited.pop(actor_id, None)
        if exit is not None:
            exit.set_value(None)

    def report(
        self, cell: Cell, incarnation: int, reason: ExitReason, *, is_administrative: bool, is_buried: bool
    ) -> None:
        """Tell the cell's authority that an incarnation has ended."""
        if cell.blueprint.is_child_here:
            exited = partial(self._system.registry.exited, is_administrative=is_administrative)
            self._system.loop.call_soon(exited, cell.actor_id, incarnation, reason)
            return
        exit = Exit(cell.blueprint.authority, incarnation, reason, is_administrative, is_buried)
        if not self._unsent:
            self._system.loop.call_soon(self._send)
        elif self._unsent[-1][0] == exit and len(self._unsent[-1][1]) < ALIKE_COUNT:
            self._unsent[-1][1].append(cell.actor_id)
            return
        self._unsent.append((exit, [cell.actor_id]))

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
            self._system.control.notify(exit.authority, report)
