"""Task functions of the tests, which workers import."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

import actorrt as art


@art.task
def add(one: Any, two: Any) -> Any:
    return one + two


@art.task
def double(number: int) -> int:
    return 2 * number


@art.task
async def add_slowly(one: int, two: int, seconds: float = 0.01) -> int:
    await asyncio.sleep(seconds)
    return one + two


@art.task
def fail(text: str) -> None:
    raise ValueError(text)


@art.task
def own_pid() -> int:
    return os.getpid()


@art.task
def ones(length: int) -> np.ndarray[Any, Any]:
    return np.ones(length)


@art.task
def total(array: np.ndarray[Any, Any]) -> float:
    return float(array.sum())


@art.task
def fibonacci(number: int) -> int:
    if number < 2:
        return number
    before, last = fibonacci.submit(number - 2), fibonacci.submit(number - 1)
    return before.get() + last.get()


@art.task
async def fibonacci_awaited(number: int) -> int:
    if number < 2:
        return number
    before, last = fibonacci_awaited.submit(number - 2), fibonacci_awaited.submit(number - 1)
    return await before + await last


@art.task
def chain(depth: int) -> int:
    return 0 if depth == 0 else chain.submit(depth - 1).get() + 1


@art.task
async def chain_awaited(depth: int) -> int:
    return 0 if depth == 0 else await chain_awaited.submit(depth - 1) + 1


@art.task
def pids_one_by_one(count: int) -> list[int]:
    """Return the pids of this task and of its children."""
    refs = own_pid.submit_many([()] * count)
    return [os.getpid(), *[ref.get() for ref in refs]]


@art.task
def pids_gathered(count: int) -> list[int]:
    return [os.getpid(), *art.gather(*[own_pid.submit() for _ in range(count)]).result()]


@art.task
async def pids_awaited(count: int) -> list[int]:
    return [os.getpid(), *await art.gather(*[own_pid.submit() for _ in range(count)])]


@art.task
def slow_pid(seconds: float) -> int:
    time.sleep(seconds)  # the work of the task
    return os.getpid()


@art.task
def slow_pids(count: int, seconds: float) -> list[int]:
    """Return the pids of the children, for which plain code waits together."""
    return list(art.gather(*[slow_pid.submit(seconds) for _ in range(count)]).result())


@art.task
def delegate(count: int) -> Any:
    """Return a ref, which is followed: the worker is free meanwhile."""
    return 0 if count == 0 else delegate.submit(count - 1)


@art.task
def boxed(value: Any) -> list[Any]:
    return [art.put(value)]


@art.task
def opened(box: list[Any]) -> Any:
    return box[0].get()


@art.task(retries=3)
def die_until(path: str, count: int) -> int:
    """End the worker at the first `count` attempts; return the number of the attempt that succeeds."""
    noted = Path(path)
    attempts = len(noted.read_text()) if noted.exists() else 0
    noted.write_text("x" * (attempts + 1))
    if attempts < count:
        os.kill(os.getpid(), signal.SIGKILL)
    current = art.current_task()
    assert current is not None
    return current.attempt


@art.task(retries=2, retry_on=OSError)
def raise_until(path: str, count: int) -> str:
    noted = Path(path)
    attempts = len(noted.read_text()) if noted.exists() else 0
    noted.write_text("x" * (attempts + 1))
    if attempts < count:
        raise OSError(f"attempt {attempts + 1}")
    return noted.read_text()


@art.task
def sleep(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)  # the work of the task: it takes time and no CPU
    return value


@art.task
def note_when_begun(path: str, seconds: float) -> None:
    Path(path).write_text("begun")
    time.sleep(seconds)  # the work of the task, which a cancel does not interrupt


@art.task
async def note_when_cancelled(path: str) -> None:
    Path(path).write_text("begun")
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        Path(path).write_text("cancelled")
        raise


@art.task
def identity(value: Any) -> Any:
    return value


@art.task
async def with_a_child(path: str) -> None:
    """Wait for a child, which notes when it is cancelled."""
    await note_when_cancelled.submit(path)


@art.task(max_calls=3)
def short_lived_pid() -> int:
    return os.getpid()


@art.task(max_calls=1)
async def used_once_pid() -> int:
    await asyncio.sleep(0.001)
    return os.getpid()


@art.task(memory_bytes=32 << 20, retries=1)
def use_memory(size_bytes: int, attempts: Path) -> int:
    """Use memory, and note the attempt; wait for the end that follows."""
    with attempts.open("a") as file:
        file.write("x")
    used = np.ones(size_bytes, np.uint8)
    if size_bytes > 32 << 20:
        time.sleep(60)  # until the worker is ended for its memory
    return int(used[-1])


@art.task
async def gather_sum(count: int) -> int:
    return sum(await art.gather(*[add.submit(number, 0) for number in range(count)]))


@art.task
async def pid_after(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@art.task
def add_on_a_loop_of_its_own() -> int:
    async def add_here() -> int:
        return await add.submit(1, 1)

    return asyncio.run(add_here())


@art.task
def compute_for_ever(path: str) -> None:
    """Note the process, and compute without an end."""
    Path(path).write_text(str(os.getpid()))
    while True:
        pass


@art.task
def sleep_for_ever(path: str) -> None:
    """Note the process, and wait in C without an end."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(1_000)  # as a foreign library would


@art.task(cpus=0)
async def refuse_to_end(path: str) -> None:
    """Note the process, and go on however often it is cancelled."""
    Path(path).write_text(str(os.getpid()))
    while True:
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            pass


@art.task(cpus=0)
async def attempt_after(path: str, seconds: float) -> int:
    """Note the attempt, wait, and return its number."""
    with Path(path).open("a") as file:
        file.write("x")
    await asyncio.sleep(seconds)
    current = art.current_task()
    assert current is not None
    return current.attempt


@art.task
def wait_for_a_child(path: str) -> None:
    note_when_cancelled.submit(path).get()


@art.task
def compute_beside_a_child(path: str, child_path: str) -> None:
    """Submit a child that notes when it is cancelled, and compute without an end when it has begun."""
    child = note_when_cancelled.submit(child_path)
    while not Path(child_path).exists():
        art.wait([child], timeout_s=0.01).result()
    Path(path).write_text(str(os.getpid()))
    while True:
        pass


@art.task
def cancel_in_a_box(box: list[art.ObjectRef[Any]], force: bool = False) -> list[bool]:
    """Cancel tasks of another process, in plain code."""
    return [bool(ref.cancel(force).result()) for ref in box]


@art.task
async def pass_on(box: list[art.ObjectRef[Any]]) -> list[bool]:
    return list(await cancel_in_a_box.submit(box))


@art.task
def follow_a_child(path: str) -> Any:
    return note_when_cancelled.submit(path)


@art.task(retries=1, retry_on=OSError)
def leave_a_child(path: str) -> int:
    """Submit a child that waits, and raise; the second attempt returns when the child was cancelled."""
    current = art.current_task()
    assert current is not None
    if current.attempt == 1:
        child = note_when_cancelled.submit(path)
        while not Path(path).exists():
            art.wait([child], timeout_s=0.01).result()
        raise OSError("the first attempt fails")
    while Path(path).read_text() != "cancelled":
        time.sleep(0.01)  # the child is in another worker: its loop runs
    return current.attempt


@art.task
def die_beside_a_child(path: str) -> int:
    """Submit a child that waits, and end the process; the second attempt returns when the child was cancelled."""
    current = art.current_task()
    assert current is not None
    if current.attempt == 1:
        child = note_when_cancelled.submit(path)
        while not Path(path).exists():
            art.wait([child], timeout_s=0.01).result()
        os.kill(os.getpid(), signal.SIGKILL)
    while Path(path).read_text() != "cancelled":
        time.sleep(0.01)
    return current.attempt


@art.task
def return_beside_a_child(path: str, goes_on: str) -> None:
    """Submit a child that waits, and compute until a file is there."""
    child = note_when_cancelled.submit(path)
    while not Path(path).exists():
        art.wait([child], timeout_s=0.01).result()
    while not Path(goes_on).exists():
        pass


@art.task
def get_within(seconds: float, timeout_s: float) -> float | str:
    """Wait for a task that takes so many seconds, with a timeout. Return how long that took if it timed out."""
    ref = sleep.submit(seconds, "value")
    begun_at = time.monotonic()
    try:
        return str(ref.get(timeout_s))
    except art.CallTimeoutError:
        return time.monotonic() - begun_at


@art.task(cpus=0)
def wait_in_a_light_task() -> int:
    return int(add_slowly.options(cpus=0).submit(1, 2).get())


@art.task(cpus=0)
async def await_in_a_light_task() -> int:
    return int(await add_slowly.options(cpus=0).submit(1, 2))


@art.task
def total_of(*numbers: int) -> int:
    return sum(numbers)


@art.task
def leave_a_waiting_child(box: list[art.ObjectRef[Any]], seconds: float) -> list[art.ObjectRef[Any]]:
    """Take long enough that others need workers of their own; the child waits for what is in the box."""
    time.sleep(seconds)
    return [identity.submit(box[0])]


@art.task
def follow_a_waiting_child(box: list[art.ObjectRef[Any]], seconds: float) -> Any:
    time.sleep(seconds)
    return identity.submit(box[0])


@art.task
async def pids_of_long_children(count: int, seconds: float) -> list[int]:
    """Return the own pid, and those of children that are submitted while a worker is lent for them."""
    first = slow_pid.submit(seconds)
    while not first.done():
        await asyncio.sleep(0.001)  # nobody waits for it, so it runs in another worker
    return [os.getpid(), *await art.gather(*[slow_pid.submit(seconds) for _ in range(count)])]
