"""Measures the transports alone: an echo between two processes on uvloop, beside a bare ZeroMQ floor.

The floor is a pair of DEALERs whose descriptors the loop watches; the envelopes of one tick leave as one frame. It has
no HELLOs, sequence numbers, checks or bounds. All transports echo `[kind, number, method, [argument]]`, in the same two
processes and in turns, so that noise of the machine affects all of them. Each figure is a median over all rounds.

    python scripts/bench/transport_echo.py [--rounds 10] [--asks 1000] [--in-flight 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop
import zmq

from actorrt.bench.rows.floor import BareLink
from actorrt.errors import ActorRtError
from actorrt.ids import IdSource, PeerId
from actorrt.transport.interfaces import Buffer
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport

ECHO, STOP = 0, 9
KINDS: dict[str, type[BaseTransport]] = {"unix": UnixTransport, "ipc": ZmqTransport}
Ask = Callable[[str, int], Awaitable[Any]]


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
        self.transport: BaseTransport | None = None
        self.stopped = asyncio.Event()
        self._links: dict[PeerId, Any] = {}

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        if envelope[0] == STOP:
            self.stopped.set()
            return
        link = self._links.get(peer)
        if link is None:
            assert self.transport is not None
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


async def serve_all(peer: PeerId, directory: str) -> None:
    echoes = []
    for kind, transport in KINDS.items():
        echo = Echo()
        echo.transport = transport(peer, f"{kind}://{directory}/{kind}-server")
        await echo.transport.start(echo)
        echoes.append(echo)
    with zmq.Context() as context:
        socket = context.socket(zmq.DEALER)
        socket.connect(f"ipc://{directory}/bare")
        link = BareLink(socket, lambda envelope: link.send((1, envelope[1], envelope[3][0])))
        for echo in echoes:
            await echo.stopped.wait()
        link.close()
    for echo in echoes:
        assert echo.transport is not None
        await echo.transport.close()


def serve(peer: PeerId, directory: str) -> None:
    uvloop.run(serve_all(peer, directory))


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
    for name in KINDS:
        print(f"{name} / bare: p50 {p50_us[name] / p50_us['bare']:.2f}, rate {asks_hz[name] / asks_hz['bare']:.2f}")


async def ask_all(server: PeerId, directory: str, options: argparse.Namespace) -> None:
    transports, links, asks = [], [], {}
    for kind, make in KINDS.items():
        asker = Asker()
        transport = make(IdSource().peer(), f"{kind}://{directory}/{kind}-client")
        await transport.start(asker)
        link = transport.link(server, f"{kind}://{directory}/{kind}-server")
        asker.pending = Pending(link.send)
        transports.append(transport)
        links.append(link)
        asks[kind] = asker.pending.ask
    with zmq.Context() as context:
        socket = context.socket(zmq.DEALER)
        socket.bind(f"ipc://{directory}/bare")
        pending = Pending(lambda envelope: bare.send(envelope))  # noqa: PLW0108  there is no `bare` yet
        bare = BareLink(socket, pending.received)
        await measure({"bare": pending.ask, **asks}, options)
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
    server = IdSource().peer()
    with tempfile.TemporaryDirectory(prefix="echo-") as directory:
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(server, directory))
        process.start()
        uvloop.run(ask_all(server, directory, options))
        process.join()


if __name__ == "__main__":
    main()
