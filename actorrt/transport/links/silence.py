"""Pure: finds silent peers: peers that owe an acknowledgement and send nothing.

Silence is a suspicion, not a verdict: a process whose loop is blocked by a long method is as silent as a stopped one.
The receiver decides, since it knows more, such as the state of the process. The beats are in `heartbeat`.

    heard ── owes an acknowledgement, and sends nothing for `silence_s` ──▶ silent ── sends anything ──▶ heard

Time in which the observer itself was stopped or busy does not count, since it could not hear anything then (Lifeguard,
Dadgar et al. 2017, "local health").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from actorrt.ids import PeerId


class PeerProgress(NamedTuple):
    """The progress of a peer at one moment.

    Attributes:
        heard: a number that changes whenever something arrives from the peer.
        is_awaited: whether the peer owes an acknowledgement.
    """

    heard: int
    is_awaited: bool


class SilenceChange(NamedTuple):
    """A peer fell silent, or speaks again.

    Attributes:
        peer: the peer.
        silent_s: for how long the peer has been silent; None if it speaks again.
    """

    peer: PeerId
    silent_s: float | None


class _ObservedPeer:
    __slots__ = ("heard", "is_silent", "silent_s", "was_awaited")

    def __init__(self, heard: int) -> None:
        self.heard = heard
        self.was_awaited = False
        self.silent_s = 0.0  # for how long the peer has owed an acknowledgement and sent nothing
        self.is_silent = False

    def observed(self, progress: PeerProgress, since_s: float | None) -> None:
        """Note the progress, `since_s` seconds after the last observation; None if the observer was stopped or busy."""
        if progress.heard != self.heard:
            self.heard = progress.heard
            self.silent_s = 0.0
        elif since_s is not None and (self.is_silent or (self.was_awaited and progress.is_awaited)):
            self.silent_s += since_s
        elif not self.is_silent:
            self.silent_s = 0.0
        self.was_awaited = progress.is_awaited


class SilenceDetector:
    """Compares the progress of all peers from one observation to the next.

    Args:
        interval_s: the intended time between two observations.
        silence_s: the time after which a peer that owes an acknowledgement and sends nothing is silent.
    """

    def __init__(self, interval_s: float, silence_s: float) -> None:
        self._interval_s = interval_s
        self._silence_s = silence_s
        self._peers: dict[PeerId, _ObservedPeer] = {}
        self._observed_at: float | None = None

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer had been silent, as of the last observation."""
        known = self._peers.get(peer)
        return 0.0 if known is None else known.silent_s

    def observe(self, now: float, progress: Mapping[PeerId, PeerProgress]) -> list[SilenceChange]:
        """Note the progress of every peer; return the peers that have fallen silent or speak again."""
        since_s = 0.0 if self._observed_at is None else now - self._observed_at
        was_held_up = since_s > 2 * self._interval_s
        self._observed_at = now
        for peer in [peer for peer in self._peers if peer not in progress]:
            del self._peers[peer]
        changes = []
        for peer, of_peer in progress.items():
            known = self._peers.get(peer)
            if known is None:
                known = self._peers[peer] = _ObservedPeer(of_peer.heard)
            was_silent = known.is_silent
            known.observed(of_peer, None if was_held_up else since_s)
            known.is_silent = known.silent_s >= self._silence_s
            if known.is_silent is not was_silent:
                changes.append(SilenceChange(peer, known.silent_s if known.is_silent else None))
        return changes
