"""The asker's side of the end of actors: which authorities are told to end them, and when all are gone.

The authority's side is `authority.stops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.refs.waiting import wait
from actorrt.ids import ActorId, ActorIds, PeerAddress
from actorrt.protocol.authorities import Stop
from actorrt.protocol.processes import Fence
from actorrt.scopes import parts_of
from actorrt.transport.interfaces import Lane

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.refs.ref import ActorRef

AT_ONCE_COUNT: Final = 1_000
"""How many refs of a group are looked at before others on the loop have their turn."""
FENCE_TIMEOUT_S: Final = 1.0


async def end_actors(system: System, refs: Sequence[ActorRef[Any]], reason: str, *, kill: bool) -> None:
    """Have actors ended, those of one authority by one order, and return when all are gone."""
    if not kill:
        await _arrived(system, refs)
    ids_at: dict[PeerAddress, list[ActorId]] = {}
    async for part in parts_of(refs, AT_ONCE_COUNT):
        for ref in part:
            ids_at.setdefault(ref._authority, []).append(ref._actor_id)
    orders = [
        (authority, system.control.request(authority, _order(actor_ids, reason, kill)))
        for authority, actor_ids in ids_at.items()
    ]
    for authority, order in orders:
        try:
            await order
        except (errors.ActorDiedError, errors.PeerUnreachableError):
            if not system.peers.is_lost(authority.peer):
                raise
            # the authority is gone, and its actors with it
    async for part in parts_of(refs, AT_ONCE_COUNT):
        for ref in part:
            system.routes.ended(ref._actor_id)


def _order(actor_ids: Sequence[ActorId], reason: str, kill: bool) -> Stop:
    return Stop(actors=ActorIds(b"".join(actor_ids)), reason=reason, kill=kill)


async def _arrived(system: System, refs: Sequence[ActorRef[Any]]) -> None:
    """Return when what this endpoint has sent to the actors is there: a stop must not overtake it."""
    hosts: set[PeerAddress] = set()
    async for part in parts_of(refs, AT_ONCE_COUNT):
        seen = (system.routes.sighting(ref._actor_id) for ref in part)
        hosts.update(sighting.endpoint for sighting in seen if sighting is not None)
    fences = [system.control.request(host, Fence(), Lane.USER) for host in hosts if host.peer != system.endpoint.peer]
    if fences:
        await wait(fences, len(fences), FENCE_TIMEOUT_S)  # whoever is too busy to answer has it in its socket
