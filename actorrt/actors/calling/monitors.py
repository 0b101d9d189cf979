"""Monitors: a `Down` is told once, when an actor has ended, and after everything that the actor had sent.

Links, by which the end of one actor ends another, are in `actorrt.actors.hosting.actor_links`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from actorrt import errors
from actorrt.actors.calling.routes import Routes
from actorrt.actors.refs.ends import Down
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.wire.bounded_dict import BoundedDict
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.config import DEATH_GRACE_S
from actorrt.ids import ActorId, PeerAddress, PeerId, short
from actorrt.protocol.authorities import Monitor
from actorrt.protocol.processes import Fence, Flush
from actorrt.transport.interfaces import Lane

logger = logging.getLogger(__name__)

LAST_WORDS_TIMEOUT_S: Final = 1.0
"""How long a Down waits for what the actor had sent. A process that lives and is silent for so long is hung."""


class Monitors:
    """The monitors of one endpoint.

    Args:
        threads: the endpoint's loop.
        control: asks the authorities, and the processes that the actors ran in.
        routes: know which incarnations this endpoint has heard of.
        peers: know which processes are gone.
    """

    def __init__(self, threads: LoopThread, control: Control, routes: Routes, peers: Peers) -> None:
        self._threads = threads
        self._control = control
        self._routes = routes
        self._peers = peers
        self._ends_told = BoundedDict[ActorId, int]()  # the last incarnation whose end a monitor of restarts told
        control.handle(Flush.by(self._flush))

    def watch(self, ref: ActorRef[Any], restarts: bool = False) -> Operation[Down]:
        """Return an operation that ends with the Down; see `actorrt.monitor`."""
        return self._threads.operate(f"the monitor of {ref._label}", lambda: self._watch(ref, restarts))

    async def _watch(self, ref: ActorRef[Any], restarts: bool) -> Down:
        asked = Monitor(actor=ref._actor_id, since=self._incarnation_seen(ref) if restarts else None)
        try:
            report = await self._control.request(ref._authority, asked)
        except (errors.ActorDiedError, errors.PeerUnreachableError):
            reason = self._peers.reason_of_loss(ref._authority.peer)
            if reason is None:
                raise
            return Down(ref, reason, 0)  # its authority is gone, and the actor with it
        if report.peer_address is not None:
            await self._last_words(report.peer_address)
        if report.is_final:
            self._ends_told.pop(ref._actor_id, None)
        else:
            self._ends_told[ref._actor_id] = report.incarnation
        return Down(ref, report.reason, report.incarnation, report.is_final)

    def _incarnation_seen(self, ref: ActorRef[Any]) -> int:
        """Return the incarnation that this endpoint knows: its end is told even if it came before the question."""
        seen = self._routes.sighting(ref._actor_id) or ref._seen
        newest = 0 if seen is None else seen.incarnation
        return max(newest, self._ends_told.get(ref._actor_id, -1) + 1)

    async def _last_words(self, peer_address: PeerAddress) -> None:
        """Return when everything has arrived that the other endpoint had sent to this one.

        The last messages of a process that is gone arrive within a grace period. A process that lives is asked to send
        something on the link that its messages take.
        """
        if peer_address.peer == self._peers.own_peer:
            return
        try:
            if not self._peers.is_lost(peer_address.peer):
                async with asyncio.timeout(LAST_WORDS_TIMEOUT_S + self._peers.round_trip_s(peer_address.peer)):
                    await self._control.request(peer_address, Flush(address=self._peers.own.address))
                return
        except TimeoutError:
            return
        except errors.ActorRtError as error:
            logger.debug("%s ended before it could be heard out: %s", short(peer_address.peer), error)
        # The last that it sent may still be in our socket, or on its way from another node.
        await asyncio.sleep(DEATH_GRACE_S + self._peers.round_trip_s(peer_address.peer))

    async def _flush(self, peer: PeerId, asked: Flush) -> None:
        """Called when a peer asks for all that was sent to it, including what waits here until its actors have room."""
        await self._routes.drained(peer)
        await self._control.request(PeerAddress(peer, asked.address), Fence(), Lane.USER)
