"""The contract's tests run over every transport, on both loops."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
import zmq

from actorrt.config import MIB
from actorrt.testing.virtual.loop import VirtualLoop
from tests.contract.world import Run, World
from tests.postgres_server import PostgresServer, running_server, why_missing


@pytest.fixture(scope="module", autouse=True)
def library_resources_exist() -> None:
    """Have libraries make the resources now that they make once for the whole process: they are no leaks of a test."""
    uvloop.new_event_loop().close()  # libuv: a pipe for signals
    with zmq.Context() as context, context.socket(zmq.PAIR) as a, context.socket(zmq.PAIR) as b:
        a.bind("inproc://first")
        b.connect("inproc://first")
        a.send(bytes(MIB), copy=False)  # pyzmq: a thread that releases buffers after a send without a copy
        b.recv()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer | None]:
    """A server for all tests of the module, so that none of them has left it behind; None where there is none."""
    if why_missing() is not None:
        yield None
        return
    with running_server() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the simulated transport on uvloop: it has a loop of its own."""
    items[:] = [item for item in items if "simulated-uvloop" not in item.name and "uvloop-simulated" not in item.name]


@pytest.fixture(params=["memory", "unix", "ipc", "tcp", "simulated", "node", "nodes"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, kind: str) -> Iterator[Run]:
    virtual = VirtualLoop(1) if kind == "simulated" else None
    factory = uvloop.new_event_loop if request.param == "uvloop" else virtual and (lambda: virtual)
    temporary = tempfile.TemporaryDirectory
    with temporary(prefix="art-") as directory, temporary(prefix="art-keys-") as keys:

        def run(case: Callable[[World], Awaitable[None]]) -> None:
            async def main() -> None:
                world = World(kind, directory, keys, virtual)
                try:
                    await case(world)
                finally:
                    for side in world.sides:
                        await side.transport.close()

            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())

        yield run
        assert list(Path(directory).iterdir()) == []
