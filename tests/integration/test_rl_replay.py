"""The replay service as an actor: simulators and learners pace each other, and snapshots outlive the process."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

import actorrt as art
from actorrt import rl


def rows(*numbers: int) -> dict[str, np.ndarray]:
    return {"x": np.array(numbers), "image": np.repeat(np.array(numbers, np.uint8)[:, None], 50_000, axis=1)}


async def test_a_sample_waits_for_an_insert_and_an_insert_for_a_sample(runtime: art.Runtime) -> None:
    queue = rl.Table(name="q", max_size=2, sampler=rl.Fifo(), max_times_sampled=1, limiter=rl.Queue(2))
    replay = await rl.Replay.spawn(tables=[queue])
    early = replay.sample("q", 1)
    inserted = replay.insert(rows(1, 2, 3, 4))
    assert (await early).columns["x"].tolist() == [1]
    while (await replay.info())["q"]["waiting_inserts"] == 0:
        await asyncio.sleep(0.001)
    assert not inserted.done()
    taken = [await replay.sample("q", 1) for _ in range(3)]
    assert [int(sample.columns["image"][0, -1]) for sample in taken] == [2, 3, 4]
    assert (await inserted).tolist() == [0, 1, 2, 3]


async def test_a_sample_whose_deadline_passes_leaves_nothing_behind(runtime: art.Runtime) -> None:
    replay = await rl.Replay.spawn(tables=[rl.Table(name="t", max_size=10)])
    with pytest.raises(art.CallTimeoutError):
        await replay.sample.options(timeout_s=0.05)("t", 1)
    while (await replay.info())["t"]["waiting_samples"]:
        await asyncio.sleep(0.001)
    await replay.insert(rows(7))
    info = (await replay.info())["t"]
    assert (info["inserts"], info["samples"]) == (1, 0)


async def test_a_killed_service_continues_from_its_snapshot(node_runtime: art.Runtime) -> None:
    table = rl.Table(name="t", max_size=10, sampler=rl.Prioritised(1.0))
    options = {"isolation": "process", "restart": "permanent", "snapshot_every": 1}
    replay = await rl.Replay.options(**options).spawn(tables=[table])
    keys = await replay.insert(rows(1, 2, 3))
    await replay.update("t", keys, np.array([0.0, 5.0, 0.0]))
    (pid,) = [worker["pid"] for worker in (await node_runtime.status())["workers"] if worker["kind"] == "own"]
    os.kill(pid, signal.SIGKILL)
    sample = await replay.sample.options(retries=3)("t", 4)
    assert sample.columns["x"].tolist() == [2] * 4
    assert sample.keys.tolist() == [int(keys[1])] * 4


async def test_bad_rows_and_tables_are_refused_by_name(runtime: art.Runtime) -> None:
    replay = await rl.Replay.spawn(tables=[rl.Table(name="t", max_size=10)])
    with pytest.raises(ValueError, match="there is no table 'z'; there are t"):
        await replay.sample("z", 1)
    await replay.insert(rows(1))
    with pytest.raises(ValueError, match="rows have the columns"):
        await replay.insert({"x": np.arange(3)})
