"""Processes that say nothing: stopped, blocked or busy is told apart and in time, and nobody is taken for dead."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import actorrt as art
from tests.running import Node, wait_until

pytestmark = pytest.mark.alone

TOLD_WITHIN_S = 3.0
BUSY_S = 10.0


class Held(art.Actor):
    def block(self, seconds: float) -> str:
        time.sleep(seconds)  # the fault itself: a method that blocks its loop
        return "late"

    def hold_interpreter(self, seconds: float) -> str:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # keeps the interpreter's lock, unlike ctypes.CDLL
        return "later"

    def spin(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return "done"

    def pid(self) -> int:
        return os.getpid()


@contextmanager
def own_node() -> Iterator[Node]:
    """A node of a test's own, connected to; started inside the test, so that `capfd` has its output."""
    node = Node("--cpus=4")
    art.init(address=node.url)
    try:
        yield node
    finally:
        art.shutdown()
        assert node.end() == 0


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def test_stopped_process_is_told_within_three_seconds_beside_busy_ones_that_live_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []

    def said() -> str:
        seen.append("".join(capfd.readouterr()))
        return "".join(seen)

    with own_node():
        names = ("blocked", "holding", "stopped")
        spawns = [Held.options(isolation="process", name=name).spawn() for name in names]
        blocked, holding, stopped = actors = [spawn.result(10) for spawn in spawns]
        pid = stopped.pid().result(10)
        calls = [blocked.block(BUSY_S), holding.hold_interpreter(BUSY_S)]
        stop(pid)
        wait_until(lambda: "stopped by a signal" in said(), "the warning", within_s=TOLD_WITHIN_S)
        assert f"stopped (pid {pid}) is silent for" in said()
        waiting = stopped.pid()
        assert [call.result(BUSY_S + 5) for call in calls] == ["late", "later"]
        os.kill(pid, signal.SIGCONT)
        assert waiting.result(10) == pid
        assert [actor.is_alive().result(10) for actor in actors] == [True] * 3
        assert " ended: " not in said()
        assert "lost " not in said()


@pytest.mark.parametrize(
    ("method", "why"),
    [("pid", "is stopped by a signal; SIGCONT"), ("block", "is blocked, for"), ("spin", "computes, for")],
)
async def test_call_that_waits_long_for_a_silent_process_is_reported_with_the_cause(
    node_runtime: art.Runtime,
    caplog: pytest.LogCaptureFixture,
    method: str,
    why: str,
) -> None:
    node_runtime.endpoint.slow_calls.report_after_s = 0.8
    held = await Held.options(isolation="process", name=f"held-{method}").spawn()
    pid = await held.pid()
    if method == "pid":
        stop(pid)
        call = held.pid()
    else:
        call = getattr(held, method)(5.0)
    async with asyncio.timeout(10):
        while not any(f"held-{method}.{method}() has waited" in message for message in caplog.messages):
            await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGCONT)
    await call
    reports = [message for message in caplog.messages if "has waited" in message]
    assert [why in report and str(pid) in report for report in reports] == [True]


def test_stopped_node_is_told_within_three_seconds_and_calls_go_on(caplog: pytest.LogCaptureFixture) -> None:
    with own_node() as node:
        held = Held.spawn().result(10)
        pid = held.pid().result(10)
        stop(node.pid)
        spawn = Held.spawn()

        def is_told() -> bool:
            assert held.pid().result(10) == pid
            return any("the node has said nothing for" in message for message in caplog.messages)

        wait_until(is_told, "the warning", within_s=TOLD_WITHIN_S)
        os.kill(node.pid, signal.SIGCONT)
        assert spawn.result(10).pid().result(10)
        wait_until(lambda: "the node answers again" in caplog.messages, "its end")
