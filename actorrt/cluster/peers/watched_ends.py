"""Pure: which processes of this node want to hear of the end of which processes of other nodes.

Each process tells with which peers it has links, node by node, always all of them. The daemon of those peers is told
the union. A node is named by its daemon's endpoint, that is by its incarnation.
"""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.ids import PeerId


class WatchedEnds:
    """The links of this node's processes with processes of other nodes."""

    def __init__(self) -> None:
        # Dicts in the place of sets, so that a simulation repeats their order.
        self._told: dict[PeerId, dict[PeerId, dict[PeerId, None]]] = {}  # by process: by daemon, its linked peers
        self._watchers: dict[PeerId, dict[PeerId, dict[PeerId, None]]] = {}  # by daemon: by peer, its processes here

    def watched_at(self, daemon: PeerId) -> list[PeerId]:
        """Return the processes of that node whose ends are of interest here."""
        return list(self._watchers.get(daemon, ()))

    def linked(self, process: PeerId, daemon: PeerId, peers: Sequence[PeerId]) -> bool:
        """Take the peers of that node with which a process has links; return whether `watched_at` it has changed."""
        before = self._told.get(process, {}).get(daemon, {})
        after = dict.fromkeys(peers)
        is_changed = False
        for peer in [peer for peer in after if peer not in before]:
            is_changed |= self._add(process, daemon, peer)
        for peer in [peer for peer in before if peer not in after]:
            is_changed |= self._remove(process, daemon, peer)
        if after:
            self._told.setdefault(process, {})[daemon] = after
        else:
            self._forget(process, daemon)
        return is_changed

    def _add(self, process: PeerId, daemon: PeerId, peer: PeerId) -> bool:
        watchers = self._watchers.setdefault(daemon, {})
        is_new = peer not in watchers
        watchers.setdefault(peer, {})[process] = None
        return is_new

    def _remove(self, process: PeerId, daemon: PeerId, peer: PeerId) -> bool:
        watchers = self._watchers.get(daemon, {})
        processes = watchers.get(peer)
        if processes is None:
            return False  # its end was told
        processes.pop(process, None)
        if processes:
            return False
        del watchers[peer]
        if not watchers:
            del self._watchers[daemon]
        return True

    def _forget(self, process: PeerId, daemon: PeerId) -> None:
        by_daemon = self._told.get(process, {})
        by_daemon.pop(daemon, None)
        if not by_daemon:
            self._told.pop(process, None)

    def process_ended(self, process: PeerId) -> list[PeerId]:
        """Forget a process of this node; return the nodes at which `watched_at` has changed."""
        by_daemon = self._told.get(process, {})
        return [daemon for daemon in list(by_daemon) if self.linked(process, daemon, ())]

    def ended(self, daemon: PeerId, peer: PeerId) -> list[PeerId]:
        """Take the end of a process of another node; return the processes here that are to be told."""
        processes = list(self._watchers.get(daemon, {}).get(peer, ()))
        for process in processes:
            self._remove(process, daemon, peer)
            told = self._told[process][daemon]
            del told[peer]
            if not told:
                self._forget(process, daemon)
        return processes

    def daemon_ended(self, daemon: PeerId) -> list[tuple[PeerId, list[PeerId]]]:
        """Take the end of a node; return each of its watched processes, and the processes here that are to be told."""
        return [(peer, self.ended(daemon, peer)) for peer in self.watched_at(daemon)]

    def check_invariants(self) -> None:
        """Raise AssertionError if the two views of the links contradict each other."""
        links = {(p, d, peer) for p, by_node in self._told.items() for d, peers in by_node.items() for peer in peers}
        watched = {(p, d, peer) for d, by_peer in self._watchers.items() for peer, ps in by_peer.items() for p in ps}
        assert links == watched, f"{links ^ watched} are in one view alone"
        assert all(peers for by_daemon in self._told.values() for peers in by_daemon.values())
        assert all(by_peer and all(by_peer.values()) for by_peer in self._watchers.values())
