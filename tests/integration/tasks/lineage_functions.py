"""Task functions that note how often they have begun, in a file: for tests in which results are lost."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import actorrt as art

LENGTH = 20_000
"""The length of arrays, of eight bytes each: they lie in the store."""


def note(folder: str, name: str) -> None:
    fd = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"x")
    os.close(fd)


def counts(folder: Path) -> dict[str, int]:
    """Return how often each task has begun."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@art.task
def full(folder: str, name: str, value: float, length: int = LENGTH) -> np.ndarray[Any, Any]:
    note(folder, name)
    return np.full(length, value)


@art.task
def added(folder: str, name: str, *parts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    note(folder, name)
    return np.sum(parts, axis=0)


@art.task
def slow(folder: str, name: str, gate: str, value: float) -> np.ndarray[Any, Any]:
    """Wait until a file exists, at the first run."""
    note(folder, name)
    while not Path(gate).exists():
        time.sleep(0.001)  # the work of the task, until the test lets it end
    return np.full(LENGTH, value)


@art.task
def delegated(folder: str, name: str, gate: str, value: float) -> Any:
    """Return the ref of another task, which this worker has submitted, and note the process of the worker."""
    note(folder, name)
    (Path(folder) / f"pid-{os.getpid()}").touch()
    return slow.submit(folder, f"{name}-inner", gate, value)


@art.task
def first(array: np.ndarray[Any, Any]) -> float:
    return float(array[0])


class Warehouse(art.Actor):
    """Puts arrays into the store of its node."""

    def put(self, length: int, value: float) -> list[Any]:
        return [art.put(np.full(length, value))]


class Submitting(art.Actor):
    """Submits tasks, so that it is what makes their results again."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def submit(self, folder: str) -> list[Any]:
        ref = full.submit(folder, "a", 4)
        await art.wait([ref])
        return [ref]

    async def fill(self) -> None:
        """Put more than the store has memory for."""
        self.kept = [await art.put_async(np.zeros(1 << 20, np.uint8)) for _ in range(80)]


@art.task
async def fetched(folder: str, name: str, warehouses: list[Any], value: float) -> Any:
    """Return the ref of an array of the first warehouse that answers: the array lies on its node."""
    note(folder, name)
    for warehouse in warehouses:
        try:
            return (await warehouse.put.options(timeout_s=5)(LENGTH, value))[0]
        except art.CallError:
            continue
    raise RuntimeError("no warehouse answers")
