"""Fixtures for all tests. Every test is checked for resources left behind, overdue futures and broken invariants.

Runtime files are in a directory of the test run. Tests that take minutes run only with `--long`.
"""

from __future__ import annotations

import asyncio
import asyncio.runners
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

import actorrt as art
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.protocol.authorities import CheckInvariants
from actorrt.testing.leaks import MARK, Footprint
from tests import stories
from tests.live_runtimes import CHECK_TIMEOUT_S, check_live_runtimes
from tests.running import Node
from tests.watchdog import Watchdog

# Durations on a busy machine say nothing about the code, so Hypothesis checks none.
settings.register_profile("actorrt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("actorrt")

stories.install()

LEFT_TIMEOUT_S = 2.0
LONG = ("soak", "learning_long")

# Set before any process starts, so that every descendant has it. The directory's name is short, since paths of sockets
# must be short.
os.environ[MARK] = uuid.uuid4().hex
os.environ["ACTORRT_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="art-")

uvloop.new_event_loop().close()  # the first loop makes a pipe for signals, which libuv keeps

CHECK_THEIR_NODES = {"runtime", "node_runtime", "session", "node_session"}
_nodes: list[Node] = []
_tasks_left: list[str] = []
_cancel_all_tasks = asyncio.runners._cancel_all_tasks


def _note_tasks_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
    """Record the tasks that are alive when a loop is closed, before its runner cancels them silently."""
    tasks = asyncio.all_tasks(loop)
    if tasks:
        _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=LEFT_TIMEOUT_S))
        _tasks_left.extend(f"task {task.get_name()!r}: {task.get_coro()}" for task in left)
    _cancel_all_tasks(loop)


asyncio.runners._cancel_all_tasks = _note_tasks_and_cancel


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a task, thread, process, descriptor, shared memory or file behind."""
    _tasks_left.clear()
    runtime_directory = Path(os.environ["ACTORRT_RUNTIME_DIR"])
    before = Footprint([runtime_directory], os.environ[MARK])
    yield
    left = [*_tasks_left, *map(str, before.wait_until_gone(LEFT_TIMEOUT_S))]
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Freeze the objects that exist after each module, so that garbage collections skip them.

    A process of many tests holds a million objects, most of them of torch and of pytest. A collection that visits all
    of them takes half a second, and the checks for resources left behind collect garbage.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    watchdog.start()
    yield watchdog
    watchdog.end()


@pytest.fixture(autouse=True)
def no_future_outlives_its_deadline(watchdog: Watchdog) -> Iterator[None]:
    """Fail a test in which a call, or an item of a stream, is pending 5 s after its deadline."""
    watchdog.take()
    yield
    if found := watchdog.take():
        pytest.fail("outlived their deadlines:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def nothing_contradicts_itself(request: pytest.FixtureRequest, nothing_left_behind: None) -> Iterator[None]:
    """Fail a test that leaves broken invariants, in this process or in the node that it was connected to."""
    stories.forget()
    yield
    if broken := check_live_runtimes():
        pytest.fail("contradictions:\n  " + "\n  ".join(broken), pytrace=False)
    if "node" in request.fixturenames and not CHECK_THEIR_NODES & {*request.fixturenames}:
        for node in _nodes:
            node.check_invariants()


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node that many tests connect to, each with a job of its own, which leaves nothing behind."""
    node = Node("--cpus=4", "--store-bytes=268435456", module="tests.storied_node")
    _nodes.append(node)
    yield node
    _nodes.clear()
    assert node.end() == 0


MODES = ("local", "node")


@pytest.fixture(params=MODES)
def runtime_options(request: pytest.FixtureRequest, node: Node) -> dict[str, object]:
    """The options of a runtime in each mode."""
    return {"mode": "local", "cpus": 4} if request.param == "local" else {"address": node.url}


@pytest.fixture
async def runtime(runtime_options: dict[str, object]) -> AsyncIterator[art.Runtime]:
    """A runtime on the test's own loop."""
    async with art.Runtime(**runtime_options) as runtime:
        yield runtime
        await check_node(runtime)


@pytest.fixture
async def node_runtime(node: Node) -> AsyncIterator[art.Runtime]:
    """A runtime on the test's own loop, whose actors are in processes."""
    async with art.Runtime(address=node.url) as runtime:
        yield runtime
        await check_node(runtime)


async def check_node(runtime: art.Runtime) -> None:
    """Have the node check the invariants of its own process and of its workers."""
    if (endpoint := system_of(runtime)) is not None:
        await endpoint.control.request(endpoint.node, CheckInvariants())


def system_of(runtime: art.Runtime) -> ActorEndpoint | None:
    """Return the endpoint of a runtime; None if the test has shut it down."""
    try:
        return runtime.endpoint
    except art.RuntimeStateError:
        return None


@pytest.fixture
def session(runtime_options: dict[str, object]) -> Iterator[art.Runtime]:
    """A runtime that `init` started, for tests in plain code."""
    runtime = art.init(**runtime_options)
    yield runtime
    _check_node_and_shut_down(runtime)


@pytest.fixture
def node_session(node: Node) -> Iterator[art.Runtime]:
    """A runtime that `init` started, for tests in plain code; its actors are in processes."""
    runtime = art.init(address=node.url)
    yield runtime
    _check_node_and_shut_down(runtime)


def _check_node_and_shut_down(runtime: art.Runtime) -> None:
    try:
        if (endpoint := system_of(runtime)) is not None:
            endpoint.operate("the check of the node", lambda: check_node(runtime)).result(CHECK_TIMEOUT_S)
    finally:
        art.shutdown()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes on purpose, too")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if changing := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"the names of these tests differ between processes: give ids to {changing}")
    for item in items:
        if any(item.get_closest_marker(name) for name in LONG):
            item.add_marker(pytest.mark.alone)
            if not config.getoption("--long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes on purpose: run with --long"))


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["ACTORRT_RUNTIME_DIR"], ignore_errors=True)
