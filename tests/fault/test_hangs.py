"""Processes that hang are replaced after their limit, with the blocking stack; without a limit there is a warning."""

from __future__ import annotations

import os
import signal
import time

import pytest

import actorrt as art
from tests.running import Node, wait_until


class Hanging(art.Actor):
    def block(self, seconds):
        time.sleep(seconds)  # the fault that is tested: a method that blocks its loop
        return "late"

    def spin(self):
        while True:
            pass

    def pid(self):
        return os.getpid()


async def spawned(hang_timeout_s=0.4):
    hanging = await Hanging.options(hang_timeout_s=hang_timeout_s, restart="permanent").spawn()
    return hanging, await hanging.pid()


@pytest.mark.parametrize(("method", "args", "silence"), [("block", (60,), "blocked"), ("spin", (), "busy")])
async def test_process_with_a_blocked_loop_is_replaced_after_the_limit_and_its_stack_reported(
    node_runtime, method, args, silence
):
    hanging, pid = await spawned()
    exit = art.monitor(hanging, restarts=True)
    with pytest.raises(art.ActorUnavailableError):
        await getattr(hanging, method)(*args)
    reason = (await exit).reason
    assert reason.kind is art.ExitKind.CRASHED
    assert f"({silence}), and was replaced" in reason.detail
    assert f"in {method}" in reason.traceback
    assert await hanging.pid() != pid


async def test_stopped_process_is_replaced_after_the_limit(node_runtime):
    hanging, pid = await spawned()
    exit = art.monitor(hanging, restarts=True)
    os.kill(pid, signal.SIGSTOP)
    assert "(stopped), and was replaced" in (await exit).reason.detail
    assert await hanging.pid() != pid


async def test_late_reply_of_a_replaced_incarnation_is_ignored(node_runtime):
    hanging, pid = await spawned()
    call = hanging.block(0.1)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(art.ActorUnavailableError):
        await call
    assert await hanging.pid() != pid


def test_silence_without_a_limit_causes_a_warning_with_its_cause(capfd):
    node = Node("--cpus=2")
    art.init(address=node.url)
    try:
        blocked = Hanging.options(isolation="process", name="blocked").spawn().result(10)
        stopped = Hanging.options(isolation="process", name="stopped").spawn().result(10)
        pid = stopped.pid().result(10)
        call = blocked.block(6)
        os.kill(pid, signal.SIGSTOP)
        seen = []

        def warned():
            seen.append("".join(capfd.readouterr()))
            text = "".join(seen)
            return "stopped by a signal" in text and "its loop is blocked" in text and "in block" in text

        wait_until(warned, "both warnings, and the stack", within_s=12)
        os.kill(pid, signal.SIGCONT)
        assert call.result(10) == "late"
    finally:
        art.shutdown()
        assert node.end() == 0
