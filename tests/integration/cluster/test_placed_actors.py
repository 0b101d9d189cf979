"""Actors that run on another node than that of their spawner, with two real nodes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

BEGIN = """
    import os
    import signal
    import sys
    import time
    import actorrt as art

    class Echo(art.Actor):
        def say(self, value):
            return value

        def pid(self):
            return os.getpid()

        def runtime(self):
            return os.environ["ACTORRT_RUNTIME_DIR"]

        async def child(self, **options):
            return await Echo.options(**options).spawn()

        def fail(self):
            raise ValueError("on purpose")

    other = sys.argv[1]
    art.init(address="auto")
"""


@pytest.fixture
def pair() -> Iterator[tuple[Machine, Machine]]:
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        yield first, second


def on(machine: Machine, other: Machine, code: str) -> Script:
    """Run a driver on a machine that places actors on another one."""
    return Script(machine, BEGIN, code, arguments=(other.node(),))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)  # polling interval: processes of other nodes can't notify a test


def test_an_actor_is_spawned_on_another_node_and_called(pair: tuple[Machine, Machine]) -> None:
    script = on(
        *pair,
        """
        echo = Echo.options(placement=art.node(other), cpus=1).spawn().result(30)
        print(echo.say(5).result(30), echo.runtime().result(30))
        light = Echo.options(placement=art.node(other)).spawn().result(30)
        print(light.say(6).result(30), light.runtime().result(30))
        """,
    )
    assert script.end() == f"5 {pair[1].runtime}\n6 {pair[1].runtime}\n"


def test_the_end_of_its_process_reaches_its_home_which_starts_it_again(pair: tuple[Machine, Machine]) -> None:
    script = on(
        *pair,
        """
        once = Echo.options(placement=art.node(other), cpus=1).spawn().result(30)
        again = Echo.options(placement=art.node(other), cpus=1, restart="permanent").spawn().result(30)
        first = again.pid().result(30)
        for ref in (once, again):
            os.kill(ref.pid().result(30), signal.SIGKILL)
        try:
            once.say(1).result(30)
        except art.ActorDiedError as error:
            print(error.reason.kind, error.reason.signal)
        print(again.pid.options(retries=5)().result(30) != first, again.runtime().result(30))
        """,
    )
    assert script.end() == f"crashed 9\nTrue {pair[1].runtime}\n"


def test_actors_end_when_their_node_is_killed(pair: tuple[Machine, Machine]) -> None:
    script = on(
        *pair,
        """
        echo = Echo.options(placement=art.node(other), cpus=1).spawn().result(30)
        echo.say(1).result(30)
        print("up", flush=True)
        sys.stdin.readline()
        try:
            while True:
                echo.say(1).result(30)
        except art.ActorDiedError as error:
            print(error.reason.kind, flush=True)
        """,
    )
    assert script.line() == "up"
    pair[1].kill()
    assert script.end() == "node_lost\n"


def test_nothing_is_left_on_the_other_node_when_the_driver_has_ended_or_was_killed(
    pair: tuple[Machine, Machine],
) -> None:
    code = """
        echo = Echo.options(placement=art.node(other), cpus=1).spawn().result(30)
        child = echo.child(cpus=1).result(30)
        light = Echo.options(placement=art.node(other)).spawn().result(30)
        print(echo.pid().result(30), child.pid().result(30), light.pid().result(30), flush=True)
    """
    ended = on(*pair, code)
    for pid in map(int, ended.end().split()):
        until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
    killed = on(*pair, code + "    sys.stdin.readline()\n")
    pids = [int(pid) for pid in killed.line().split()]
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids)
    killed.process.send_signal(signal.SIGKILL)
    for pid in pids:
        until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
    killed.process.communicate()
    for machine in pair:
        until(lambda machine=machine: "Echo" not in machine.command("ps").stdout)
