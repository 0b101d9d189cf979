"""Silent processes: stopped, blocked and busy ones are told apart and reported in time, and none is declared dead."""

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

REPORTED_WITHIN_S = 3.0
BUSY_S = 10.0


class Held(art.Actor):
    def block(self, seconds: float) -> str:
        time.sleep(seconds)  # the fault that is tested: a method that blocks its loop
        return "late"

    def hold_interpreter(self, seconds: float) -> str:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # holds the interpreter's lock, unlike ctypes.CDLL
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
    """Connect to a node that is started inside the test, so that `capfd` captures its output."""
    node = Node("--cpus=4")
    art.init(address=node.url)
    try:
        yield node
    finally:
        art.shutdown()
        assert node.end() == 0


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def test_stopped_process_is_reported_within_three_seconds_and_busy_processes_survive(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []

    def printed() -> str:
        seen.append("".join(capfd.readouterr()))
        return "".join(seen)

    with own_node():
        names = ("blocked", "holding", "stopped")
        spawns = [Held.options(isolation="process", name=name).spawn() for name in names]
        blocked, holding, stopped = actors = [spawn.result(10) for spawn in spawns]
        pid = stopped.pid().result(10)
        calls = [blocked.block(BUSY_S), holding.hold_interpreter(BUSY_S)]
        stop(pid)
        wait_until(lambda: "stopped by a signal" in printed(), "the warning", within_s=REPORTED_WITHIN_S)
        assert f"stopped (pid {pid}) is silent for" in printed()
        waiting = stopped.pid()
        assert [call.result(BUSY_S + 5) for call in calls] == ["late", "later"]
        os.kill(pid, signal.SIGCONT)
        assert waiting.result(10) == pid
        assert [actor.is_alive().result(10) for actor in actors] == [True] * 3
        assert " ended: " not in printed()
        assert "lost " not in printed()


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


def test_stopped_node_is_reported_within_three_seconds_and_calls_continue(caplog: pytest.LogCaptureFixture) -> None:
    with own_node() as node:
        held = Held.spawn().result(10)
        pid = held.pid().result(10)
        stop(node.pid)
        spawn = Held.spawn()

        def is_reported() -> bool:
            assert held.pid().result(10) == pid
            return any("the node has said nothing for" in message for message in caplog.messages)

        wait_until(is_reported, "the warning", within_s=REPORTED_WITHIN_S)
        os.kill(node.pid, signal.SIGCONT)
        assert spawn.result(10).pid().result(10)
        wait_until(lambda: "the node answers again" in caplog.messages, "its end")
