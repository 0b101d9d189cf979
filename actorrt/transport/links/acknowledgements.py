"""Sends acknowledgements that no frame has carried in time, and reads those that peers send alone.

One timer serves both purposes. It runs only while an acknowledgement is outstanding in either direction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from actorrt.machine.clock import Clock
from actorrt.transport.frames.codec import pack_acknowledgement
from actorrt.transport.interfaces import TransportStatistics
from actorrt.transport.links.peer_lanes import PeerLane
from actorrt.transport.links.queued_link import QueuedLink

ACK_DELAY_S: Final = 0.005
"""An acknowledgement that no frame carries is sent alone after one to two such delays: one, if no timer runs yet."""
LAST_ACK_TIMEOUT_S: Final = 0.1
"""A closing transport stops waiting when peers have acknowledged nothing for this time."""


class Acknowledgements:
    """Sends and collects the acknowledgements of one transport.

    Args:
        loop, clock: the transport's loop, and the time.
        answer: called with a connection's name and a message that goes back over that connection; it may be lost.
        statistics: the transport's statistics, which count the acknowledgements that are sent alone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        answer: Callable[[bytes, bytes], None],
        statistics: TransportStatistics,
    ) -> None:
        self._loop = loop
        self._now = clock.now
        self._answer = answer
        self._statistics = statistics
        self._owing: list[PeerLane] = []
        self._awaiting: list[QueuedLink] = []
        self._is_scheduled = False
        self._is_stopped = False
        self._next_round: asyncio.Future[None] | None = None

    def owe(self, peer_lane: PeerLane) -> None:
        """Acknowledge the frames of this peer and lane soon. To be called only if `is_owing` is False."""
        peer_lane.is_owing = True
        self._owing.append(peer_lane)
        if not self._is_scheduled:
            peer_lane.receipts.wait_from_now()
            self._schedule()

    def send(self, peer_lane: PeerLane) -> None:
        """Send the acknowledgement of this lane now, if one is owed and there is a connection."""
        if peer_lane.connection is not None and peer_lane.receipts.is_owed:
            self._statistics.acknowledgements_out += 1
            self._answer(peer_lane.connection, pack_acknowledgement(peer_lane.receipts.acknowledge()))

    def expect(self, link: QueuedLink) -> None:
        """Poll the link for acknowledgements at each round, until it expects no more."""
        self._awaiting.append(link)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_later(ACK_DELAY_S, self._round)

    def _round(self) -> None:
        self._is_scheduled = False
        if self._is_stopped:
            return
        awaiting, self._awaiting = self._awaiting, []
        self._awaiting += [link for link in awaiting if link.poll_acknowledgements()]
        self._send_overdue()
        if self._owing or self._awaiting:
            self._schedule()
        if self._next_round is not None and not self._next_round.done():
            self._next_round.set_result(None)

    def _send_overdue(self) -> None:
        """Send each acknowledgement that was owed at the last round already: no frame has carried it since then."""
        owing, self._owing = self._owing, []
        for peer_lane in owing:
            if peer_lane.receipts.is_overdue():
                self.send(peer_lane)
            peer_lane.is_owing = peer_lane.receipts.is_owed and peer_lane.connection is not None
            if peer_lane.is_owing:
                self._owing.append(peer_lane)

    async def wait_for(self, links: Collection[QueuedLink], deadline: float) -> None:
        """Wait until the frames of these links are acknowledged, since closing a connection may lose frames.

        Links whose connection breaks are left out. The wait ends early if no peer acknowledges anything for
        `LAST_ACK_TIMEOUT_S`; then the peers are busy, or have dropped this process.
        """
        held_bytes, quiet_since = -1, self._now()
        while self._now() < min(deadline, quiet_since + LAST_ACK_TIMEOUT_S):
            self._awaiting = [link for link in links if link.is_connected and link.held_bytes]
            if not self._awaiting:
                return
            still_bytes = sum(link.held_bytes for link in self._awaiting)
            if still_bytes != held_bytes:
                held_bytes, quiet_since = still_bytes, self._now()
            self._next_round = self._loop.create_future()
            self._schedule()
            await self._next_round

    def stop(self) -> None:
        """Stop sending and polling. Idempotent."""
        self._is_stopped = True
