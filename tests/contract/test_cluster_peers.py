"""Processes of several nodes find each other through their daemons, and hear of each other's ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actorrt.errors import ActorDiedError, PeerUnreachableError
from actorrt.ids import NodeAddress
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason
from actorrt.transport.zeromq.security import load_keys
from tests.contract.cluster_processes import Cluster, Node, Process
from tests.contract.recorder import WAIT_S

KILLED = ExitReason(ExitKind.KILLED, "for the test")
LOST = ExitReason(ExitKind.NODE_LOST, "silent")


@pytest.fixture
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("s"), tmp_path_factory.mktemp("keys"))
    yield made
    await made.close()


async def linked(a: Process, b: Process) -> None:
    """Return when both have heard each other."""
    a.say(b, "there")
    await b.until(lambda: bool(b.got))
    b.say(a, "back")
    await a.until(lambda: bool(a.got))


async def watched(node: Node, process: Process) -> None:
    """Return when some other node watches the process."""
    async with asyncio.timeout(WAIT_S):
        while not any(process.peer in peers for peers in node.peers._reported._watched.values()):
            await asyncio.sleep(0.005)


async def test_processes_of_two_nodes_find_each_other_through_their_daemons(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    assert (a.said, b.said) == ([[1000, "back"]], [[1000, "there"]])


async def test_daemons_and_processes_of_other_nodes_find_each_other(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a = await one.process()
    await linked(a, two.daemon)
    await linked(one.daemon, two.daemon)
    assert a.said == [[1000, "back"]]


async def test_place_of_a_process_is_asked_for_once(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    first, second, b = await one.process(), await one.process(), await two.process()
    await linked(first, b)
    cluster.is_store_away = True
    second.say(b, "known")
    await b.until(lambda: len(b.got) == 2)
    assert b.said == [[1000, "there"], [1000, "known"]]


async def test_process_or_node_that_is_not_there_has_ended_for_good(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a = await one.process()
    for node, kind, reason in (
        (two.node, ExitKind.CRASHED, "has ended, or never was"),
        (cluster.ids.node(), ExitKind.NODE_LOST, "of this cluster is alive"),
    ):
        ghost = cluster.ids.peer()
        a.transport.link(ghost, str(NodeAddress(node, ghost))).send((1000,))
        await a.until(lambda ghost=ghost: any(peer == ghost for peer, _ in a.failed))  # type: ignore[misc]
        error = a.failed[-1][1]
        assert isinstance(error, ActorDiedError)
        assert error.reason is not None
        assert (error.reason.kind, reason in str(error)) == (kind, True), error
    cluster.is_store_away = True
    ghost = cluster.ids.peer()
    a.transport.link(ghost, str(NodeAddress(cluster.ids.node(), ghost))).send((1000,))
    await a.until(lambda: len(a.failed) == 3)
    assert "the store is away" in str(a.failed[-1][1])


async def test_end_of_a_process_is_told_where_there_are_links_with_it(cluster: Cluster) -> None:
    one, two, three = [await cluster.node() for _ in range(3)]
    a, other, b, c = await one.process(), await one.process(), await two.process(), await three.process()
    await linked(a, b)
    b.say(c, "a link in one direction")
    await c.until(lambda: bool(c.got))
    await watched(two, b)
    in_hand = [CallInHand(a.peer, 7)]
    async with asyncio.timeout(WAIT_S):
        while len(two.peers._reported.watchers()) < 2:
            await asyncio.sleep(0.005)
    await two.kill(b, KILLED, in_hand)
    for watcher in (a, c):
        await watcher.until(lambda watcher=watcher: bool(watcher.ends))  # type: ignore[misc]
        (down,) = watcher.ends
        assert (down.peer, down.reason, list(down.in_hand)) == (b.peer, KILLED, in_hand)
    assert (other.ends, two.peers._reported.watchers()) == ([], [])
    with pytest.raises(PeerUnreachableError, match="dead or has failed"):
        a.say(b, "late")
    other.say(b, "late")  # it has never heard of the process, and learns how it ended
    await other.until(lambda: bool(other.failed))
    ((peer, error),) = other.failed
    assert isinstance(error, ActorDiedError)
    assert (peer, error.reason) == (b.peer, KILLED)


async def test_process_that_ended_before_it_was_watched_is_reported(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    await two.kill(b, KILLED)  # within the delay in which links are told together
    await a.until(lambda: bool(a.ends))
    assert (a.ends[0].peer, a.ends[0].reason) == (b.peer, KILLED)


async def test_end_of_a_node_is_told_for_all_its_processes_by_the_own_daemon(cluster: Cluster) -> None:
    one, two, three = [await cluster.node() for _ in range(3)]
    a, c = await one.process(), await three.process()
    of_two = [await two.process(), await two.process()]
    for b in of_two:
        a.say(b, "hello")
        await b.until(lambda b=b: bool(b.got))  # type: ignore[misc]
    await linked(a, c)
    a.say(two.daemon, "hello")
    await two.daemon.until(lambda: bool(two.daemon.got))
    async with asyncio.timeout(WAIT_S):
        while len(one.peers._watched.watched_at(two.daemon.peer)) < 3:
            await asyncio.sleep(0.005)
    await cluster.lose(two, LOST)
    await a.until(lambda: len(a.ends) == 3)
    assert {down.peer for down in a.ends} == {two.daemon.peer, *(b.peer for b in of_two)}
    assert {down.reason for down in a.ends} == {LOST}
    c.say(a, "still there")
    await a.until(lambda: [1000, "still there"] in a.said)


async def test_link_that_is_told_after_the_end_of_its_node_hears_of_it(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    await cluster.lose(two, LOST)  # within the delay in which links are told together
    await a.until(lambda: bool(a.ends))
    assert [(down.peer, down.reason) for down in a.ends] == [(b.peer, LOST)]


async def test_later_incarnation_of_a_node_is_not_confused_with_the_former(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    await cluster.lose(two, LOST)
    again = await cluster.node(two.node)
    later = await again.process()
    a.say(later, "welcome back")
    assert await later.envelopes(1) == [[1000, "welcome back"]]
    await watched(again, later)
    one.peers.node_ended(two.daemon.peer, LOST)
    await again.kill(later, KILLED)
    await a.until(lambda: len(a.ends) == 2)
    assert [(down.peer, down.reason) for down in a.ends] == [(b.peer, LOST), (later.peer, KILLED)]


async def test_node_stops_watching_for_processes_of_its_own_that_end(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    await watched(two, b)
    await one.kill(a, KILLED)
    async with asyncio.timeout(WAIT_S):
        while two.peers._reported.watchers():
            await asyncio.sleep(0.005)
    one.peers._watched.check_invariants()
    assert one.peers._watched.watched_at(two.daemon.peer) == [two.daemon.peer]  # the link of the daemon itself


async def test_daemon_hears_of_processes_that_it_has_links_with_itself(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    b = await two.process()
    await linked(one.daemon, b)
    await watched(two, b)
    await two.kill(b, KILLED)
    async with asyncio.timeout(WAIT_S):
        while not one.ended:
            await asyncio.sleep(0.005)
    assert one.ended == [(b.peer, KILLED)]


async def test_revoked_key_is_ignored_in_all_processes_of_a_node(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    await linked(a, b)
    await linked(a, two.daemon)
    key = load_keys(Path(cluster.sockets(one.node).keys)).public
    assert key in b.transport.keys
    two.peers.key_revoked(key)
    async with asyncio.timeout(WAIT_S):
        while key in b.transport.keys:
            await asyncio.sleep(0.005)
    for other in (b, two.daemon):
        a.say(other, "revoked")
        async with asyncio.timeout(WAIT_S):
            while not other.transport.statistics().ignored_frames:
                await asyncio.sleep(0.005)
        assert [1000, "revoked"] not in other.said


async def test_node_that_is_no_member_is_refused(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    a, b = await one.process(), await two.process()
    b.transport.listen()
    del cluster._alive[one.node]
    a.say(b, "from outside")
    await a.until(lambda: bool(a.failed))
    assert b.said == []
    assert "does not accept the key of this node" in str(a.failed[0][1])
