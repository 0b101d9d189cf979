"""The floor: an ask over a bare ZeroMQ link, which is the least cost of a runtime on ZeroMQ.

Each side has a DEALER, whose descriptor uvloop watches. The envelopes of one tick leave as one msgpack frame. A queue
and one task serve the actor. There are no HELLOs, sequence numbers, checks, bounds, deadlines or failures. The serving
process is a fork of the asking process: two processes with the same memory layout are a tenth faster on one CPU, and a
floor must be as fast as possible.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
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
        self._is_closed = False
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
        if self._is_closed:
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
        """Close the socket; queued envelopes are lost."""
        self._is_closed = True
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
    """The asking side, on the running loop."""

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        socket = self._context.socket(zmq.DEALER)
        socket.bind(address)
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
        self._context.term()


@contextmanager
def bare_server() -> Iterator[str]:
    """Fork the serving process, and yield the address to which it connects; the process ends with the block.

    To be entered before any thread is started, since threads do not survive a fork.
    """
    with tempfile.TemporaryDirectory(prefix="floor-") as directory:
        address = f"ipc://{directory}/floor"
        end_reader, end_writer = os.pipe()
        arguments = (address, end_reader, end_writer)
        process = multiprocessing.get_context("fork").Process(target=_serve_process, args=arguments)
        process.start()
        os.close(end_reader)
        try:
            yield address
        finally:
            os.close(end_writer)
            process.join(_END_TIMEOUT_S)
            process.kill()
            process.join()
            process.close()


def _serve_process(address: str, end_reader: int, end_writer: int) -> None:
    import uvloop

    os.close(end_writer)  # the asking process has the other copy; when that closes, this process ends
    uvloop.run(_serve(address, end_reader))


async def _serve(address: str, end_reader: int) -> None:
    counter = BareCounter()
    queue: deque[list[Any]] = deque()
    loop = asyncio.get_running_loop()
    is_ended = False
    arrived = loop.create_future()

    def wake() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def received(envelope: list[Any]) -> None:
        queue.append(envelope)
        wake()

    def end() -> None:
        nonlocal is_ended
        is_ended = True
        loop.remove_reader(end_reader)
        wake()

    loop.add_reader(end_reader, end)
    with zmq.Context() as context:
        socket = context.socket(zmq.DEALER)
        socket.connect(address)
        link = BareLink(socket, received)
        while not is_ended:
            while queue:
                _, call_id, method, arguments = queue.popleft()
                link.send((1, call_id, await getattr(counter, method)(*arguments)))
            arrived = loop.create_future()
            await arrived
        link.close()
