"""The floor: an ask over a bare ZeroMQ link, the least that a runtime on this transport can cost.

A DEALER on each side, driven by its descriptor on uvloop; the envelopes of one tick leave as one msgpack frame; a
queue and one task serve the actor. No HELLO, no sequence numbers, no checks, no bounds, no deadlines, no failures.
The serving side is a process of its own, `python -m actorrt.bench.floor ADDRESS`, that ends with its standard input.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgpack
import zmq

_DRAIN_BUDGET_FRAMES: Final = 64
_END_TIMEOUT_S: Final = 10.0


class BareLink:
    """A DEALER whose envelopes of one tick leave as one frame."""

    def __init__(self, socket: zmq.Socket[bytes], received: Callable[[list[Any]], None]) -> None:
        self._socket = socket
        self._received = received
        self._queue: list[Sequence[Any]] = []
        self._pack = msgpack.Packer(autoreset=True).pack
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(int(socket.getsockopt(zmq.FD)), self._drain)
        self._loop.call_soon(self._drain)

    def send(self, envelope: Sequence[Any]) -> None:
        """Queue an envelope for the end of this tick."""
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(envelope)

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        self._socket.send(self._pack(queue))
        self._drain()

    def _drain(self) -> None:
        if self._socket.closed:
            return
        for _ in range(_DRAIN_BUDGET_FRAMES):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            for envelope in msgpack.unpackb(frame):
                self._received(envelope)
        self._loop.call_soon(self._drain)

    def close(self) -> None:
        """Give the socket back; what is queued is lost."""
        self._loop.remove_reader(int(self._socket.getsockopt(zmq.FD)))
        self._socket.close(linger=0)


class BareCounter:
    """The actor of the floor."""

    def __init__(self) -> None:
        self.total = 0

    async def increment(self) -> int:
        self.total += 1
        return self.total


class BareCaller:
    """The asking side."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._link = BareLink(socket, self._received)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._loop = asyncio.get_running_loop()

    def increment(self) -> asyncio.Future[Any]:
        """Ask the counter."""
        self._last_id += 1
        future = self._pending[self._last_id] = self._loop.create_future()
        self._link.send((0, self._last_id, "increment", ()))
        return future

    def _received(self, envelope: list[Any]) -> None:
        self._pending.pop(envelope[1]).set_result(envelope[2])

    def close(self) -> None:
        """Close the link."""
        self._link.close()


@contextmanager
def bare_server() -> Iterator[zmq.Socket[bytes]]:
    """Start a serving process and give the socket that reaches it; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="floor-") as directory, zmq.Context() as context:
        address = f"ipc://{directory}/floor"
        with context.socket(zmq.DEALER) as socket:
            socket.bind(address)
            command = [sys.executable, "-m", "actorrt.bench.floor", address]
            with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
                try:
                    yield socket
                finally:
                    assert process.stdin is not None
                    process.stdin.close()
                    process.wait(_END_TIMEOUT_S)
                    socket.close(linger=0)


async def _serve(address: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    counter = BareCounter()
    queue: deque[list[Any]] = deque()
    arrived = asyncio.Event()

    def received(envelope: list[Any]) -> None:
        queue.append(envelope)
        arrived.set()

    async def handle_all() -> None:
        while True:
            await arrived.wait()
            arrived.clear()
            while queue:
                _, call_id, method, arguments = queue.popleft()
                link.send((1, call_id, await getattr(counter, method)(*arguments)))

    with zmq.Context() as context:
        socket = context.socket(zmq.DEALER)
        socket.connect(address)
        link = BareLink(socket, received)
        handling = asyncio.gather(handle_all())
        await ended.wait()
        handling.cancel()
        link.close()


def main() -> None:
    """Serve until standard input ends."""
    import uvloop

    uvloop.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
