"""Run on a host, `python proxy.py HOST TARGET LOW HIGH SHIFT`: forwards TCP ports of this host to another.

Each port is forwarded to the one that is `SHIFT` higher.

Reads commands, one a line: `delay SECONDS` for each direction, `stall` (nothing passes), `held` (wait until
something does not pass), `go`. Answers each with `done`.
"""

from __future__ import annotations

import asyncio
import sys

CHUNK_BYTES = 1 << 16
QUEUE_COUNT = 64


class Proxy:
    """Forwards connections; the delay and the stall hold for all of them."""

    def __init__(self, target: str, shift: int) -> None:
        self._target = target
        self._shift = shift
        self._delay_s = 0.0
        self._goes = asyncio.Event()
        self._goes.set()
        self._holds = asyncio.Event()

    async def serve(self, host: str, ports: range) -> None:
        """Listen at these ports, until the standard input ends."""
        servers = [
            await asyncio.start_server(lambda *streams, port=port: self._forward(port, *streams), host, port)
            for port in ports
        ]
        print("up", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await self._obey(*line.split())
            print("done", flush=True)
        for server in servers:
            server.close()

    async def _obey(self, command: str, *arguments: str) -> None:
        if command == "delay":
            self._delay_s = float(arguments[0])
        elif command == "stall":
            self._goes.clear()
            self._holds.clear()
        elif command == "held":
            await self._holds.wait()
        elif command == "go":
            self._goes.set()
        else:
            raise ValueError(f"{command!r} is no command of the proxy")

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._target, port + self._shift)
        except OSError:
            writer.transport.abort()  # as the target does
            return
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one side sends, each chunk as late as the delay says, and then the end."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_COUNT)

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(CHUNK_BYTES)
                except ConnectionError:
                    data = b""
                await chunks.put((loop.time() + self._delay_s, data))

        async def send() -> None:
            while True:
                due, data = await chunks.get()
                await asyncio.sleep(due - loop.time())
                if not self._goes.is_set():
                    self._holds.set()
                await self._goes.wait()
                if not data:
                    writer.close()
                    return
                writer.write(data)
                try:
                    await writer.drain()
                except ConnectionError:
                    continue  # until the end of what the other side sends

        await asyncio.gather(receive(), send())


if __name__ == "__main__":
    host, target, low, high, shift = sys.argv[1:]
    asyncio.run(Proxy(target, int(shift)).serve(host, range(int(low), int(high) + 1)))
