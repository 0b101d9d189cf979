"""Members over fake wires and one control store, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from actorrt.actors.wire.control import Control
from actorrt.cluster.control.log import MemoryLog
from actorrt.cluster.control.remote import RemoteControlStore, serve_store
from actorrt.cluster.control.store import LocalControlStore
from actorrt.cluster.membership.cluster_member import ClusterMember
from actorrt.cluster.membership.membership import Phase
from actorrt.errors import ControlUnavailableError, PeerUnreachableError
from actorrt.ids import IdSource, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.protocol.cluster.members import Member, MemberStatus
from actorrt.scopes import Scope
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.transport.frames.codec import pack_envelope
from actorrt.transport.interfaces import Lane

LATENCY_S: Final = 0.001


class LoopClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()


class InPlace:
    """In the place of threads: each function runs in a later step."""

    def pool(self, name: str, threads_count: int = 1) -> Any:
        from concurrent.futures import Future

        class Pool:
            def submit(self, function: Callable[..., Any], *args: Any, **names: Any) -> Future[Any]:
                future: Future[Any] = Future()
                asyncio.get_running_loop().call_soon(lambda: future.set_result(function(*args, **names)))
                return future

            def shutdown(self, wait: bool = True) -> None:
                """There is nothing to end."""

        return Pool()


class Wire:
    """The transport of one daemon: hands envelopes to the others that are not cut off from it."""

    def __init__(self, cluster: Cluster, node: NodeId, peer: PeerId) -> None:
        self.cluster = cluster
        self.peer = peer
        self.address = str(NodeAddress(node, peer))
        self._to = peer

    def address_of(self, peer: PeerId) -> str:
        return self.cluster.wires[peer].address

    def link(self, peer: PeerId, _: str, lane: Lane) -> Wire:
        self._to = peer
        return self

    def send(self, envelope: list[Any]) -> None:
        pack_envelope(envelope)
        to = self._to
        if frozenset((self.peer, to)) not in self.cluster.cuts:
            asyncio.get_running_loop().call_later(LATENCY_S, lambda: self.cluster.received(to, self.peer, envelope))


class Cluster:
    """Daemons that are only members, the first of which has the control store."""

    def __init__(self) -> None:
        self.wires: dict[PeerId, Wire] = {}
        self.controls: dict[PeerId, Control] = {}
        self.cuts: set[frozenset[PeerId]] = set()
        self.members: list[ClusterMember] = []
        self.peers: list[PeerId] = []
        self.scopes: list[Scope] = []
        self.ended: list[list[NodeId]] = []
        self.phases: list[list[Phase]] = []
        self.crashes: list[BaseException] = []

    def received(self, to: PeerId, peer: PeerId, envelope: list[Any]) -> None:
        if to in self.controls:
            self.controls[to].received(peer, envelope)

    async def start(self) -> ClusterMember:
        number = len(self.members)
        node, peer = NodeId(bytes([number]) * 16), PeerId(bytes([100 + number]) * 16)
        wire: Any = Wire(self, node, peer)
        scope = Scope(f"node {number}", self.crashes.append)
        control = Control(wire, scope)
        self.wires[peer], self.controls[peer] = wire, control
        self.peers.append(peer)
        self.scopes.append(scope)
        store: Any
        if number:
            host = PeerAddress(self.peers[0], self.wires[self.peers[0]].address)
            store = RemoteControlStore(control, lambda: host)
        else:
            threads: Any = InPlace()
            store = LocalControlStore(MemoryLog(), threads, scope, lambda: 1e9 + LoopClock().now())
            await store.open()
            serve_store(store, control)
        row = Member(
            node=node,
            incarnation=peer,
            addresses=[],
            resources={},
            labels={},
            status=MemberStatus.JOINING,
            suspicions=[],
            ended_s=None,
        )
        member = ClusterMember(row, control, store, scope, LoopClock(), IdSource())
        ended: list[NodeId] = []
        phases: list[Phase] = []
        member.on_ended = lambda gone: ended.append(gone.node)
        member.on_phase = lambda phase, why: phases.append(phase)
        self.ended.append(ended)
        self.phases.append(phases)
        self.members.append(member)
        await member.join()
        return member

    async def kill(self, number: int) -> None:
        del self.controls[self.peers[number]]
        await self.scopes[number].close()

    async def close(self) -> None:
        for member in self.members:
            member.check_invariants()
        for scope in self.scopes:
            await scope.close()
        assert self.crashes == []


def in_virtual_time(story: Callable[[Cluster], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop(1)

    async def main() -> None:
        cluster = Cluster()
        await story(cluster)
        await cluster.close()

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def statuses(member: ClusterMember) -> list[MemberStatus]:
    return [other.status for other in sorted(member.members, key=lambda other: other.node)]


def test_nodes_that_join_become_alive_in_the_view_of_all() -> None:
    async def story(cluster: Cluster) -> None:
        for _ in range(4):
            await cluster.start()
            await asyncio.sleep(3)
        await asyncio.sleep(2)
        assert [statuses(member) for member in cluster.members] == [[MemberStatus.ALIVE] * 4] * 4
        assert cluster.phases == [[]] * 4

    in_virtual_time(story)


def test_a_killed_node_is_told_to_all_others_within_six_seconds() -> None:
    async def story(cluster: Cluster) -> None:
        for _ in range(4):
            await cluster.start()
        await asyncio.sleep(5)
        await cluster.kill(2)
        await asyncio.sleep(6)
        gone = NodeId(bytes([2]) * 16)
        assert [cluster.ended[number] for number in (0, 1, 3)] == [[gone]] * 3
        assert cluster.members[0].member(gone) is None

    in_virtual_time(story)


def test_a_node_that_leaves_is_told_to_all_others_at_their_next_read() -> None:
    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            await cluster.start()
        await asyncio.sleep(3)
        await cluster.members[2].leave()
        await cluster.kill(2)
        await asyncio.sleep(2)
        assert statuses(cluster.members[0])[2] is MemberStatus.LEFT
        assert [cluster.ended[number] for number in (0, 1)] == [[NodeId(bytes([2]) * 16)]] * 2

    in_virtual_time(story)


def test_a_store_whose_node_is_dead_is_unavailable_and_nothing_else() -> None:
    async def story(cluster: Cluster) -> None:
        def host() -> PeerAddress:
            raise PeerUnreachableError("the node that has the control store is dead")

        await cluster.start()
        store = RemoteControlStore(cluster.controls[cluster.peers[0]], host)
        with pytest.raises(ControlUnavailableError, match="the node that has the control store is dead"):
            await store.read("names", b"x")

    in_virtual_time(story)


def test_while_the_store_is_away_all_others_go_on_and_of_two_the_other_freezes() -> None:
    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            await cluster.start()
        await asyncio.sleep(3)
        first, *others = cluster.peers
        cluster.cuts = {frozenset((first, other)) for other in others}
        await asyncio.sleep(30)
        assert cluster.phases[1:] == [[], []]
        cluster.cuts.add(frozenset(others))
        await asyncio.sleep(5)
        assert cluster.phases[1:] == [[Phase.FROZEN], [Phase.FROZEN]]
        cluster.cuts.clear()
        await asyncio.sleep(5)
        assert cluster.phases[1:] == [[Phase.FROZEN, Phase.RUNNING]] * 2
        assert statuses(cluster.members[0]) == [MemberStatus.ALIVE] * 3

    in_virtual_time(story)
