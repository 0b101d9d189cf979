"""What holds for all tests: nothing is left behind, long ones run only when asked, runtime files in a place apart."""

from __future__ import annotations

import asyncio
import asyncio.runners
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from actorrt.testing.leaks import MARK, Footprint

LEFT_TIMEOUT_S = 2.0
LONG = ("soak", "learning_long")

# Before anything starts, so that every descendant carries it. The directory's name is short: a socket's path must be.
os.environ[MARK] = uuid.uuid4().hex
os.environ["ACTORRT_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="art-")

_tasks_left: list[str] = []
_cancel_all_tasks = asyncio.runners._cancel_all_tasks


def _note_tasks_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
    """Note the tasks that live when a loop is closed: its runner cancels them, and nobody would know."""
    tasks = asyncio.all_tasks(loop)
    if tasks:
        _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=LEFT_TIMEOUT_S))
        _tasks_left.extend(f"task {task.get_name()!r}: {task.get_coro()}" for task in left)
    _cancel_all_tasks(loop)


asyncio.runners._cancel_all_tasks = _note_tasks_and_cancel


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a task, thread, process, descriptor, shared memory or file."""
    _tasks_left.clear()
    runtime_directory = Path(os.environ["ACTORRT_RUNTIME_DIR"])
    before = Footprint([runtime_directory], os.environ[MARK])
    yield
    left = [*_tasks_left, *map(str, before.wait_until_gone(LEFT_TIMEOUT_S))]
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes on purpose, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in LONG):
            item.add_marker(pytest.mark.skip(reason="takes minutes on purpose: run with --long"))


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["ACTORRT_RUNTIME_DIR"], ignore_errors=True)
