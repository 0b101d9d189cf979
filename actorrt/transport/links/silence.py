"""Pure: who has fallen silent: peers of which something is awaited, and nothing is heard.

Silence is a suspicion, no verdict: a process whose loop is held by a long method says as little as one that was
stopped. Whoever is told knows more, such as the state of the process, and decides. The beat itself is `heartbeat`.

    heard ── awaited, and nothing heard for `silence_s` ──▶ silent ── anything heard ──▶ heard

An observer that was held up itself has heard nothing for reasons of its own: its windows begin anew (Lifeguard,
Dadgar et al. 2017, "local health").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from actorrt.ids import PeerId


class Sighting(NamedTuple):
    """What is known of a peer at one moment.

    Attributes:
        progress: any number that changes whenever something is heard of the peer.
        is_awaited: whether the peer owes an acknowledgement.
    """

    progress: int
    is_awaited: bool


class Silence(NamedTuple):
    """A peer fell silent, or speaks again.

    Attributes:
        peer: who.
        silent_s: for how long nothing was heard while something was awaited; None if the peer speaks again.
    """

    peer: PeerId
    silent_s: float | None


class _Peer:
    __slots__ = ("is_silent", "progress", "silent_s", "was_awaited")

    def __init__(self, progress: int) -> None:
        self.progress = progress
        self.was_awaited = False
        self.silent_s = 0.0  # for so long something was awaited, and nothing heard
        self.is_silent = False

    def observed(self, sighting: Sighting, since_s: float | None) -> None:
        """Take notice of the peer, `since_s` seconds after the last time; None where the observer was held up."""
        if sighting.progress != self.progress:
            self.progress = sighting.progress
            self.silent_s = 0.0
        elif since_s is not None and (self.is_silent or (self.was_awaited and sighting.is_awaited)):
            self.silent_s += since_s
        elif not self.is_silent:
            self.silent_s = 0.0
        self.was_awaited = sighting.is_awaited


class SilenceDetector:
    """Compares what is known of all peers from one observation to the next.

    Args:
        interval_s: the time between observations, as intended.
        silence_s: how long a peer of which something is awaited may say nothing.
    """

    def __init__(self, interval_s: float, silence_s: float) -> None:
        self._interval_s = interval_s
        self._silence_s = silence_s
        self._peers: dict[PeerId, _Peer] = {}
        self._observed_at: float | None = None

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer had been silent at the last observation."""
        known = self._peers.get(peer)
        return 0.0 if known is None else known.silent_s

    def observe(self, now: float, sightings: Mapping[PeerId, Sighting]) -> list[Silence]:
        """Take notice of all peers there are; return who fell silent since the last time, and who speaks again."""
        since_s = 0.0 if self._observed_at is None else now - self._observed_at
        was_held_up = since_s > 2 * self._interval_s
        self._observed_at = now
        for peer in [peer for peer in self._peers if peer not in sightings]:
            del self._peers[peer]
        changes = []
        for peer, sighting in sightings.items():
            known = self._peers.get(peer)
            if known is None:
                known = self._peers[peer] = _Peer(sighting.progress)
            was_silent = known.is_silent
            known.observed(sighting, None if was_held_up else since_s)
            known.is_silent = known.silent_s >= self._silence_s
            if known.is_silent is not was_silent:
                changes.append(Silence(peer, known.silent_s if known.is_silent else None))
        return changes
