"""The beat by which peers that have fallen silent are found; who is silent is decided in `silence`.

A link owes us acknowledgements for what was sent, so peers with traffic need no more. To the others that somebody
watches a *probe* goes at each beat, a frame without envelopes, which is acknowledged like all frames. Nothing beats
while nothing is awaited and nobody watched; nothing is counted where frames are handled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from actorrt.config import HEARTBEAT_S, SILENCE_S
from actorrt.errors import ActorRtError
from actorrt.ids import PeerId
from actorrt.transport.interfaces import Receiver
from actorrt.transport.links.inbound import Line
from actorrt.transport.links.queued_link import QueuedLink
from actorrt.transport.links.silence import Sighting, SilenceDetector


class Heartbeat:
    """Finds peers that fall silent and speak again; tells the receiver, if it has methods that take it.

    Args:
        loop: of the transport.
        receiver: gets `peer_silent(peer, silent_s)` and `peer_speaks(peer)`.
        lines: returns all lines there are.
        link: opens, or returns, the link on which a peer is probed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: Receiver,
        lines: Callable[[], Iterable[Line]],
        link: Callable[[PeerId, str], QueuedLink],
    ) -> None:
        self._loop = loop
        self._lines = lines
        self._link = link
        self._is_heard = hasattr(receiver, "peer_silent")
        self._on_silent: Callable[[PeerId, float], None] = getattr(receiver, "peer_silent", _tell_nobody)
        self._on_speaks: Callable[[PeerId], None] = getattr(receiver, "peer_speaks", _tell_nobody)
        self._detector = SilenceDetector(HEARTBEAT_S, SILENCE_S)
        self._watched: dict[PeerId, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, peer: PeerId, address: str) -> None:
        """Probe the peer from now on."""
        self._watched[peer] = address
        self.wake()

    def unwatch(self, peer: PeerId) -> None:
        """Probe the peer no more."""
        self._watched.pop(peer, None)

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer had owed an acknowledgement and said nothing, as of the last beat."""
        return self._detector.silent_s(peer)

    def wake(self) -> None:
        """Something is awaited: begin to beat, if anybody wants to hear it."""
        if self._timer is None and (self._watched or self._is_heard):
            self._timer = self._loop.call_later(HEARTBEAT_S, self._beat)

    def close(self) -> None:
        """Beat no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._timer = None
        sightings = self._sightings()
        quiet = [peer for peer in self._watched if peer not in sightings or not sightings[peer].is_awaited]
        for peer in quiet:
            self._probe(peer)
        if quiet:
            sightings = self._sightings()
        if self._watched or any(sighting.is_awaited for sighting in sightings.values()):
            self.wake()
        for peer, silent_s in self._detector.observe(self._loop.time(), sightings):
            if silent_s is None:
                self._on_speaks(peer)
            else:
                self._on_silent(peer, silent_s)

    def _probe(self, peer: PeerId) -> None:
        try:
            self._link(peer, self._watched[peer]).probe()
        except ActorRtError:  # it was dropped, or has no key that is accepted, or this transport is closing
            self.unwatch(peer)

    def _sightings(self) -> dict[PeerId, Sighting]:
        sightings: dict[PeerId, Sighting] = {}
        for line in self._lines():
            progress, is_awaited = sightings.get(line.peer, (0, False))
            progress += line.receipts.taken
            if line.link is not None:
                progress += line.link.acknowledged_below
                is_awaited = is_awaited or line.link.is_awaiting
            sightings[line.peer] = Sighting(progress, is_awaited)
        return sightings


def _tell_nobody(*_: object) -> None:
    """For receivers that ask for `silent_s` themselves."""
