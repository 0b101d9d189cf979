"""Results that are lost with a disk, with a worker or with a node are made again, once, and only what is missing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.tasks.submitting.task_ref import TaskRef
from tests.integration.tasks.lineage_functions import (
    Submitting,
    Warehouse,
    added,
    counts,
    delegated,
    fetched,
    first,
    full,
)
from tests.integration.test_two_nodes import keeper_on, nodes
from tests.running import Node, wait_until

MIB = 1 << 20
STORE_BYTES = 64 * MIB


def tear_spill_files(pid: int, folder: Path) -> int:
    """Overwrite what a node has moved to disk, as a disk that fails; return how many files there are."""
    torn = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            is_spilled = os.readlink(fd).startswith(str(folder))
        except FileNotFoundError:
            continue
        if is_spilled:
            with open(fd, "r+b", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                os.pwrite(file.fileno(), bytes(size), 0)
            torn += 1
    return torn


@asynccontextmanager
async def spilling_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Node, Path]]:
    """Run a node with a small store, to which this process is connected; yield it, and the folder of its disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv("ACTORRT_SPILL_DIR", str(disk))
    node = Node("--cpus=2", f"--store-bytes={STORE_BYTES}")
    try:
        async with art.Runtime(node.url):
            yield node, disk
    finally:
        node.end()


async def spill_all(*refs: TaskRef[Any]) -> None:
    """Fill the store with objects that are smaller than the results, until all these are on disk."""
    store, ids = refs[0].submitter.store(), {ref.id[:4] for ref in refs}
    fillers = []
    while True:
        listed = store.list_objects(len(refs))
        if {bytes(one[0]) for one in listed if one[2] == "spilled"} == ids:
            return
        fillers.append(await art.put_async(np.zeros(100_000, np.uint8)))


async def made(*refs: TaskRef[Any]) -> None:
    await art.wait(refs, count=len(refs))


async def test_results_on_a_disk_that_is_lost_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    folder = str(runs)
    async with spilling_node(tmp_path, monkeypatch) as (node, disk):
        top = full.submit(folder, "top", 1)
        left, right = added.submit(folder, "left", top), added.submit(folder, "right", top, top)
        bottom = added.submit(folder, "bottom", left, right)
        await made(top, left, right, bottom)
        await spill_all(top, left, right, bottom)
        assert tear_spill_files(node.pid, disk) > 0
        assert await first.submit(bottom) == 3
        assert counts(runs) == {"top": 2, "left": 2, "right": 2, "bottom": 2}
        assert [float(np.max(value)) for value in await art.gather(top, left, right, bottom)] == [1, 1, 2, 3]
        assert counts(runs) == {"top": 2, "left": 2, "right": 2, "bottom": 2}


async def test_a_result_that_only_a_dead_worker_could_give_is_made_again(tmp_path: Path) -> None:
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    runs.mkdir()
    async with art.Runtime(cpus=2):
        ref = delegated.submit(str(runs), "outer", str(gate), 5)
        await asyncio.to_thread(wait_until, lambda: "outer-inner" in counts(runs), "the inner task has begun")
        (pid,) = [int(name.removeprefix("pid-")) for name in counts(runs) if name.startswith("pid-")]
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: counts(runs)["outer"] == 2, "the outer task has run again")
        gate.touch()
        assert (await ref)[0] == 5
        assert (counts(runs)["outer"], counts(runs)["outer-inner"]) == (2, 2)


async def start_warehouse(node: Node) -> None:
    async with art.Runtime(node.url):
        await Warehouse.options(name="keeper", detached=True).spawn()


async def test_results_that_lay_on_a_node_that_is_lost_are_made_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    with nodes(3) as (here, second, third):
        for node in (second, third):
            await start_warehouse(node)
        async with art.Runtime(here.url):
            warehouses = [await keeper_on(node.descriptor) for node in (second, third)]
            one = fetched.submit(str(runs), "one", warehouses, 1)
            two = added.submit(str(runs), "two", one, one)
            kept = fetched.submit(str(runs), "kept", warehouses[1:], 7)
            await made(one, two, kept)
            fillers = [await art.put_async(np.zeros(MIB, np.uint8)) for _ in range(130)]  # copies are evicted for them
            assert art.store_stats()["evictions_count"] >= 2
            second.end(signal.SIGKILL)
            total = added.submit(str(runs), "total", one, two, kept)
            assert (await total)[0] == 10
            assert counts(runs) == {"one": 2, "two": 1, "kept": 1, "total": 1}
            assert (await one)[0] == 1
            del fillers


async def test_a_result_of_a_node_that_is_lost_with_its_submitter_says_so(tmp_path: Path) -> None:
    with nodes(2) as (here, there):
        async with art.Runtime(there.url):
            await Submitting.options(name="keeper", detached=True).spawn()
        async with art.Runtime(here.url):
            keeper = await keeper_on(there.descriptor)
            (ref,) = await keeper.submit(str(tmp_path))
            there.end(signal.SIGKILL)
            with pytest.raises(art.ObjectLostError):
                await first.submit(ref)


async def test_a_result_of_another_nodes_task_is_made_again_there_when_its_disk_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    async with spilling_node(tmp_path, monkeypatch) as (there, disk):
        submitting = await Submitting.options(name="keeper", detached=True).spawn()
        (ref,) = await submitting.submit(str(runs))
        await art.wait([ref])
        await submitting.fill()
        tear_spill_files(there.pid, disk)
        assert (await ref)[0] == 4
        assert counts(runs) == {"a": 2}
