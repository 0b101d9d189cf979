"""What a monitor says when an actor ends, and when it says so: once, after everything that the actor had said.

Links, by which one actor's end ends another, are in `actorrt.actors.hosting.actor_links`.
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
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.actors.wire.remembered import Remembered
from actorrt.config import DEATH_GRACE_S
from actorrt.ids import ActorId, PeerAddress, PeerId, short
from actorrt.protocol.authorities import Monitor
from actorrt.protocol.processes import Fence, Flush
from actorrt.transport.interfaces import Lane

logger = logging.getLogger(__name__)

LAST_WORDS_TIMEOUT_S: Final = 1.0
"""How long a Down waits for what the actor had sent; a process that lives and is silent for so long is hung."""


class Monitors:
    """The monitors of one endpoint.

    Args:
        threads: its loop.
        control: asks the authorities, and the processes that the actors ran in.
        routes: knows which incarnations this endpoint has heard of.
        peers: which of them are gone.
    """

    def __init__(self, threads: LoopThread, control: Control, routes: Routes, peers: Peers) -> None:
        self._threads = threads
        self._control = control
        self._routes = routes
        self._peers = peers
        self._ends_told = Remembered[ActorId, int]()  # the last incarnation whose end a monitor of restarts told
        control.handle(Flush.by(self._flush))

    def watch(self, ref: ActorRef[Any], restarts: bool = False) -> Operation[Down]:
        """Return what ends with a Down; see `actorrt.monitor`."""
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
        if report.endpoint is not None:
            await self._last_words(report.endpoint)
        if report.is_final:
            self._ends_told.pop(ref._actor_id, None)
        else:
            self._ends_told[ref._actor_id] = report.incarnation
        return Down(ref, report.reason, report.incarnation, report.is_final)

    def _incarnation_seen(self, ref: ActorRef[Any]) -> int:
        """Return the incarnation that this endpoint knows of: its end is told even if it came before the question."""
        seen = self._routes.sighting(ref._actor_id) or ref._seen
        newest = 0 if seen is None else seen.incarnation
        return max(newest, self._ends_told.get(ref._actor_id, -1) + 1)

    async def _last_words(self, endpoint: PeerAddress) -> None:
        """Return when this endpoint has everything that the other had sent to it.

        A process that is gone has been heard out when its loss was settled, or will be within the grace. Another is
        asked to send something along the way that its messages take.
        """
        if endpoint.peer == self._peers.own_peer:
            return
        try:
            if not self._peers.is_lost(endpoint.peer):
                async with asyncio.timeout(LAST_WORDS_TIMEOUT_S):
                    await self._control.request(endpoint, Flush(address=self._peers.own.address))
                return
        except TimeoutError:
            return
        except errors.ActorRtError as error:
            logger.debug("%s ended before it could be heard out: %s", short(endpoint.peer), error)
        await asyncio.sleep(DEATH_GRACE_S)  # what it sent last may still lie in our socket

    async def _flush(self, peer: PeerId, asked: Flush) -> None:
        """Called when a peer waits for what was sent to it, or waits here until its actors have room."""
        await self._routes.drained(peer)
        await self._control.request(PeerAddress(peer, asked.address), Fence(), Lane.USER)
