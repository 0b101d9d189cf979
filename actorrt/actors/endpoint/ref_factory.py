"""Makes refs that are bound to one endpoint: from the answers of authorities, and to actors that it hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.authority.sightings import PLACE_CODE
from actorrt.actors.refs.current import BoundEndpoint
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.wire import interface
from actorrt.actors.wire.interface import Interface
from actorrt.actors.wire.peers import Peers
from actorrt.ids import ActorId, ActorIds, PeerAddress
from actorrt.protocol.authorities import ActorCard, GroupPlaces, Sighting
from actorrt.scopes import parts_of
from actorrt.store.values import pickling

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell

AT_ONCE_COUNT: Final = 1_000
"""How many refs of a group are made in one turn of the loop."""


class RefFactory:
    """Makes the refs of one endpoint.

    Args:
        owner: the endpoint, which the refs are bound to.
        peers: knows its address.
        known: returns the id in the record of a child on this endpoint, or else the id that it is given. So the ids of
            a million actors are in memory once.

    Attributes:
        owner: the endpoint.
    """

    def __init__(self, owner: BoundEndpoint, peers: Peers, known: Callable[[ActorId], ActorId]) -> None:
        self.owner = owner
        self._peers = peers
        self._known = known

    def from_card(self, card: ActorCard, authority: PeerAddress) -> ActorRef[Any]:
        """Make the ref that an authority's answer describes."""
        methods, call_timeout_s = pickling.loads(card.card)
        kind = interface.from_data(methods)
        return ActorRef(self.owner, card.actor, kind, card.name, card.home or authority, card.seen, call_timeout_s)

    def to_cell(self, cell: Cell) -> ActorRef[Any]:
        """Make a ref to an actor that is hosted here."""
        plan, options = cell.blueprint, cell.options
        seen = Sighting(self._peers.own, cell.incarnation)
        kind, timeout_s = plan.interface, options.call_timeout_s
        return ActorRef(self.owner, cell.actor_id, kind, options.name, plan.authority, seen, timeout_s)

    async def of_group(
        self, actor_ids: ActorIds, kind: Interface, authority: PeerAddress, group: GroupPlaces, timeout_s: float | None
    ) -> list[ActorRef[Any]]:
        """Make the refs to the actors of a group.

        Args:
            actor_ids: the actors.
            kind: their interface.
            authority: the authority of all of them.
            group: where they run.
            timeout_s: the time limit of their calls.
        """
        places, place_of = group.places, memoryview(group.place_of).cast(PLACE_CODE)
        refs: list[ActorRef[Any]] = []
        async for indices in parts_of(range(len(actor_ids)), AT_ONCE_COUNT):
            drawn = actor_ids[indices[0] : indices[-1] + 1]
            for index, drawn_id in zip(indices, drawn, strict=True):
                actor_id = self._known(drawn_id)
                refs.append(ActorRef(self.owner, actor_id, kind, None, authority, places[place_of[index]], timeout_s))
        return refs
