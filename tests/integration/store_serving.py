"""The server of a store in a thread, and processes that use it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from actorrt.config import MIB
from actorrt.ids import IdSource, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.disk import SpillDisk
from actorrt.store.server.server import StoreServer

IDS = IdSource()

# libuv opens a pipe for signals with the first loop of a process and keeps it, so no test may have to close it.
uvloop.new_event_loop().close()

_PRELUDE = """
import sys
import numpy as np
from actorrt.ids import IdSource, ObjectId
from actorrt.store.client.client import StoreClient
from actorrt.machine.surroundings import Surroundings
client = StoreClient.connect(sys.argv[1], IdSource().peer(), Surroundings.of_process())
def say(what): print(what, flush=True)
def hear(): return sys.stdin.readline().strip()
def hear_id(): return ObjectId(bytes.fromhex(hear()))
"""


@dataclass
class Serving:
    """A running server, and the processes that it reported to its owner."""

    path: str
    server: StoreServer
    loop: asyncio.AbstractEventLoop
    closed: threading.Condition = field(default_factory=threading.Condition)
    opened_pids: list[int] = field(default_factory=list)
    closed_pids: list[int] = field(default_factory=list)

    def connect(self) -> StoreClient:
        return StoreClient.connect(self.path, IDS.peer(), Surroundings.of_process())

    def on_close(self, _: PeerId, pid: int) -> None:
        with self.closed:
            self.closed_pids.append(pid)
            self.closed.notify_all()

    def wait_closed(self, pid: int) -> None:
        """Wait until the server has seen the end of a process and released its objects."""
        with self.closed:
            assert self.closed.wait_for(lambda: pid in self.closed_pids, timeout=10)

    def stats(self) -> dict[str, int]:
        """Return the server's counts after its pending callbacks have run."""

        async def ask() -> dict[str, int]:
            await asyncio.sleep(0)  # a sweep runs in a callback
            return self.server.stats()

        return asyncio.run_coroutine_threadsafe(ask(), self.loop).result(10)

    @contextmanager
    def process(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """Run code in a process that has a client. The process is killed when the block ends."""
        process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + textwrap.dedent(code), self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], what: str) -> None:
    assert process.stdin is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()


@contextmanager
def serving(
    capacity_bytes: int = 256 * MIB,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
    *,
    spill_directory: str | None = None,
) -> Iterator[Serving]:
    """Serve a store from a thread until the block ends."""
    with tempfile.TemporaryDirectory(dir=os.environ["ACTORRT_RUNTIME_DIR"]) as directory:
        path = str(Path(directory) / "store")
        loop = new_loop()
        state = Serving(path, None, loop)  # type: ignore[arg-type]
        state.server = StoreServer(
            path,
            capacity_bytes,
            MonotonicClock(),
            disk=None if spill_directory is None else SpillDisk(spill_directory),
            on_open=lambda _, pid: state.opened_pids.append(pid),
            on_close=state.on_close,
        )
        failures: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        thread = threading.Thread(target=loop.run_forever, name="store server")
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(state.server.start(), loop).result(10)
            yield state
        finally:
            asyncio.run_coroutine_threadsafe(state.server.close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        assert failures == []
