"""Links over connections that break lose, duplicate and reorder nothing; peers that do not reconnect or are silent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import actorrt as art
from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import IdSource, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.frames.codec import pack_hello
from actorrt.transport.interfaces import Buffer
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.contract.stranger import Stranger, garbage
from tests.fault.breaking import BreakingProxy, InterposedProxy

MESSAGES = 100_000
BURST = 50
IN_FLIGHT = 2_000
WAIT_S = 60.0

ECHO = """
import asyncio, sys, time
from actorrt.machine.clock import MonotonicClock
from actorrt.ids import PeerId
from actorrt.transport.zeromq.transport import ZmqTransport

class Echo:
    def received(self, peer, envelope, buffers):
        if envelope[0] == 1:
            end = time.monotonic() + envelope[1]
            while time.monotonic() < end:
                pass
        self.transport.link(peer, self.back).send(envelope, [bytes(buffer) for buffer in buffers])

    def peer_failed(self, peer, error):
        print("failed", error, flush=True)

async def main():
    echo = Echo()
    echo.transport = ZmqTransport(PeerId(bytes.fromhex(sys.argv[1])), "tcp://127.0.0.1:0", clock=MonotonicClock())
    await echo.transport.start(echo)
    print(echo.transport.address, flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    echo.back = (await lines.readline()).decode().strip()
    print("ready", flush=True)
    await lines.read()
    await echo.transport.close()
    print(echo.transport.statistics().repeated_frames, flush=True)

asyncio.run(main())
"""


class KeepingReceiver:
    """A receiver that keeps its messages and events, and wakes the tasks that wait for them."""

    def __init__(self) -> None:
        self.got: list[tuple[int, bytes]] = []
        self.failed: list[tuple[PeerId, ActorRtError]] = []
        self.silence: list[tuple[PeerId, float | None]] = []
        self._changed = asyncio.Event()

    def peer_silent(self, peer: PeerId, silent_s: float) -> None:
        self.silence.append((peer, silent_s))
        self._changed.set()

    def peer_speaks(self, peer: PeerId) -> None:
        self.silence.append((peer, None))
        self._changed.set()

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        self.got.append((envelope[1], b"".join(buffers)))
        self._changed.set()

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.failed.append((peer, error))
        self._changed.set()

    async def until(self, count: int) -> None:
        await self._until(lambda: len(self.got) >= count)

    async def until_silence(self, count: int) -> None:
        await self._until(lambda: len(self.silence) >= count)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition() and not self.failed:
                self._changed.clear()
                await self._changed.wait()


class Pair:
    """This process and a process that echoes, with a proxy in each direction."""

    def __init__(self, transport: ZmqTransport, recorder: KeepingReceiver, echo: PeerId) -> None:
        self.transport = transport
        self.recorder = recorder
        self.echo = echo
        self.pid = 0

    def link(self) -> Any:
        return self.transport.link(self.echo, self.there.address)


@asynccontextmanager
async def pair(seed: int, most_s: float | None = None) -> AsyncIterator[Pair]:
    ids, random = IdSource(), Random(seed)
    us = Pair(
        ZmqTransport(ids.peer(), "tcp://127.0.0.1:0", connect_timeout_s=5.0, clock=MonotonicClock()),
        KeepingReceiver(),
        ids.peer(),
    )
    await us.transport.start(us.recorder)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, us.echo.hex(), stdin=PIPE, stdout=PIPE)
    us.pid = process.pid
    assert process.stdin is not None
    assert process.stdout is not None
    port = int((await process.stdout.readline()).rpartition(b":")[2])
    our_port = int(us.transport.address.rpartition(":")[2])
    async with (
        BreakingProxy(port, random, most_s) as us.there,
        BreakingProxy(our_port, random, most_s) as us.back,
    ):
        process.stdin.write(us.back.address.encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n"
        try:
            yield us
        finally:
            process.send_signal(signal.SIGCONT)
            await us.transport.close()
            process.stdin.close()
            assert b"failed" not in await process.stdout.read() or us.recorder.failed
            await process.wait()


async def test_connections_reset_at_random_neither_lose_nor_duplicate_nor_reorder_messages() -> None:
    async with pair(seed=1, most_s=0.03) as us:
        link = us.link()
        for number in range(MESSAGES):
            link.send((0, number), [b"%d" % number * 4000] if number % 500 == 0 else [])
            if number % BURST == 0:
                await us.recorder.until(number - IN_FLIGHT)
        await us.recorder.until(MESSAGES)
        assert us.recorder.failed == []
        assert [number for number, _ in us.recorder.got] == list(range(MESSAGES))
        assert all(
            content == (b"%d" % number * 4000 if number % 500 == 0 else b"") for number, content in us.recorder.got
        )
        assert us.there.resets_count >= 10
        assert us.back.resets_count >= 10
        assert us.transport.statistics().resumed_links >= 10


class Recorder(art.Actor):
    """Keeps the items that it receives, in order, and returns each."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def note(self, item: int) -> int:
        self.items.append(item)
        return item

    def all(self) -> list[int]:
        return self.items


async def test_calls_over_connections_reset_at_random_run_once_in_order_and_end(node_runtime: art.Runtime) -> None:
    recorder = await Recorder.options(isolation="process", name="recorder").spawn()
    status = await node_runtime.status()
    (address,) = [worker["address"] for worker in status["workers"] if worker["label"] == "recorder"]
    random = Random(5)
    async with (
        InterposedProxy(address, random, 0.05) as there,
        InterposedProxy(node_runtime.endpoint.peers.own.address, random, 0.05) as back,
    ):
        in_flight: deque[art.Reply[int]] = deque()
        for number in range(MESSAGES):
            in_flight.append(recorder.note(number))
            if len(in_flight) == IN_FLIGHT:
                assert await in_flight.popleft() == number - IN_FLIGHT + 1
        assert await art.gather(*in_flight) == list(range(MESSAGES - IN_FLIGHT + 1, MESSAGES))
        assert await recorder.all() == list(range(MESSAGES))
        assert there.resets_count >= 10
        assert back.resets_count >= 10


async def test_garbage_from_unknown_senders_to_a_worker_disturbs_no_caller(node_runtime: art.Runtime) -> None:
    recorder = await Recorder.options(isolation="process", name="recorder").spawn()
    (worker,) = [worker for worker in (await node_runtime.status())["workers"] if worker["label"] == "recorder"]
    for bad, (_, parts) in enumerate(garbage(), 1):
        with Stranger(worker["address"], worker["peer"]) as stranger:
            stranger.send(pack_hello(stranger.hello))
            stranger.send(*parts)
            assert await recorder.note(bad) == bad
            while (await node_runtime.statistics())["recorder"]["transport"]["bad_frames"] < bad:
                assert await recorder.note(bad) == bad
    assert set(await recorder.all()) == set(range(1, len(garbage()) + 1))


async def test_messages_in_transit_when_the_connection_broke_arrive() -> None:
    async with pair(seed=2) as us:
        link = us.link()
        for number in range(2000):
            link.send((0, number))
            if number % 100 == 99:
                await asyncio.sleep(0)
                us.there.reset()
                us.back.reset()
        await us.recorder.until(2000)
        assert us.recorder.failed == []
        assert [number for number, _ in us.recorder.got] == list(range(2000))


async def test_peer_that_does_not_reconnect_fails_with_the_typed_error() -> None:
    recorder = KeepingReceiver()
    transport = ZmqTransport(IdSource().peer(), "tcp://127.0.0.1:0", connect_timeout_s=0.5, clock=MonotonicClock())
    await transport.start(recorder)
    ghost = IdSource().peer()
    server = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    transport.link(ghost, f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}").send((0, 1))
    await recorder.until(1)
    ((peer, error),) = recorder.failed
    assert (peer, type(error)) == (ghost, PeerUnreachableError)
    server.close()
    await server.wait_closed()
    await transport.close()


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_stopped_peer_is_reported_within_three_seconds_and_again_when_it_continues() -> None:
    async with pair(seed=3) as us:
        us.link().send((0, 1))
        await us.recorder.until(1)
        us.transport.watch(us.echo, us.there.address)
        os.kill(us.pid, signal.SIGSTOP)
        stopped_at = asyncio.get_running_loop().time()
        await us.recorder.until_silence(1)
        assert asyncio.get_running_loop().time() - stopped_at < 3.0
        assert process_state(us.pid) == "T"
        os.kill(us.pid, signal.SIGCONT)
        await us.recorder.until_silence(2)
        assert [peer for peer, _ in us.recorder.silence] == [us.echo, us.echo]
        assert us.recorder.silence[1][1] is None
        us.link().send((0, 2))
        await us.recorder.until(2)
        assert us.recorder.failed == []


async def test_busy_peer_is_silent_but_not_failed_and_answers_later() -> None:
    async with pair(seed=4) as us:
        us.link().send((1, 3.5))
        await us.recorder.until_silence(1)
        assert process_state(us.pid) == "R"
        us.link().send((0, 2))
        await us.recorder.until(2)
        assert [number for number, _ in us.recorder.got] == [3.5, 2]
        assert us.recorder.failed == []


async def test_link_reports_the_end_of_a_process_of_another_node_at_once_and_waits_for_one_of_its_own(tmp_path: Path):
    async def started(name: str, node: bytes) -> tuple[UnixTransport, KeepingReceiver]:
        transport = UnixTransport(
            IdSource().peer(), f"unix://{tmp_path}/{name}", node=node, connect_timeout_s=60.0, clock=MonotonicClock()
        )
        heard = KeepingReceiver()
        await transport.start(heard)
        return transport, heard

    here, heard = await started("here", b"here")
    others = [await started("own", b"here"), await started("far", b"there")]
    try:
        for other, heard_there in others:
            here.link(other.peer, other.address).send([1, 0])
            other.link(here.peer, here.address).send([2, 0])
            await heard_there.until(1)
        await heard.until(2)
        own, far = (other for other, _ in others)
        assert (here.node_of(own.peer), here.node_of(far.peer), far.node_of(here.peer)) == (b"", b"there", b"here")
        await own.close()
        await far.close()
        await heard.until(3)  # the third message never arrives: a peer fails before
        ((peer, error),) = heard.failed
        assert peer == far.peer
        assert isinstance(error, PeerUnreachableError)
        assert "has ended" in str(error)
    finally:
        await here.close()
