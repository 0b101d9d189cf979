"""Ends actors: tells their authorities to end them, and waits until all are gone.

The authority's side is in `actorrt.actors.authority`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from actorrt import errors
from actorrt.actors.calling.routes import Routes
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.refs.waiting import gather
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.ids import ActorId, ActorIds, PeerAddress
from actorrt.protocol.authorities import AskAlive, Stop
from actorrt.protocol.processes import Fence
from actorrt.scopes import parts_of
from actorrt.transport.interfaces import Lane

AT_ONCE_COUNT: Final = 1_000
"""How many refs of a group are looked at in one turn of the loop."""
FENCE_TIMEOUT_S: Final = 1.0


class EndOrders:
    """The orders of one endpoint.

    Args:
        threads: the endpoint's loop.
        control: tells the authorities.
        routes: know where the actors were seen.
        peers: know which authorities are gone.
    """

    def __init__(self, threads: LoopThread, control: Control, routes: Routes, peers: Peers) -> None:
        self._threads = threads
        self._control = control
        self._routes = routes
        self._peers = peers

    def stop(self, ref: ActorRef[Any], reason: str) -> Operation[None]:
        """See `ActorRef.stop`."""
        return self._threads.operate(f"the stop of {ref._label}", lambda: self._end([ref], reason, kill=False))

    def kill(self, ref: ActorRef[Any]) -> Operation[None]:
        """See `ActorRef.kill`."""
        return self._threads.operate(f"the kill of {ref._label}", lambda: self._end([ref], "killed", kill=True))

    def end_group(self, refs: Sequence[ActorRef[Any]], reason: str, *, kill: bool) -> Operation[list[None]]:
        """See `ActorGroup.stop` and `ActorGroup.kill`."""

        async def end() -> list[None]:
            await self._end(refs, reason, kill=kill)
            return [None] * len(refs)

        return self._threads.operate(f"the {'kill' if kill else 'stop'} of {len(refs)} actors", end)

    def is_alive(self, ref: ActorRef[Any]) -> Operation[bool]:
        """See `ActorRef.is_alive`."""

        async def ask() -> bool:
            if self._peers.is_lost(ref._authority.peer):
                return False
            return (await self._control.request(ref._authority, AskAlive(actor=ref._actor_id))).is_alive

        return self._threads.operate(f"asking whether {ref._label} is alive", ask)

    async def _end(self, refs: Sequence[ActorRef[Any]], reason: str, *, kill: bool) -> None:
        """End actors, with one order for each authority, and return when all are gone."""
        if not kill:
            await self._arrived(refs)
        ids_at: dict[PeerAddress, list[ActorId]] = {}
        async for part in parts_of(refs, AT_ONCE_COUNT):
            for ref in part:
                ids_at.setdefault(ref._authority, []).append(ref._actor_id)
        orders = [
            (authority, self._control.request(authority, _order(actor_ids, reason, kill)))
            for authority, actor_ids in ids_at.items()
        ]
        for authority, order in orders:
            try:
                await order
            except (errors.ActorDiedError, errors.PeerUnreachableError):
                if not self._peers.is_lost(authority.peer):
                    raise
                # the authority is gone, and its actors with it
        async for part in parts_of(refs, AT_ONCE_COUNT):
            for ref in part:
                self._routes.ended(ref._actor_id)

    async def _arrived(self, refs: Sequence[ActorRef[Any]]) -> None:
        """Return when the messages of this endpoint to the actors have arrived: a stop must not overtake them."""
        hosts: dict[PeerAddress, None] = {}  # in order, so that a simulation sends in the same order again
        async for part in parts_of(refs, AT_ONCE_COUNT):
            seen = (self._routes.sighting(ref._actor_id) for ref in part)
            hosts.update((sighting.peer_address, None) for sighting in seen if sighting is not None)
        own_peer = self._peers.own_peer
        fences = [self._control.request(host, Fence(), Lane.USER) for host in hosts if host.peer != own_peer]
        with suppress(TimeoutError):  # a process that is too busy to answer has the messages in its socket
            farthest_s = max([self._peers.round_trip_s(host.peer) for host in hosts], default=0.0)
            async with asyncio.timeout(FENCE_TIMEOUT_S + farthest_s):
                await gather(*fences, return_exceptions=True)


def _order(actor_ids: Sequence[ActorId], reason: str, kill: bool) -> Stop:
    return Stop(actors=ActorIds(b"".join(actor_ids)), reason=reason, kill=kill)
