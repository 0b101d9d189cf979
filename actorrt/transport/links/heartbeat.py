"""Probes peers at intervals, and compares what was heard of them; `silence` decides which peers are silent.

A peer with traffic owes us acknowledgements, so it needs no probe. A peer that is watched and owes none gets a *probe*
at each beat: a frame without envelopes, which is acknowledged like every frame. There are no beats while no
acknowledgement is awaited and no peer is watched. Handling a frame costs nothing extra, since progress is read only at
each beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from actorrt.background import in_background
from actorrt.config import HEARTBEAT_S, SILENCE_S
from actorrt.errors import ActorRtError
from actorrt.ids import PeerId
from actorrt.machine.clock import Clock
from actorrt.transport.interfaces import Receiver
from actorrt.transport.links.peer_lanes import PeerLane
from actorrt.transport.links.queued_link import QueuedLink
from actorrt.transport.links.silence import PeerProgress, SilenceDetector


class LinkHeartbeat:
    """Finds peers that fall silent or speak again, and calls the receiver's methods for that, if it has them.

    Args:
        loop, clock: the transport's loop, and the time.
        receiver: may have the methods `peer_silent(peer, silent_s)` and `peer_speaks(peer)`.
        peer_lanes: returns the lanes of all peers.
        probe_link: returns the link for probes to a peer at an address; opens it if there is none.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        receiver: Receiver,
        peer_lanes: Callable[[], Iterable[PeerLane]],
        probe_link: Callable[[PeerId, str], QueuedLink],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._peer_lanes = peer_lanes
        self._probe_link = probe_link
        self._has_listener = hasattr(receiver, "peer_silent")
        self._on_silent: Callable[[PeerId, float], None] = getattr(receiver, "peer_silent", _ignore)
        self._on_speaks: Callable[[PeerId], None] = getattr(receiver, "peer_speaks", _ignore)
        self._detector = SilenceDetector(HEARTBEAT_S, SILENCE_S)
        self._watched: dict[PeerId, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, peer: PeerId, address: str) -> None:
        """Probe the peer from now on."""
        self._watched[peer] = address
        self.wake()

    def unwatch(self, peer: PeerId) -> None:
        """Stop probing the peer."""
        self._watched.pop(peer, None)

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer had owed an acknowledgement and sent nothing, as of the last beat."""
        return self._detector.silent_s(peer)

    def wake(self) -> None:
        """Start the beats if a peer is watched or the receiver has `peer_silent`. Called when a link begins to wait."""
        if self._timer is None and (self._watched or self._has_listener):
            self._timer = in_background(self._loop.call_later, HEARTBEAT_S, self._beat)

    def close(self) -> None:
        """Stop the beats. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._timer = None
        progress = self._progress()
        quiet = [peer for peer in self._watched if peer not in progress or not progress[peer].is_awaited]
        for peer in quiet:
            self._probe(peer)
        if quiet:
            progress = self._progress()
        if self._watched or any(of_peer.is_awaited for of_peer in progress.values()):
            self.wake()
        for peer, silent_s in self._detector.observe(self._clock.now(), progress):
            if silent_s is None:
                self._on_speaks(peer)
            else:
                self._on_silent(peer, silent_s)

    def _probe(self, peer: PeerId) -> None:
        try:
            self._probe_link(peer, self._watched[peer]).probe()
        except ActorRtError:  # the peer was dropped, its key is not accepted, or this transport is closing
            self.unwatch(peer)

    def _progress(self) -> dict[PeerId, PeerProgress]:
        """Return the progress of each peer, of both lanes together."""
        progress: dict[PeerId, PeerProgress] = {}
        for peer_lane in self._peer_lanes():
            peer, link, heard, is_awaited = peer_lane.peer, peer_lane.link, peer_lane.receipts.received, False
            if link is not None:
                heard += link.acknowledged_below
                is_awaited = link.is_awaiting
            known = progress.get(peer)
            if known is not None:
                heard, is_awaited = heard + known.heard, is_awaited or known.is_awaited
            progress[peer] = PeerProgress(heard, is_awaited)
        return progress


def _ignore(*_: object) -> None:
    """Replaces the methods that a receiver does not have."""
