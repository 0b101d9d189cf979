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
    __slots__ = ("is_silent", "progress", "since")

    def __init__(self, progress: int) -> None:
        self.progress = progress
        self.since: float | None = None  # something has been awaited, and nothing heard, since then
        self.is_silent = False


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

    def observe(self, now: float, sightings: Mapping[PeerId, Sighting]) -> list[Silence]:
        """Take notice of all peers there are; return who fell silent since the last time, and who speaks again."""
        was_held_up = self._observed_at is None or now - self._observed_at > 2 * self._interval_s
        self._observed_at = now
        for peer in [peer for peer in self._peers if peer not in sightings]:
            del self._peers[peer]
        changes = []
        for peer, sighting in sightings.items():
            known = self._peers.get(peer)
            if known is None:
                known = self._peers[peer] = _Peer(sighting.progress)
            change = self._observe(now, known, sighting, was_held_up)
            if change is not None:
                changes.append(Silence(peer, change or None))
        return changes

    def _observe(self, now: float, known: _Peer, sighting: Sighting, was_held_up: bool) -> float | None:
        """Return how long the peer has been silent if it has just fallen silent, 0 if it speaks again, else None."""
        if sighting.progress != known.progress:
            known.progress = sighting.progress
            known.since = now if sighting.is_awaited else None
            was_silent, known.is_silent = known.is_silent, False
            return 0.0 if was_silent else None
        if not sighting.is_awaited:
            known.since = None
        elif known.since is None or (was_held_up and not known.is_silent):
            known.since = now
        elif not known.is_silent and now - known.since >= self._silence_s:
            known.is_silent = True
            return now - known.since
        return None
