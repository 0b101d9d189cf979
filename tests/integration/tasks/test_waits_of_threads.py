"""Threads that the code of tasks has started: they wait as long as the loop may run, and never for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import actorrt as art
from tests.integration.tasks import functions as f

REFUSED = r"this thread waits for it, and the main thread waits for this thread"


def in_thread() -> int:
    """Wait for a task in a thread of its own, and join it."""
    values: list[Any] = []

    def wait() -> None:
        try:
            values.append(f.add_slowly.submit(1, 2).get())
        except art.RuntimeStateError as error:
            values.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    if isinstance(values[0], Exception):
        raise values[0]
    return int(values[0])


def over_two_threads() -> int:
    """Join a thread that joins the thread that waits."""
    with ThreadPoolExecutor(1) as outer:
        return outer.submit(in_thread).result()


def in_executor() -> int:
    with ThreadPoolExecutor(2) as pool:
        return pool.submit(lambda: f.add_slowly.submit(1, 2).get()).result()


def in_map() -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda number: int(f.add_slowly.submit(number, 2).get()), range(3)))


JOINING = pytest.mark.parametrize("wait", [in_thread, over_two_threads, in_executor, in_map], ids=lambda f: f.__name__)


@art.task
def call(function: Callable[[], int]) -> int:
    return function()


@art.task
def wait_beside_a_thread() -> list[int]:
    """Wait in a thread, and in the task's own code meanwhile; then join the thread."""
    values: list[int] = []
    thread = threading.Thread(target=lambda: values.append(f.add_slowly.submit(1, 2, 0.3).get()))
    thread.start()
    f.add_slowly.submit(0, 0, 1.0).get()
    thread.join()
    return values


@JOINING
async def test_a_thread_that_plain_code_of_a_task_joins_is_refused_its_wait(wait: Callable[[], int]) -> None:
    async with art.Runtime(cpus=2):
        with pytest.raises(art.RuntimeStateError, match=REFUSED):
            await call.submit(wait)
        assert await f.add.submit(1, 2) == 3


@JOINING
def test_a_thread_that_a_script_in_local_mode_joins_is_refused_its_wait(wait: Callable[[], int]) -> None:
    art.init(mode="local")
    try:
        with pytest.raises(art.RuntimeStateError, match=REFUSED):
            wait()
        assert f.add.submit(1, 2).get() == 3
    finally:
        art.shutdown()


async def test_a_thread_is_answered_while_the_code_that_has_started_it_waits_itself() -> None:
    async with art.Runtime(cpus=2):
        assert await wait_beside_a_thread.submit() == [3]


def test_a_script_joins_a_thread_that_waits_for_a_task_of_a_node() -> None:
    art.init(cpus=1)
    try:
        assert in_thread() == 3
    finally:
        art.shutdown()
