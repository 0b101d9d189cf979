"""Processes that die before their actor has started."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

import actorrt as art
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
    await node_runtime.system.control.request(node_runtime.system.node, "check_invariants", {})
