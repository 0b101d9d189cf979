"""Measures joins over loopback: wall time, and CPU time of both sides together; and what strangers cost.

python scripts/bench/joins.py
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.dialling import dial
from actorrt.cluster.joining.join import join
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.tls import client_context
from tests.integration.joining.entry_node import entry_node, state_directory

COUNT: Final = 200


async def measured(what: str, once: Callable[[], Awaitable[object]]) -> None:
    times: list[float] = []
    await once()
    before = time.process_time()
    for _ in range(COUNT):
        start = time.perf_counter()
        await once()
        times.append(1000 * (time.perf_counter() - start))
    cpu_ms = 1000 * (time.process_time() - before) / COUNT
    print(f"{what:<40} {statistics.median(times):6.2f} ms, {cpu_ms:5.2f} ms of CPU time on both sides together")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with entry_node(Path(folder) / "entry") as entry:
            token = await entry.token()
            context = client_context(None)

            async def by_token() -> None:
                await join(token, Identity.make(os.urandom), wall=time.time)

            directory = state_directory(Path(folder) / "member")
            found = await join(token, directory.identity, wall=time.time)
            directory.keep_membership(found.authority, found.issuer, found.card)
            credentials = directory.credentials()

            async def by_card() -> None:
                await join(credentials, directory.identity, wall=time.time, addresses=[entry.address])

            async def stranger() -> None:
                stream = TlsStream(await dial(entry.address), context, is_server=False)
                await stream.handshake()
                await stream.send(b"garbage")
                await stream.receive(messages.ANSWER_BYTES)
                stream.close()

            async def plain() -> None:
                connection = await dial(entry.address)
                await asyncio.get_running_loop().sock_sendall(connection, b"GET / HTTP/1.1\r\n\r\n")
                await asyncio.get_running_loop().sock_recv(connection, 1)
                connection.close()

            await measured("a join by a token", by_token)
            await measured("a join by a card", by_card)
            await measured("a stranger: TLS and garbage inside", stranger)
            await measured("a stranger: plain text", plain)
            directory.close()


if __name__ == "__main__":
    uvloop.run(main())
