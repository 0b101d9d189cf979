"""Pure: which other nodes want to hear of the end of which processes of this node, and how recent ones ended.

A node always tells all processes that it watches. One that ended before it was watched is reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from actorrt.actors.wire.bounded_dict import BoundedDict
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason

REMEMBERED_COUNT: Final = 1_000


class ProcessEnd(NamedTuple):
    """The end of a process, as in `EndpointDown`."""

    peer: PeerId
    reason: ExitReason
    in_hand: Sequence[CallInHand] = ()


class ReportedEnds:
    """The ends of this node's processes, and the nodes that want to hear of them.

    Args:
        is_alive: whether a process of this node lives, or is being started.
    """

    def __init__(self, is_alive: Callable[[PeerId], bool]) -> None:
        self._is_alive = is_alive
        self._watched: dict[PeerAddress, dict[PeerId, None]] = {}  # by the daemon that watches
        self._ended = BoundedDict[PeerId, ProcessEnd](REMEMBERED_COUNT)

    def watch(self, daemon: PeerAddress, peers: Sequence[PeerId]) -> list[ProcessEnd]:
        """Take the processes that a node watches; return those ends that it must hear of now."""
        alive = {peer: None for peer in peers if self._is_alive(peer) and peer not in self._ended}
        self._watched.pop(daemon, None)
        if alive:
            self._watched[daemon] = alive
        return [self.end_of(peer) for peer in peers if peer not in alive]

    def end_of(self, peer: PeerId) -> ProcessEnd:
        """Return how a process ended that is not alive, as far as that is remembered."""
        known = self._ended.get(peer)
        if known is not None:
            return known
        return ProcessEnd(peer, ExitReason(ExitKind.CRASHED, "it had ended before; how it ended is not known any more"))

    def ended(self, end: ProcessEnd) -> list[PeerAddress]:
        """Take the end of a process of this node; return the nodes that are to be told."""
        self._ended[end.peer] = end
        daemons = [daemon for daemon, peers in self._watched.items() if end.peer in peers]
        for daemon in daemons:
            del self._watched[daemon][end.peer]
            if not self._watched[daemon]:
                del self._watched[daemon]
        return daemons

    def daemon_ended(self, daemon: PeerId) -> None:
        """Forget what a node watches that has ended."""
        self._watched = {watcher: peers for watcher, peers in self._watched.items() if watcher.peer != daemon}

    def watchers(self) -> list[PeerAddress]:
        """Return the nodes that watch processes of this one."""
        return list(self._watched)
