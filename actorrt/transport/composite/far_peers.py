"""Pure: the peers of other nodes that a process has links with, by node, and the nodes whose peers have changed.

Levels and not events are told: all peers on a node that has changed. So a telling that is repeated or left out does no
harm once a later one has arrived. A node is named by its daemon, which is its incarnation.
"""

from __future__ import annotations

from actorrt.ids import PeerAddress, PeerId


class FarPeers:
    """The linked peers of other nodes."""

    def __init__(self) -> None:
        self._daemons: dict[PeerId, PeerAddress] = {}
        self._by_daemon: dict[PeerAddress, dict[PeerId, None]] = {}  # dicts, so that a simulation repeats their order
        self._changed: dict[PeerAddress, None] = {}

    def on(self, daemon: PeerAddress) -> list[PeerId]:
        """Return the linked peers on the node of that daemon."""
        return list(self._by_daemon.get(daemon, ()))

    def linked(self, peer: PeerId, daemon: PeerAddress) -> bool:
        """Note that there is a link, in either direction; return whether a telling is due now, and was not before."""
        if peer in self._daemons:
            return False
        self._daemons[peer] = daemon
        self._by_daemon.setdefault(daemon, {})[peer] = None
        return self._note_change(daemon)

    def unlinked(self, peer: PeerId) -> bool:
        """Note that there is no link any more; return as `linked`."""
        daemon = self._daemons.pop(peer, None)
        if daemon is None:
            return False
        peers = self._by_daemon[daemon]
        del peers[peer]
        if not peers:
            del self._by_daemon[daemon]
        return self._note_change(daemon)

    def _note_change(self, daemon: PeerAddress) -> bool:
        was_due = bool(self._changed)
        self._changed[daemon] = None
        return not was_due

    def take_changes(self) -> dict[PeerAddress, list[PeerId]]:
        """Return the linked peers on each node where they have changed since the last call."""
        changed, self._changed = self._changed, {}
        return {daemon: self.on(daemon) for daemon in changed}

    def check_invariants(self) -> None:
        """Raise AssertionError if the two views of the peers contradict each other."""
        assert self._daemons == {peer: daemon for daemon, peers in self._by_daemon.items() for peer in peers}
        assert all(self._by_daemon.values()), "a node without linked peers is listed"
