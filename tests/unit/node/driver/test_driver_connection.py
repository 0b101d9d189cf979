"""A driver's connection to a daemon that is not there: its beginning, its loss, and what closing it waits for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.errors import ActorDiedError, PeerUnreachableError
from actorrt.machine.clock import ManualClock
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.driver import driver_connection
from actorrt.node.driver.driver_connection import DaemonConnection
from actorrt.protocol.nodes import AttachDriver
from actorrt.protocol.processes import JobEnded
from actorrt.reasons import ExitKind
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, SETTING, FakeControl
from tests.unit.node.objects.stores import node_at
from tests.unit.records import crashed


class FakeSystem:
    """A driver's endpoint: notes how it was closed."""

    def __init__(self) -> None:
        self.control = FakeControl()
        self.scope = Scope("endpoint", crashed)
        self.node = node_at("node")
        self.peers = SimpleNamespace(own=node_at("driver"))
        self.job = IDS.job()
        self.failure: BaseException | None = None
        self.closed: list[tuple[Any, ...]] = []
        self.may_close = asyncio.Event()
        self.may_close.set()

    async def close(self, *why: Any) -> None:
        self.closed.append(why)
        await self.may_close.wait()
        await self.scope.close()


class Connected(DaemonConnection):
    """Connects to nothing, and watches a process of the test."""

    def __init__(self, pid: int, *, is_embedded: bool = False) -> None:
        super().__init__(None, None, None, None, replace(Surroundings.of_process(), clock=ManualClock()))
        self.url = "unix:///node"
        self.fake = FakeSystem()
        self.store_closed_count = 0
        self._endpoint = self.endpoint = self.fake  # type: ignore[assignment]
        self._store = SimpleNamespace(close=self._note_close)  # type: ignore[assignment]
        self._scope = Scope("driver", crashed)
        if is_embedded:
            self._embedded = SimpleNamespace(close=self._end_node)  # type: ignore[assignment]
        self._watch(asyncio.get_running_loop(), NodeDescriptor("00", "unix:///n", "/s", self.url, pid, is_embedded))

    def _note_close(self) -> None:
        self.store_closed_count += 1

    async def _end_node(self) -> None:
        """There is no node to end."""


@pytest.fixture
async def connection() -> AsyncIterator[Connected]:
    connection = Connected(os.getpid())
    yield connection
    await connection.close()


async def test_attach_begins_the_job_of_this_process(connection: Connected) -> None:
    attaching = asyncio.ensure_future(connection.attach(SETTING))
    await asyncio.sleep(0)
    (asked,) = connection.fake.control.asked
    endpoint = connection.fake
    attach = AttachDriver(job=endpoint.job, address=endpoint.peers.own.address, pid=os.getpid(), setting=SETTING)
    assert (asked.to, asked.request) == (endpoint.node, attach)
    asked.set_value(None)
    await attaching
    assert connection.is_lost is False


async def test_node_that_ends_or_says_nothing_meanwhile_is_unreachable(
    connection: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_connection, "NODE_ANSWER_TIMEOUT_S", 0.01)
    with pytest.raises(PeerUnreachableError, match=r"unix:///node did not answer within 0\.01 s: it is stopped"):
        await connection.attach(SETTING)
    attaching = asyncio.ensure_future(connection.attach(SETTING))
    await asyncio.sleep(0)
    connection.fake.control.asked[-1].set_error(ActorDiedError("its process ended"))
    with pytest.raises(PeerUnreachableError, match="unix:///node ended while this process connected"):
        await attaching


@pytest.mark.parametrize(
    ("is_embedded", "advice"),
    [
        (True, "actorrt.init(), or a new Runtime, starts another"),
        (False, "start one with `actorrt node`, then connect"),
    ],
)
async def test_job_that_the_node_ended_is_told_once_and_ends_all_that_waits(
    is_embedded: bool, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connected(os.getpid(), is_embedded=is_embedded)
    for _ in range(2):
        connection.fake.control.serve(connection.fake.node.peer, JobEnded(why="its connection broke"))
    assert connection.is_lost
    await connection.close()
    ((error, text),) = connection.fake.closed
    assert (error.reason.kind, error.reason.detail) == (ExitKind.NODE_LOST, "it ended this job: its connection broke")
    assert text.startswith(
        "the runtime lost its node unix:///node, with all its actors and objects: it ended this job: its connection "
        f"broke; {advice}"
    )
    assert caplog.messages == [text]
    assert connection.store_closed_count == 2  # once when the node was lost, and once more by `close`


async def test_end_of_the_daemon_is_the_end_of_the_node_which_other_threads_see_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as daemon:
        connection = Connected(daemon.pid)
        assert not connection.is_lost
        daemon.kill()
        daemon.wait()
        assert connection.is_lost  # the kernel says so, before the loop has heard of it
        async with asyncio.timeout(5):
            while not connection.fake.closed:
                await asyncio.sleep(0)
        ((error, _),) = connection.fake.closed
        assert error.reason.detail == f"the node daemon (process {daemon.pid}) ended"
        await connection.close()


async def test_daemon_that_has_ended_before_it_is_watched_is_unreachable() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as daemon:
        daemon.wait()
        with pytest.raises(PeerUnreachableError, match="ended while this process connected"):
            Connected(daemon.pid)


async def test_loss_of_the_store_is_the_nodes_only_when_nothing_else_is_heard_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver_connection, "STORE_LOST_GRACE_S", 0.01)
    connection = Connected(os.getpid())
    connection._store_lost()
    assert not connection.is_lost
    async with asyncio.timeout(5):
        while not connection.is_lost:
            await asyncio.sleep(0.001)
    await connection.close()
    assert connection.fake.closed[0][0].reason.detail == "the connection to its object store broke"


async def test_close_waits_for_the_end_that_the_loss_began_and_a_loss_during_close_is_none(
    connection: Connected,
) -> None:
    connection.fake.may_close.clear()
    connection._lost("a reason")
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(connection.close())
    await asyncio.sleep(0)
    assert (closing.done(), len(connection.fake.closed)) == (False, 1)
    connection.fake.may_close.set()
    await closing
    connection._lost("too late")
    assert len(connection.fake.closed) == 1


async def test_endpoint_that_failed_has_lost_its_node(connection: Connected) -> None:
    connection.fake.failure = RuntimeError("a defect")
    assert connection.is_lost
