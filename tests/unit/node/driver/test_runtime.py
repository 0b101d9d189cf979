"""A driver's runtime over a connection that is not there: what starts, what is ended, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.actors.refs import current
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, PeerUnreachableError, RuntimeStateError
from actorrt.machine.clock import ManualClock
from actorrt.node.driver import runtime as runtime_module
from actorrt.node.driver.runtime import Runtime, finished
from actorrt.protocol.nodes import Detach, Goodbye, JobSetting
from actorrt.protocol.processes import Output
from tests.unit.node.fakes import IDS, FakeControl
from tests.unit.node.objects.stores import node_at


class FakeConnection:
    """A connection to no node; it notes what the runtime does with it."""

    url = "unix:///node"

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.settings: list[JobSetting] = []
        self.is_lost = False
        self.open_error: Exception | None = None
        self.attach_error: Exception | None = None
        self.silent_s = 0.0
        transport = SimpleNamespace(watch=lambda *_: None, silent_s=lambda _: self.silent_s)
        self.control = FakeControl()
        self.endpoint: Any = SimpleNamespace(
            control=self.control,
            transport=transport,
            node=node_at("node"),
            job=IDS.job(),
            clock=ManualClock(),
            is_closed=False,
        )

    async def open(self, namespace: str) -> None:
        self.steps.append(f"open {namespace}")
        if self.open_error is not None:
            raise self.open_error

    async def attach(self, setting: JobSetting) -> None:
        self.steps.append("attach")
        self.settings.append(setting)
        if self.attach_error is not None:
            raise self.attach_error

    async def close(self) -> None:
        self.steps.append("close")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeConnection]:
    connection = FakeConnection()
    monkeypatch.setattr(Runtime, "_new_connection", lambda _: connection)
    yield connection
    current.set_process_endpoint(None)


async def closed(runtime: Runtime, connection: FakeConnection, answer: Any = None) -> None:
    """Close a runtime whose node answers `Detach` with that."""
    closing = asyncio.ensure_future(runtime.close())
    await asyncio.sleep(0)
    asked = connection.control.asked[-1]
    if isinstance(answer, Exception):
        asked.set_error(answer)
    else:
        asked.set_value(answer)
    await closing


async def test_runtime_opens_attaches_and_is_the_processes_own_until_it_is_closed(connection: FakeConnection) -> None:
    runtime = Runtime(namespace="ns")
    assert repr(runtime) == "<Runtime not connected>"
    await runtime.start()
    assert connection.steps == ["open ns", "attach"]
    assert (runtime.endpoint, current.process_endpoint()) == (connection.endpoint, connection.endpoint)
    assert repr(runtime) == "<Runtime at unix:///node>"
    assert list(connection.control.handlers) == [Output]
    await closed(runtime, connection)
    assert (connection.steps[2:], current.process_endpoint()) == (["close"], None)
    assert [asked.request for asked in connection.control.asked] == [Detach(job=connection.endpoint.job)]
    assert connection.control.told == [(connection.endpoint.node, Goodbye())]
    await runtime.close()
    assert connection.steps[2:] == ["close"]
    with pytest.raises(RuntimeStateError, match="this Runtime is not running"):
        _ = runtime.endpoint


async def test_workers_are_told_how_this_process_finds_code(
    connection: FakeConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", "code", "/elsewhere"])
    monkeypatch.setattr("sys.modules", {**sys.modules, "__main__": SimpleNamespace(__file__="/s/run.py")})
    runtime = Runtime(namespace="ns")
    await runtime.start()
    (setting,) = connection.settings
    here = str(tmp_path)
    assert setting.sys_path == ["/s", here, f"{here}/code", "/elsewhere"]
    assert (setting.cwd, setting.namespace, setting.env_vars) == (here, "ns", {})
    await closed(runtime, connection)


@pytest.mark.parametrize(("step", "count"), [("open_error", 1), ("attach_error", 2)])
async def test_failed_start_closes_the_connection(connection: FakeConnection, step: str, count: int) -> None:
    setattr(connection, step, PeerUnreachableError("no node"))
    runtime = Runtime()
    with pytest.raises(PeerUnreachableError, match="no node"):
        await runtime.start()
    assert connection.steps == [*["open default", "attach"][:count], "close"]
    assert (current.process_endpoint(), runtime.has_lost_its_node) == (None, False)


async def test_second_runtime_of_a_process_is_refused_until_the_first_is_closed(connection: FakeConnection) -> None:
    runtime = Runtime()
    await runtime.start()
    with pytest.raises(RuntimeStateError, match="a runtime is connected in this process already"):
        await Runtime().start()
    connection.endpoint.is_closed = True  # by a node that was lost
    other = Runtime()
    await other.start()
    for one in (other, runtime):
        await closed(one, connection)


async def test_runtime_that_lost_its_node_asks_nobody_to_end_its_job(connection: FakeConnection) -> None:
    runtime = Runtime()
    await runtime.start()
    connection.is_lost = True
    assert runtime.has_lost_its_node
    await runtime.close()
    assert (connection.control.asked, connection.steps) == ([], ["open default", "attach", "close"])


async def test_node_that_ends_before_the_job_has_is_no_trouble(
    connection: FakeConnection, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = Runtime()
    await runtime.start()
    await closed(runtime, connection, ActorDiedError("its process ended"))
    assert (caplog.messages, connection.control.told, connection.steps[-1]) == ([], [], "close")


@pytest.mark.parametrize(
    ("silent_s", "timeout_s", "why"),
    [(11.0, 60.0, "the node gave no sign of life"), (0.0, 0.02, "0.02 s were not enough")],
)
async def test_node_that_is_frozen_or_too_slow_is_given_up_in_words(
    connection: FakeConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    silent_s: float,
    timeout_s: float,
    why: str,
) -> None:
    monkeypatch.setattr(runtime_module, "DETACH_TIMEOUT_S", timeout_s)
    monkeypatch.setattr(runtime_module, "DETACH_LOOK_S", 0.01)
    runtime = Runtime()
    await runtime.start()
    connection.silent_s = silent_s
    await runtime.close()
    assert caplog.messages == [f"the actors of this job did not stop, and are ended: {why}"]
    assert (connection.steps[-1], connection.control.told) == ("close", [])


async def test_long_wait_prints_a_notice_that_names_its_cause(
    connection: FakeConnection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("actorrt.node.driver.notices.NOTICE_AFTER_S", 0.0)
    runtime = Runtime()
    await runtime.start()
    closing = asyncio.ensure_future(runtime.close())
    err = ""
    async with asyncio.timeout(5):
        while not err:
            await asyncio.sleep(0.001)
            err = capsys.readouterr().err
    assert err == "actorrt: waiting for actors to stop ...\n"
    connection.control.asked[-1].set_value(None)
    await closing


async def test_wait_for_a_completion_ends_with_it_or_with_the_time() -> None:
    done, failed, pending = [Completion[int]() for _ in range(3)]
    done.set_value(1)
    failed.set_error(ValueError("no"))
    for completion in (done, failed):
        await finished(completion, None)
    await finished(pending, 0.001)
    assert not pending.done()
