"""Composite transports of several nodes: resolving, binding late, links that last, keys, and what is told of links."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from actorrt.errors import AuthenticationError, PeerUnreachableError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.frames.codec import Hello, pack_hello
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.peer_lanes import connection_name
from actorrt.transport.zeromq.link import open_dealer
from actorrt.transport.zeromq.security import Security, load_keys, make_keys, split_address
from tests.contract.nodes import Nodes
from tests.contract.proxy import Proxy
from tests.contract.recorder import WAIT_S, Recorder


class Side(Recorder):
    """A composite transport, and the recorder of its calls."""

    def __init__(self, transport: CompositeTransport) -> None:
        super().__init__()
        self.transport = transport
        self.linked: dict[PeerAddress, list[PeerId]] = {}
        self.troubles: list[tuple[PeerAddress, str]] = []
        transport.on_linked = self._linked
        transport.on_trouble = self._troubled

    @property
    def peer(self) -> PeerId:
        return self.transport.peer

    def _linked(self, daemon: PeerAddress, peers: list[PeerId]) -> None:
        self.linked[daemon] = peers
        self._changed.set()

    def _troubled(self, peer: PeerAddress, why: str) -> None:
        self.troubles.append((peer, why))
        self._changed.set()

    def link_to(self, other: Side, lane: Lane = Lane.USER) -> Any:
        return self.transport.link(other.peer, other.transport.address, lane)


class World:
    """Starts composite transports, and closes them and the proxies in front of them."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.a, self.b = nodes.ids.node(), nodes.ids.node()
        self._sides: list[Side] = []
        self._proxies: list[Proxy] = []

    async def side(self, node: NodeId | None = None, sockets: NodeSockets | None = None, **options: Any) -> Side:
        side = Side(self.nodes.make(node or self.nodes.ids.node(), sockets=sockets, **options))
        await side.transport.start(side)
        self._sides.append(side)
        return side

    async def behind_proxy(self) -> tuple[Side, Proxy]:
        """Return a side of another node, which announces the port of a proxy."""
        proxy = Proxy()
        self._proxies.append(proxy)
        await proxy.listen()
        node = self.nodes.ids.node()
        side = await self.side(node, self.nodes.sockets(node, advertised=f"127.0.0.1:{proxy.port}"))
        side.transport.listen()
        bound = side.transport._remote(side.peer)._router.getsockopt_string(zmq.LAST_ENDPOINT)
        proxy.target = int(bound.rpartition(":")[2])
        return side, proxy

    async def close(self) -> None:
        await asyncio.gather(*(side.transport.close() for side in self._sides))
        for proxy in self._proxies:
            await proxy.close()


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    made = World(Nodes(str(tmp_path_factory.mktemp("s")), str(tmp_path_factory.mktemp("keys"))))
    yield made
    await made.close()


# Resolving, and binding late


async def test_process_that_speaks_with_no_other_node_binds_no_port(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.a)
    a.link_to(b).send((0, "near"))
    await b.envelopes(1)
    assert (a.transport._far, b.transport._far, world.nodes.asked) == (None, None, [])
    assert b.transport.address_of(a.peer) == a.transport.address == f"node://{world.a.hex()}/{a.peer.hex()}"


async def test_processes_of_two_nodes_speak_and_answers_are_not_resolved(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    a.link_to(b).send((0, "there"), [b"buffer"])
    await b.envelopes(1)
    assert b.transport.address_of(a.peer) == a.transport.address
    b.link_to(a).send((0, "back"))
    assert await a.envelopes(1) == [[0, "back"]]
    assert world.nodes.asked == [b.transport.address]
    assert PeerAddress.from_packed(a.transport.node_of(b.peer)) == world.nodes.daemon_of(world.b)
    assert PeerAddress.from_packed(b.transport.node_of(a.peer)) == world.nodes.daemon_of(world.a)


async def test_link_queues_while_it_is_resolved(world: World) -> None:
    a, b = await world.side(), await world.side()
    world.nodes.is_held = True
    link = a.link_to(b)
    for number in range(100):
        link.send((0, number))
    a.link_to(b, Lane.CONTROL).send((1, "control"))
    await asyncio.sleep(0)
    assert link.queued_bytes > 0
    world.nodes.answer()
    said = await b.envelopes(101)
    assert [envelope for envelope in said if envelope[0] == 0] == [[0, number] for number in range(100)]


async def test_process_that_can_not_be_resolved_is_unreachable_and_nothing_was_executed(world: World) -> None:
    a = await world.side()
    ghost = world.nodes.ids.peer()
    link = a.transport.link(ghost, str(NodeAddress(world.b, ghost)))
    link.send((0, "lost"))
    peer, error = await a.failure()
    assert (peer, type(error)) == (ghost, PeerUnreachableError)
    assert f"peer {ghost[:4].hex()} at {NodeAddress(world.b, ghost)} can't be reached: there is no process" in str(
        error
    )
    assert isinstance(error, PeerUnreachableError)
    assert error.executed == "no"
    with pytest.raises(PeerUnreachableError, match="closed"):
        link.send((0, "later"))
    assert a.transport.statistics().links == 0


async def test_link_that_is_dropped_while_it_is_resolved_does_not_connect(world: World) -> None:
    a, b = await world.side(), await world.side()
    world.nodes.is_held = True
    a.link_to(b).send((0, "never"))
    a.transport.drop(b.peer)
    world.nodes.answer()
    other = await world.side()
    other.link_to(b).send((0, "other"))
    assert await b.envelopes(1) == [[0, "other"]]
    assert a.transport.statistics().discarded_envelopes == 1


async def test_ports_are_taken_from_the_range_and_a_range_without_a_free_port_makes_the_peer_unreachable(
    world: World,
) -> None:
    other = await world.side()
    port = int(split_address(other.transport.listen())[0].rpartition(":")[2])
    node = world.nodes.ids.node()
    a = await world.side(node, world.nodes.sockets(node, ports=(port, port)))
    with pytest.raises(PeerUnreachableError, match=f"no port from {port} to {port} is free"):
        a.link_to(other)
    await other.transport.close()
    assert a.transport.listen().startswith(f"tcp://127.0.0.1:{port}#")


def test_addresses_that_others_could_not_connect_to_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="binds all addresses"):
        world.nodes.sockets(world.a, host="0.0.0.0")
    for ports in ((0, 5), (7, 6), (1, 1 << 16)):
        with pytest.raises(ValueError, match="ports are"):
            world.nodes.sockets(world.a, ports=ports)


def test_announced_address_has_the_port_that_was_bound_unless_another_is_given(world: World) -> None:
    def announced(advertised: str) -> str:
        return world.nodes.sockets(world.a, advertised=advertised).announced("tcp://127.0.0.1:7")

    assert [announced(text) for text in ("", "host", "host:9", "[::1]", "[::1]:9")] == [
        "tcp://127.0.0.1:7",
        "tcp://host:7",
        "tcp://host:9",
        "tcp://[::1]:7",
        "tcp://[::1]:9",
    ]


async def test_address_of_another_peer_is_refused(world: World) -> None:
    a, b = await world.side(), await world.side()
    with pytest.raises(ValueError, match="is not the address of peer"):
        a.transport.link(a.peer, b.transport.address)
    with pytest.raises(ValueError, match="is no address of"):
        a.transport.link(a.peer, "node://x/y")


async def test_processes_of_one_node_speak_as_those_of_two_if_they_are_told_to(world: World) -> None:
    sockets = world.nodes.sockets(world.a, uses_tcp_inside=True)
    a, b = await world.side(world.a, sockets), await world.side(world.a, sockets)
    a.link_to(b).send((0, "there"))
    await b.envelopes(1)
    assert world.nodes.asked == [b.transport.address]
    assert (a.transport.node_of(b.peer), b.transport.node_of(a.peer)) == (b"", b"")


# Links that last


async def test_link_lasts_while_its_peer_is_away_and_delivers_each_envelope_once_in_order(world: World) -> None:
    a, (b, proxy) = await world.side(connect_timeout_s=0.1), await world.behind_proxy()
    link = a.link_to(b)
    link.send((0, 0))
    await b.envelopes(1)
    await proxy.refuse()
    await a.until(lambda: len(a.troubles) > 3)  # longer than the connect timeout, which does not count here
    for number in range(1, 50):
        link.send((0, number))
    assert a.failed == []
    await proxy.listen()
    assert await b.envelopes(50) == [[0, number] for number in range(50)]
    assert {peer for peer, _ in a.troubles} == {PeerAddress(b.peer, b.transport.address)}
    assert {why for _, why in a.troubles} >= {"its connection broke", "it could not be connected"}


async def test_connections_cut_at_random_neither_lose_nor_double_nor_reorder_envelopes(world: World) -> None:
    (a, before_a), (b, before_b) = await world.behind_proxy(), await world.behind_proxy()
    draw = random.Random(7)
    b.on_received = lambda envelope: b.link_to(a).send((0, envelope[1])) if envelope[0] == 1 else None
    for number in range(2_000):
        a.link_to(b).send((1, number))
        if number % 50 == 0:
            await asyncio.sleep(draw.random() * 0.02)
        if draw.random() < 0.01:
            draw.choice((before_a, before_b)).cut()
    numbers = list(range(2_000))
    assert [envelope[1] for envelope in await b.envelopes(2_000)] == numbers
    assert [envelope[1] for envelope in await a.envelopes(2_000)] == numbers
    assert (a.failed, b.failed) == ([], [])
    assert a.transport.statistics().resumed_links + b.transport.statistics().resumed_links > 0


async def test_silence_is_reported_while_a_link_is_not_connected(world: World) -> None:
    a, (b, proxy) = await world.side(), await world.behind_proxy()
    link = a.link_to(b)
    link.send((0, 0))
    await b.envelopes(1)
    a.transport.watch(b.peer, b.transport.address)
    await proxy.refuse()
    async with asyncio.timeout(WAIT_S):
        while a.transport.silent_s(b.peer) < 1.5:
            await asyncio.sleep(0.05)  # the observer beats twice a second
    await proxy.listen()
    async with asyncio.timeout(WAIT_S):
        while a.transport.silent_s(b.peer) > 0:
            await asyncio.sleep(0.05)
    assert a.failed == []


async def test_peer_whose_end_is_told_loses_its_links_and_the_receiver_hears_it_once(world: World) -> None:
    a, b = await world.side(), await world.side()
    link = a.link_to(b)
    link.send((0, 0))
    await b.envelopes(1)
    await b.transport.close()
    gone = PeerUnreachableError("its process has ended", executed="maybe")
    for _ in range(2):
        a.transport.peer_ended(b.peer, gone)
    assert a.failed == [(b.peer, gone)]
    with pytest.raises(PeerUnreachableError, match="closed"):
        link.send((0, 1))
    with pytest.raises(PeerUnreachableError, match="dead or has failed"):
        a.link_to(b)


async def test_end_of_a_node_ends_links_to_that_incarnation_alone(world: World) -> None:
    a = await world.side(world.a)
    of_b = [await world.side(world.b), await world.side(world.b)]
    c = await world.side()
    for side in (*of_b, c):
        a.link_to(side).send((0, "hello"))
        await side.envelopes(1)
    gone = PeerUnreachableError("its node is lost")
    a.transport.node_ended(world.nodes.ids.peer(), gone)
    assert a.failed == []
    a.transport.node_ended(world.nodes.daemon_of(world.b).peer, gone)
    assert sorted(a.failed) == sorted((side.peer, gone) for side in of_b)
    a.link_to(c).send((0, "still"))
    assert await c.envelopes(2) == [[0, "hello"], [0, "still"]]


async def test_round_trips_are_measured_between_nodes_alone(world: World) -> None:
    a, near, far = await world.side(world.a), await world.side(world.a), await world.side(world.b)
    for other in (near, far):
        for number in range(5):
            a.link_to(other).send((0, number))
            await other.envelopes(number + 1)
    async with asyncio.timeout(WAIT_S):
        while not a.transport.round_trip_s(far.peer):
            await asyncio.sleep(0.01)
    assert a.transport.round_trip_s(near.peer) == 0.0
    assert 0.0 < a.transport.round_trip_s(far.peer) < 5.0


async def test_linked_peers_are_told_as_levels_of_each_node(world: World) -> None:
    a, b, c = await world.side(world.a), await world.side(world.b), await world.side(world.b)
    of_b = world.nodes.daemon_of(world.b)
    a.link_to(b).send((0, 0))
    c.link_to(a).send((0, 0))
    a.link_to(await world.side(world.a)).send((0, "near"))
    await a.until(lambda: set(a.linked.get(of_b, ())) == {b.peer, c.peer})
    await b.until(lambda: b.linked == {world.nodes.daemon_of(world.a): [a.peer]})
    a.transport.drop(b.peer)
    await a.until(lambda: a.linked == {of_b: [c.peer]})
    a.transport.peer_ended(c.peer, PeerUnreachableError("gone"))
    await a.until(lambda: a.linked == {of_b: []})


# Keys


async def test_unknown_key_is_asked_about_once_and_then_known(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    for lane in Lane:
        a.link_to(b, lane).send((0, int(lane)))
    await b.envelopes(2)
    assert world.nodes.asked_keys == [load_keys(Path(world.nodes.sockets(world.a).keys)).public]
    second = await world.side(world.a)
    second.link_to(b).send((0, "more"))
    await b.envelopes(3)
    assert len(world.nodes.asked_keys) == 1


async def test_key_that_nobody_can_decide_on_yet_is_asked_about_again(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    asked: list[bytes] = []

    def undecided_at_first(key: bytes, verdict: Any) -> None:
        asked.append(key)
        if len(asked) > 1:
            b.transport.keys.accept(key, world.a)
        verdict(None if len(asked) == 1 else True)

    b.transport.on_unknown_key = undecided_at_first
    a.link_to(b).send((0, "patient"))
    assert await b.envelopes(1) == [[0, "patient"]]
    assert (len(asked), a.failed) == (2, [])


async def test_key_that_is_refused_ends_the_link_with_the_typed_error(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    b.transport.on_unknown_key = lambda _, verdict: verdict(False)
    a.link_to(b).send((0, "unwelcome"))
    peer, error = await a.failure()
    assert (peer, type(error)) == (b.peer, AuthenticationError)
    assert b.said == []


async def test_frames_under_a_revoked_key_are_ignored(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    link = a.link_to(b)
    link.send((0, "welcome"))
    await b.envelopes(1)
    b.transport.keys.revoke(load_keys(Path(world.nodes.sockets(world.a).keys)).public)
    b.transport.on_unknown_key = lambda _, verdict: verdict(False)
    link.send((0, "revoked"), [b"large" * 1000])
    async with asyncio.timeout(WAIT_S):
        while b.transport.statistics().ignored_frames == 0:
            await asyncio.sleep(0)
    assert (b.said, b.failed) == ([[0, "welcome"]], [])


@pytest.mark.parametrize("forged", ["node", "peer", "daemon", "none"])
async def test_hello_that_does_not_fit_the_key_of_its_connection_is_ignored(world: World, forged: str) -> None:
    a, b, c = await world.side(world.a), await world.side(world.b), await world.side()
    keys = load_keys(Path(world.nodes.sockets(world.a).keys))
    stranger, other = world.nodes.ids.peer(), world.nodes.ids.node()
    logical = {"node": NodeAddress(other, stranger), "peer": NodeAddress(world.a, a.peer), "none": ""}
    daemon = world.nodes.daemon_of(world.b if forged == "daemon" else world.a)
    hello = Hello(
        stranger,
        b.peer,
        a.transport.listen(),
        node=daemon.packed(),
        logical=str(logical.get(forged, NodeAddress(world.a, stranger))),
    )
    listening = b.transport.listen()
    place, key = split_address(listening)
    assert key is not None
    b.transport.keys.accept(keys.public, world.a)
    with zmq.Context() as context, open_dealer(context, connection_name(stranger, Lane.USER, 1)) as dealer:
        Security(keys).secure_caller(dealer, key)
        dealer.connect(place)
        dealer.send(pack_hello(hello))
        async with asyncio.timeout(WAIT_S):
            while b.transport.statistics().bad_frames == 0:
                await asyncio.sleep(0)
    c.link_to(b).send((0, "well"))
    assert await b.envelopes(1) == [[0, "well"]]
    assert (b.failed, b.transport.address_of(stranger)) == ([], None)


async def test_many_unknown_keys_are_put_off_and_members_are_not_kept_out(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    asked: list[Any] = []
    b.transport.on_unknown_key = lambda _, verdict: asked.append(verdict)
    place, key = split_address(b.transport.listen())
    assert key is not None
    a_key = load_keys(Path(world.nodes.sockets(world.a).keys)).public
    b.transport.keys.accept(a_key, world.a)
    with zmq.Context() as context:
        strangers = [open_dealer(context, connection_name(world.nodes.ids.peer(), Lane.USER, 1)) for _ in range(30)]
        for dealer in strangers:
            Security(make_keys()).secure_caller(dealer, key)
            dealer.connect(place)
        async with asyncio.timeout(WAIT_S):
            while len(asked) < 16:
                await asyncio.sleep(0)
        a.link_to(b).send((0, "member"))
        assert await b.envelopes(1) == [[0, "member"]]
        assert len(asked) == 16
        for dealer in strangers:
            dealer.close(linger=0)


async def test_handshakes_that_do_not_end_are_closed_and_keep_nobody_out(world: World) -> None:
    a, b = await world.side(world.a), await world.side(world.b)
    port = int(split_address(b.transport.listen())[0].rpartition(":")[2])
    greeting = bytes.fromhex("ff00000000000000017f0301") + b"CURVE".ljust(20, bytes(1)) + bytes(32)
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for _, writer in streams[::2]:
        writer.write(greeting)
    a.link_to(b).send((0, "member"))
    assert await b.envelopes(1) == [[0, "member"]]
    async with asyncio.timeout(WAIT_S):
        for reader, writer in streams:
            await reader.read()  # until ZeroMQ closes the connection
            writer.close()
    assert b.failed == []
