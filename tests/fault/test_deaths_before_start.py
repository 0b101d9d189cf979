"""Deaths of processes before their actor has started."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

import actorrt as art
from actorrt.protocol.authorities import CheckInvariants
from tests.running import is_running, wait_until


async def test_process_that_dies_while_it_starts_is_a_start_error_with_the_reason(node_runtime):
    class Stillborn(art.Actor):
        def __init__(self):
            print("not today", flush=True)
            os._exit(9)

    with pytest.raises(art.ActorStartError) as caught:
        await Stillborn.options(isolation="process").spawn()
    assert caught.value.reason.exit_status == 9
    assert "not today" in str(caught.value)


async def test_withdrawn_spawn_kills_a_process_whose_constructor_blocks(node_runtime, tmp_path):
    class Blocked(art.Actor):
        def __init__(self, begun):
            Path(begun).write_text(str(os.getpid()))
            signal.pause()

    begun = tmp_path / "begun"
    spawning = Blocked.options(isolation="process", name="blocked").spawn(str(begun))
    while not begun.exists() or not begun.read_text():
        await asyncio.sleep(0.001)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(spawning, 0.001)
    while (await node_runtime.status())["actors"]:
        await asyncio.sleep(0.001)
    wait_until(lambda: not is_running(int(begun.read_text())), "the end of its process")
    await node_runtime.endpoint.control.request(node_runtime.endpoint.node, CheckInvariants())


async def test_light_spawn_whose_shared_worker_dies_before_it_has_read_the_order_starts_in_another_worker(node_runtime):
    class Light(art.Actor):
        def pid(self):
            return os.getpid()

    class Deadly(art.Actor):
        def __init__(self):
            os._exit(9)

    await art.gather(*[Light.spawn() for _ in range(4)])
    workers = {row["pid"] for row in (await node_runtime.status())["workers"] if row["kind"] == "shared"}
    assert len(workers) == 4  # as many as the node has CPUs
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    spawns = [Light.spawn() for _ in range(4)]
    while (await node_runtime.status())["totals"]["actors"] < 8:
        await asyncio.sleep(0.001)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    pids = await art.gather(*[(await spawn).pid() for spawn in spawns])
    assert not set(pids) & workers
    with pytest.raises(art.ActorStartError, match="exit status 9"):  # a begun order is not given to another worker
        await Deadly.spawn()
    await node_runtime.endpoint.control.request(node_runtime.endpoint.node, CheckInvariants())
