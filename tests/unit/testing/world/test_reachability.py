"""A store that deletes what is reachable, or keeps what is not, is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.pool import Pool
from actorrt.store.server.retention import Retention
from actorrt.store.table.objects import ObjectEntry
from actorrt.store.table.table import ObjectTable
from actorrt.testing import BrokenPromiseError, World


class Reader(art.Actor):
    def __init__(self, start: Any = 0.0) -> None:
        self.sum = float(np.sum(start))

    async def add_later(self, refs: list[art.ObjectRef[Any]]) -> float:
        await asyncio.sleep(20)
        self.sum += float(np.sum(await refs[0]))
        return self.sum

    def add(self, values: Any) -> float:
        self.sum += float(np.sum(values))
        return self.sum

    def ones(self, count: int) -> Any:
        return np.ones(count)

    async def busy(self) -> None:
        await asyncio.sleep(1_000)

    def snapshot(self) -> Any:
        return np.full(10_000, self.sum)

    def restore(self, state: Any) -> None:
        self.sum = float(state[0])


async def use_the_store(world: World) -> None:
    """Make, send, keep, publish and drop objects in all ways, and a worker that dies with a message unopened."""
    reader = await Reader.options(isolation="process").spawn()
    kept = await art.put_async(np.ones(10_000))
    assert await reader.add_later([await art.put_async(np.ones(10_000))]) == 10_000.0
    assert await reader.add(kept) == 20_000.0
    assert await reader.add(await reader.ones(10_000)) == 30_000.0
    art.publish("ones", np.ones(10_000))
    del kept
    reader.busy.tell()
    reader.add.tell(await art.put_async(np.ones(10_000)))
    await asyncio.sleep(1)
    world.kill(reader)
    await asyncio.sleep(60)


async def restart_with_a_large_argument(world: World) -> None:
    ones = await art.put_async(np.ones(10_000))
    reader = await Reader.options(isolation="process", restart="permanent", snapshot_every=1).spawn(ones)
    del ones
    await reader.add(1.0)
    await asyncio.sleep(20)
    world.kill(reader)
    await asyncio.sleep(40)
    assert await reader.add(1.0) == 10_002.0


def ignore_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ObjectEntry, "is_referred_to", lambda entry: bool(entry.pins or entry.transits or entry.containers_count)
    )


def ignore_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ObjectEntry, "is_referred_to", lambda entry: bool(entry.holds or entry.pins or entry.containers_count)
    )


def keep_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectTable, "release", lambda *_: None)


def keep_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoreClient, "settle", lambda *_: None)


def keep_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "free", lambda *_: None)


def hold_nothing_for_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Retention.hold

    def hold_briefly(retention: Retention, object_ids: Any, tokens: Any) -> None:
        hold(retention, object_ids, tokens)
        retention.release(object_ids)

    monkeypatch.setattr(Retention, "hold", hold_briefly)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (ignore_holds, r"the store deletes object \w+, sealed, and [\w/-]+ has a ref to it"),
        (ignore_messages, r"a ref to object \w+ arrives, which was deleted while it was under way"),
        (keep_holds, r"object \w+ is not reachable, and stays in the store"),
        (keep_messages, r"object \w+ is not reachable, and stays in the store"),
        (keep_bytes, r"\d+ bytes of the store are in use, and its objects have \d+"),
    ],
)
def test_broken_promise_of_the_store_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    world = World(1)
    with pytest.raises(BrokenPromiseError, match=says):
        world.run(use_the_store, world)


def test_deleted_spec_or_snapshot_of_an_actor_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_nothing_for_specs(monkeypatch)
    world = World(1)
    with pytest.raises(BrokenPromiseError, match=r"object \w+ of Reader-\w+ is not in the store"):
        world.run(restart_with_a_large_argument, world)


@pytest.mark.parametrize("main", [use_the_store, restart_with_a_large_argument])
def test_a_right_store_breaks_nothing(main: Any) -> None:
    world = World(1)
    world.run(main, world)
