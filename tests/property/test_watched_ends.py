"""Who watches which ends: any order of links, ends of processes and of nodes, against a set of links."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actorrt.cluster.peers.watched_ends import WatchedEnds
from actorrt.ids import PeerId

PROCESSES = [PeerId(bytes([number]) * 16) for number in range(3)]
DAEMONS = [PeerId(bytes([100 + number]) * 16) for number in range(2)]
PEERS = [PeerId(bytes([200 + number]) * 16) for number in range(4)]


class Links(RuleBasedStateMachine):
    """The model is the set of links: of a process here, a daemon, and a process there."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = WatchedEnds()
        self.links: set[tuple[PeerId, PeerId, PeerId]] = set()

    def watched(self, daemon: PeerId) -> set[PeerId]:
        return {peer for _, node, peer in self.links if node == daemon}

    @rule(process=st.sampled_from(PROCESSES), daemon=st.sampled_from(DAEMONS), peers=st.lists(st.sampled_from(PEERS)))
    def linked(self, process: PeerId, daemon: PeerId, peers: list[PeerId]) -> None:
        before = self.watched(daemon)
        self.links = {link for link in self.links if link[:2] != (process, daemon)}
        self.links |= {(process, daemon, peer) for peer in peers}
        assert self.ends.linked(process, daemon, peers) is (self.watched(daemon) != before)

    @rule(process=st.sampled_from(PROCESSES))
    def process_ended(self, process: PeerId) -> None:
        before = {daemon: self.watched(daemon) for daemon in DAEMONS}
        self.links = {link for link in self.links if link[0] != process}
        changed = {daemon for daemon in DAEMONS if self.watched(daemon) != before[daemon]}
        assert set(self.ends.process_ended(process)) == changed

    @rule(daemon=st.sampled_from(DAEMONS), peer=st.sampled_from(PEERS))
    def ended(self, daemon: PeerId, peer: PeerId) -> None:
        gone = {link for link in self.links if link[1:] == (daemon, peer)}
        self.links -= gone
        told = self.ends.ended(daemon, peer)
        assert sorted(told) == sorted(process for process, _, _ in gone)

    @rule(daemon=st.sampled_from(DAEMONS))
    def daemon_ended(self, daemon: PeerId) -> None:
        gone = {link for link in self.links if link[1] == daemon}
        self.links -= gone
        told = {(process, daemon, peer) for peer, ps in self.ends.daemon_ended(daemon) for process in ps}
        assert told == gone

    @invariant()
    def agrees(self) -> None:
        self.ends.check_invariants()
        for daemon in DAEMONS:
            assert set(self.ends.watched_at(daemon)) == self.watched(daemon)


TestLinks = Links.TestCase
