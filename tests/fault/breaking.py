"""Proxies on TCP or on a socket path whose connections are reset by the test, or after a random time."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from random import Random

CHUNK_BYTES = 1 << 14


class BreakingProxy:
    """A proxy between clients and `tcp://127.0.0.1:port`.

    Args:
        random: draws the time after which each connection is reset.
        most_s: the longest of these times; with None the proxy resets no connection by itself.

    Attributes:
        resets_count: how many connections were reset.
    """

    def __init__(self, port: int, random: Random, most_s: float | None = None) -> None:
        self._port = port
        self._random = random
        self._most_s = most_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.resets_count = 0

    async def __aenter__(self) -> BreakingProxy:
        self._server = await self._listen()
        return self

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._restore_address()
        self.reset()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def _restore_address(self) -> None:
        """Return the address to the endpoint."""

    def reset(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._forward(reader, writer)
        except OSError:
            pass  # reset by one side or by this proxy, which is its purpose
        finally:
            _reset(writer)
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._connect()
        self._writers.add(far_writer)
        pairs = (reader, far_writer), (far_reader, writer)
        ways = [asyncio.ensure_future(_copy(*pair)) for pair in pairs]  # both cancelled and awaited below
        try:
            life_s = None if self._most_s is None else self._random.uniform(0, self._most_s)
            await asyncio.wait(ways, timeout=life_s, return_when=asyncio.FIRST_COMPLETED)
            self.resets_count += 1
        finally:
            _reset(far_writer)
            self._writers.discard(far_writer)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class InterposedProxy(BreakingProxy):
    """A proxy between an endpoint at `unix://path` and its later clients, which can't detect it.

    Args:
        address: that of the endpoint.
        random, most_s: as for `BreakingProxy`.
    """

    def __init__(self, address: str, random: Random, most_s: float | None = None) -> None:
        super().__init__(0, random, most_s)
        self.address = address
        self._path = Path(address.removeprefix("unix://"))
        self._real = self._path.with_suffix(".real")

    async def _listen(self) -> asyncio.Server:
        self._path.rename(self._real)  # a bound socket is identified by its inode
        return await asyncio.start_unix_server(self._serve, self._path)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._real)

    def _restore_address(self) -> None:
        self._real.rename(self._path)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
