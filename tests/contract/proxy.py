"""A proxy between two processes, whose connections a test cuts, stalls and refuses."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Proxy:
    """Passes bytes on from a port of its own to another one.

    Attributes:
        port: its port.
        target: the port behind it; 0 until it is known.
        accepted_count: how many connections were made to it.
    """

    def __init__(self) -> None:
        self.port = self.target = self.accepted_count = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def listen(self) -> None:
        """Accept connections, at the same port as before."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Close all connections, and refuse later ones until `listen`."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections at once, with what is under way."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()

    def stall(self) -> None:
        """Pass nothing on until `go_on`; connections stay open."""
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def close(self) -> None:
        await self.refuse()
        self.go_on()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_count += 1
        self._writers.append(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(far_writer)
        for ends in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.ensure_future(self._pass_on(*ends))  # `close` awaits it
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
