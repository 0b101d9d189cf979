"""Object refs between two nodes of one machine: they work as on one node, and hold their objects."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.ids import IdSource, PeerAddress, PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.boot import TCP_INSIDE
from actorrt.node.daemon.node_directory import NodeDescriptor, find_nodes
from actorrt.protocol.nodes import LookUp
from actorrt.store.client.client import StoreClient
from tests.running import Node, wait_until

pytestmark = pytest.mark.skipif(TCP_INSIDE in os.environ, reason="these nodes have Unix sockets alone")

LARGE = 3 << 20


class Keeper(art.Actor):
    """Keeps refs and values, and passes them on."""

    def __init__(self) -> None:
        self.kept: Any = None
        self.is_open = asyncio.Event()

    def total(self, array: np.ndarray) -> int:
        return int(array.sum())

    async def total_of(self, refs: list[Any]) -> int:
        return sum([int((await ref).sum()) for ref in refs])

    async def total_inside(self, ref: list[Any]) -> int:
        outer = await ref[0]
        return int((await outer["inner"]).sum()) + len(outer["name"])

    def keep(self, kept: Any) -> None:
        self.kept = kept

    def drop(self) -> None:
        self.kept = None

    async def read_kept(self) -> int:
        return int((await self.kept[0]).sum())

    def make(self, count: int) -> np.ndarray:
        return np.ones(count, np.uint8)

    async def make_slowly(self, count: int) -> np.ndarray:
        await self.is_open.wait()
        return np.ones(count, np.uint8)

    def open(self) -> None:
        self.is_open.set()

    def kept_refs(self) -> Any:
        return self.kept

    def put(self, count: int) -> list[Any]:
        return [art.put(np.ones(count, np.uint8))]

    async def pass_on(self, other: Any) -> None:
        await other.keep(self.kept)


@contextmanager
def nodes(count: int) -> Iterator[list[Node]]:
    started = [Node("--cpus=1", "--store-bytes=134217728") for _ in range(count)]
    try:
        yield started
    finally:
        for node in started:
            node.end()
        find_nodes()  # removes the files of killed nodes


async def keeper_on(node: NodeDescriptor) -> art.ActorRef[Keeper]:
    """Return a keeper on a node that this process is not connected to."""
    endpoint = current_endpoint()
    authority = PeerAddress(PeerId(bytes.fromhex(node.peer)), node.address)
    asked = LookUp(namespace="default", name="keeper", timeout_s=0.0)
    return endpoint.refs.from_card(await endpoint.control.request(authority, asked), authority)


async def start_keeper(node: Node) -> None:
    async with art.Runtime(node.url):
        await Keeper.options(name="keeper", detached=True, max_concurrency=2).spawn()


@asynccontextmanager
async def here_and_there() -> AsyncIterator[tuple[Node, Node, art.ActorRef[Keeper]]]:
    """Run two nodes: this process is connected to the first, and the second has a keeper."""
    with nodes(2) as (here, there):
        await start_keeper(there)
        async with art.Runtime(here.url):
            yield here, there, await keeper_on(there.descriptor)


async def until_store(node: Node, is_true: Callable[[StoreClient], bool], what: str) -> None:
    client = StoreClient.connect(node.descriptor.store, IdSource().peer(), Surroundings.of_process())
    try:
        await asyncio.to_thread(wait_until, lambda: is_true(client), f"{what} at {node.url}")
    finally:
        client.close()


async def until_objects(node: Node, count: int) -> None:
    """Wait until the store of a node has `count` objects."""
    await until_store(node, lambda store: store.stats()["objects_count"] == count, f"{count} objects")


async def until_held(node: Node, by: list[Node]) -> None:
    """Wait until exactly the nodes `by` hold the only object of a node."""
    holders = sorted(f"node {other.descriptor.peer[:8]}" for other in by)
    await until_store(node, lambda store: [sorted(o[3]) for o in store.list_objects(2)] == [holders], f"{holders}")


async def test_refs_and_large_values_are_read_on_another_node_and_released_on_both_nodes():
    async with here_and_there() as (here, there, keeper):
        ref = art.put(np.ones(LARGE, np.uint8))
        assert await keeper.total(ref) == LARGE
        assert await keeper.total_of([ref, art.put(np.ones(5, np.uint8)), ref]) == 2 * LARGE + 5
        assert await keeper.total(np.ones(LARGE, np.uint8)) == LARGE
        assert await keeper.total(await ref) == LARGE, "an array of the store is sent by reference"
        del ref
        await until_objects(there, 0)
        await until_objects(here, 0)


async def test_ref_inside_an_object_is_resolved_on_another_node():
    async with here_and_there() as (here, there, keeper):
        inner = art.put(np.ones(LARGE, np.uint8))
        outer = art.put({"inner": inner, "name": "abc"})
        del inner
        assert await keeper.total_inside([outer]) == LARGE + 3
        del outer
        await until_objects(there, 0)
        await until_objects(here, 0)


async def test_results_arrive_from_another_node_and_refs_to_results_there_can_be_passed_on():
    async with here_and_there() as (here, there, keeper):
        assert (await keeper.make(LARGE)).sum() == LARGE
        assert (await (await keeper.put(LARGE))[0]).sum() == LARGE
        local = await Keeper.spawn()
        ref = keeper.make_slowly.options(returns="ref")(LARGE)
        total = local.total(ref)  # the call waits in its mailbox, in a third process
        assert not ref.done()
        await keeper.open()
        assert await total == LARGE
        assert (await ref).sum() == LARGE
        del ref, total
        await until_objects(there, 0)
        await until_objects(here, 0)


async def test_object_lives_while_a_process_on_another_node_holds_it():
    async with here_and_there() as (here, _, keeper):
        ref = art.put(np.ones(LARGE, np.uint8))
        await keeper.keep([ref])
        del ref
        assert await keeper.read_kept() == LARGE
        await keeper.drop()
        await until_objects(here, 0)


async def test_objects_held_by_a_node_are_released_when_the_node_dies():
    async with here_and_there() as (here, there, keeper):
        ref = art.put(np.ones(LARGE, np.uint8))
        await keeper.keep([ref])
        del ref
        await until_objects(here, 1)
        there.end(signal.SIGKILL)
        await until_objects(here, 0)


async def test_objects_made_by_a_node_are_lost_at_once_when_it_dies_unless_copied():
    with nodes(2) as (here, there):
        await start_keeper(there)
        async with art.Runtime(here.url):
            keeper = await keeper_on(there.descriptor)
            copied, unread = art.put(np.ones(LARGE, np.uint8)), art.put(np.ones(LARGE, np.uint8))
            await keeper.keep([copied, unread])
            assert await keeper.read_kept() == LARGE
        here.end(signal.SIGKILL)
        async with art.Runtime(there.url):
            keeper = await art.lookup("keeper")
            began = time.monotonic()
            with pytest.raises(art.ObjectLostError):
                await keeper.total_of([(await keeper.kept_refs())[1]])
            assert time.monotonic() - began < 3.0
            assert await keeper.read_kept() == LARGE


async def test_ref_passed_on_by_a_node_that_dies_still_holds_its_object_at_the_origin():
    with nodes(3) as (here, between, beyond):
        for node in (between, beyond):
            await start_keeper(node)
        async with art.Runtime(here.url):
            near, far = await keeper_on(between.descriptor), await keeper_on(beyond.descriptor)
            ref = art.put(np.ones(LARGE, np.uint8))
            await near.keep([ref])
            del ref
            await near.pass_on(far)
            await until_held(here, by=[between, beyond])
            between.end(signal.SIGKILL)
            await until_held(here, by=[beyond])
            assert await far.read_kept() == LARGE
            await far.drop()
            await until_objects(here, 0)
