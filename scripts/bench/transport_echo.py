"""Measures the transports alone: an echo between two processes on uvloop, beside bare ZeroMQ floors.

A floor is a pair of DEALERs whose descriptors the loop watches; the envelopes of one tick leave as one frame. It has
no HELLOs, sequence numbers, checks or bounds. `bare` is over `ipc`, `bare-curve` over `tcp` with CURVE. `node` and
`nodes` are composite transports of one node, and of two nodes.

All transports echo `[kind, number, method, [argument]]`, in the same two
processes and in turns, so that noise of the machine affects all of them. Each figure is a median over all rounds.

    python scripts/bench/transport_echo.py [--rounds 10] [--asks 1000] [--in-flight 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
import zmq
from zmq.utils import z85

from actorrt.bench.rows.floor import BareLink
from actorrt.completion import Completion
from actorrt.errors import ActorRtError
from actorrt.ids import IdSource, NodeId, PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.composite.resolver import Resolved
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.interfaces import Buffer
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.security import Security, join_address, load_keys
from actorrt.transport.zeromq.transport import ZmqTransport

ECHO, STOP = 0, 9
FLOORS = {"unix": "bare", "ipc": "bare", "node": "bare", "nodes": "bare-curve"}
"""The kinds of transports, each with its floor."""
Ask = Callable[[str, int], Awaitable[Any]]


class Plan(NamedTuple):
    """What both processes know: their peers, their nodes, the sockets' directory, and ports for `tcp`."""

    server: PeerId
    client: PeerId
    nodes: tuple[NodeId, NodeId]
    directory: str
    port: int
    bare_port: int

    def sockets(self, kind: str, is_server: bool) -> NodeSockets:
        """Return the sockets of a composite transport's node."""
        node = self.nodes[0 if is_server or kind == "node" else 1]
        ports = (self.port, self.port) if is_server else None
        return NodeSockets(node=node, directory=f"{self.directory}/{kind}", keys=self.keys_of(node), ports=ports)

    def keys_of(self, node: NodeId) -> str:
        return f"{self.directory}/keys-{node.hex()[:8]}"

    def address(self, kind: str, is_server: bool) -> str:
        if kind in ("node", "nodes"):
            return self.sockets(kind, is_server).address_of(self.server if is_server else self.client)
        return f"{kind}://{self.directory}/{kind}-{'server' if is_server else 'client'}"

    def transport(self, kind: str, is_server: bool) -> Any:
        """Return a transport that is not started."""
        peer, address, clock = (
            self.server if is_server else self.client,
            self.address(kind, is_server),
            MonotonicClock(),
        )
        if kind == "unix":
            return UnixTransport(peer, address, clock=clock)
        if kind == "ipc":
            return ZmqTransport(peer, address, clock=clock)
        sockets = self.sockets(kind, is_server)
        daemon = PeerAddress(self.server, self.address(kind, is_server=True)) if kind == "node" else (peer, address)
        made = CompositeTransport(peer, sockets, PeerAddress(*daemon), clock=clock)
        for node in self.nodes:
            made.keys.accept(load_keys(Path(self.keys_of(node))).public, node)
        made.resolver = self
        return made

    def resolve(self, to: PeerAddress) -> Completion[Resolved]:
        """Return the server's address, at its known port."""
        found = Completion[Resolved]()
        key = load_keys(Path(self.keys_of(self.nodes[0]))).public
        found.set_value(Resolved(join_address(f"tcp://127.0.0.1:{self.port}", key), to.peer))
        return found

    def bare_dealer(self, context: zmq.Context[Any], kind: str, *, is_server: bool) -> zmq.Socket[bytes]:
        """Return one end of a floor. The client binds."""
        dealer = context.socket(zmq.DEALER)
        place = f"ipc://{self.directory}/bare" if kind == "bare" else f"tcp://127.0.0.1:{self.bare_port}"
        keys = [Security(load_keys(Path(self.keys_of(node)))) for node in self.nodes]
        if kind == "bare-curve" and is_server:
            keys[0].secure_caller(dealer, keys[1].keys.public)
        elif kind == "bare-curve":
            dealer.setsockopt(zmq.CURVE_SERVER, 1)
            dealer.setsockopt(zmq.CURVE_SECRETKEY, z85.encode(keys[1].keys.secret))
        (dealer.connect if is_server else dealer.bind)(place)
        return dealer


class Pending:
    """Asks that have no reply yet, by number."""

    def __init__(self, send: Callable[[Sequence[Any]], None]) -> None:
        self._send = send
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._loop = asyncio.get_running_loop()

    def ask(self, method: str, argument: int) -> asyncio.Future[Any]:
        self._count += 1
        future = self._futures[self._count] = self._loop.create_future()
        self._send((ECHO, self._count, method, (argument,)))
        return future

    def received(self, envelope: list[Any]) -> None:
        self._futures.pop(envelope[1]).set_result(envelope[2])


class Echo:
    """The receiver of the serving side, which sends every envelope back."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.stopped = asyncio.Event()
        self._links: dict[PeerId, Any] = {}

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        if envelope[0] == STOP:
            self.stopped.set()
            return
        link = self._links.get(peer)
        if link is None:
            address = self.transport.address_of(peer)
            assert address is not None
            link = self._links[peer] = self.transport.link(peer, address)
        link.send((1, envelope[1], envelope[3][0]))

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        raise error


class Asker:
    """The receiver of the asking side."""

    def __init__(self) -> None:
        self.pending: Pending | None = None

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        assert self.pending is not None
        self.pending.received(envelope)

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        raise error


def echo_bare(dealer: zmq.Socket[bytes]) -> BareLink:
    link = BareLink(dealer, lambda envelope: link.send((1, envelope[1], envelope[3][0])))
    return link


async def serve_all(plan: Plan) -> None:
    echoes = []
    for kind in FLOORS:
        echo = Echo()
        echo.transport = plan.transport(kind, is_server=True)
        await echo.transport.start(echo)
        echoes.append(echo)
        if kind == "nodes":
            echo.transport.listen()
    with zmq.Context() as context:
        floors = [echo_bare(plan.bare_dealer(context, kind, is_server=True)) for kind in ("bare", "bare-curve")]
        for echo in echoes:
            await echo.stopped.wait()
        for link in floors:
            link.close()
    for echo in echoes:
        await echo.transport.close()


def serve(plan: Plan) -> None:
    uvloop.run(serve_all(plan))


async def latencies_us(ask: Ask, asks: int) -> list[float]:
    took_us = []
    for number in range(asks):
        start = time.perf_counter()
        await ask("echo", number)
        took_us.append((time.perf_counter() - start) * 1e6)
    return took_us


async def rate_hz(ask: Ask, asks: int, in_flight: int) -> float:
    rounds = max(1, asks * 5 // in_flight)
    start = time.perf_counter()
    for _ in range(rounds):
        await asyncio.gather(*[ask("echo", number) for number in range(in_flight)])
    return rounds * in_flight / (time.perf_counter() - start)


async def measure(asks_by_name: dict[str, Ask], options: argparse.Namespace) -> None:
    took_us: dict[str, list[float]] = {name: [] for name in asks_by_name}
    rates: dict[str, list[float]] = {name: [] for name in asks_by_name}
    for ask in asks_by_name.values():
        await latencies_us(ask, 300)
    for _ in range(options.rounds):
        for name, ask in asks_by_name.items():
            took_us[name] += await latencies_us(ask, options.asks)
        for name, ask in asks_by_name.items():
            rates[name].append(await rate_hz(ask, options.asks, options.in_flight))
    p50_us = {name: statistics.median(values) for name, values in took_us.items()}
    asks_hz = {name: statistics.median(values) for name, values in rates.items()}
    for name in asks_by_name:
        print(f"{name:10} p50 {p50_us[name]:6.1f} us   {options.in_flight} in flight: {asks_hz[name]:9,.0f} echoes/s")
    for name, floor in FLOORS.items():
        rate = asks_hz[name] / asks_hz[floor]
        print(f"{name} / {floor}: p50 {p50_us[name] / p50_us[floor]:.2f}, rate {rate:.2f}")


def ask_bare(dealer: zmq.Socket[bytes]) -> tuple[BareLink, Ask]:
    pending = Pending(lambda envelope: link.send(envelope))  # noqa: PLW0108  there is no `link` yet
    link = BareLink(dealer, pending.received)
    return link, pending.ask


async def ask_all(plan: Plan, options: argparse.Namespace) -> None:
    transports, links, asks = [], [], {}
    for kind in FLOORS:
        asker = Asker()
        transport = plan.transport(kind, is_server=False)
        await transport.start(asker)
        link = transport.link(plan.server, plan.address(kind, is_server=True))
        asker.pending = Pending(link.send)
        transports.append(transport)
        links.append(link)
        asks[kind] = asker.pending.ask
    with zmq.Context() as context:
        floors = {kind: ask_bare(plan.bare_dealer(context, kind, is_server=False)) for kind in ("bare", "bare-curve")}
        await measure({**{kind: ask for kind, (_, ask) in floors.items()}, **asks}, options)
        for bare, _ in floors.values():
            bare.close()
    for link in links:
        link.send((STOP,))
    for transport in transports:
        await transport.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--asks", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=1000)
    options = parser.parse_args()
    ids = IdSource()
    with tempfile.TemporaryDirectory(prefix="echo-") as directory:
        plan = Plan(ids.peer(), ids.peer(), (ids.node(), ids.node()), directory, free_port(), free_port())
        for name in ("node", "nodes"):
            Path(directory, name).mkdir()
        for node in plan.nodes:
            load_keys(Path(plan.keys_of(node)))
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(plan,))
        process.start()
        uvloop.run(ask_all(plan, options))
        process.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
