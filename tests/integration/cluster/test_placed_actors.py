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

        def life(self):
            return os.getpid(), self.context.incarnation

        def runtime(self):
            return os.environ["ACTORRT_RUNTIME_DIR"]

        async def child(self, **options):
            return await Echo.options(**options).spawn()

        def gpus(self):
            return os.environ.get("CUDA_VISIBLE_DEVICES")

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


def test_actors_go_where_there_is_room_and_wait_where_there_is_none(pair: tuple[Machine, Machine]) -> None:
    script = on(
        *pair,
        """
        import asyncio

        async def main():
            refs = [await Echo.options(cpus=1).spawn() for _ in range(4)]
            print([(await ref.runtime())[-1] for ref in refs])
            spare = asyncio.ensure_future(Echo.options(cpus=1).spawn())
            done, _ = await asyncio.wait([spare], timeout=0.5)
            print(len(done), flush=True)
            await refs[3].stop()
            print((await (await spare).runtime())[-1])
            cancelled = asyncio.ensure_future(Echo.options(cpus=1).spawn())
            await asyncio.wait([cancelled], timeout=0.2)
            cancelled.cancel()
            for options in ({"cpus": 3}, {"gpus": 1}, {"placement": {"zone": "b"}}, {"placement": art.node("0" * 32)}):
                try:
                    await Echo.options(**options).spawn()
                except art.PlacementError as error:
                    print(str(error).partition(": ")[2])

        asyncio.run(main())
        """,
    )
    a, b = (machine.node()[:8] for machine in pair)
    assert script.end().splitlines() == [
        "['a', 'a', 'b', 'b']",
        "0",
        "b",
        "it reserves cpus=3, and the largest node has 2; reserve less, or start a node that has more",
        "it reserves gpus=1, and no node has any; reserve less, or start a node that has more",
        "no node has the label zone=b; no node has labels; --label NAME=VALUE gives one",
        f"placement=art.node('{'0' * 32}'): {'0' * 32} is no node of the cluster; the nodes are {a}, {b}",
    ]


def test_strategies_and_labels_choose_nodes() -> None:
    with machines_in_a_short_place("a", "b", "c") as (first, second, third):
        first.start("--listen=127.0.0.1", "--cpus=4")
        second.start(f"--join={first.token()}", "--label=zone=x", "--cpus=4")
        third.start(f"--join={first.token()}", "--label=zone=x", "--resource=licence=2", "--cpus=2", "--gpus=2")
        script = on(
            first,
            second,
            """
            def where(count, **options):
                refs = [Echo.options(**options).spawn().result(30) for _ in range(count)]
                found = "".join(ref.runtime().result(30)[-1] for ref in refs)
                for ref in refs:
                    ref.stop().result(30)
                return found

            def until(expected, *arguments, **options):
                end = time.monotonic() + 20
                while (found := where(*arguments, **options)) != expected:  # rooms of others are told a little later
                    assert time.monotonic() < end, found
                print(found)

            until("abcabc", 6, cpus=1, placement="spread")
            until("aaaa", 4, cpus=1, placement="pack")
            until("b", 1, cpus=4, placement={"zone": "x"})
            until("cc", 2, resources={"licence": 1})
            until("abca", 4, placement="spread")
            refs = [Echo.options(gpus=amount).spawn().result(30) for amount in (0.5, 0.5, 1)]
            gpus = [ref.gpus().result(30) for ref in refs]
            print(gpus[0] == gpus[1] != gpus[2], *sorted({*gpus}))
            """,
        )
        assert script.end().split() == ["abcabc", "aaaa", "b", "cc", "abca", "True", "0", "1"]


def test_a_node_of_zero_cpus_runs_drivers_only() -> None:
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}", "--cpus=0")
        script = on(
            second,
            first,
            """
            light = Echo.spawn().result(30)
            print(light.runtime().result(30)[-1])
            group = Echo.spawn_many(5).result(30)
            print({path[-1] for path in group.runtime().result(30)})
            own = Echo.options(cpus=1).spawn().result(30)
            print(own.runtime().result(30)[-1], own.child().result(30).runtime().result(30)[-1])
            """,
        )
        assert script.end() == "a\n{'a'}\na a\n"


FAMILY = """
    import asyncio

    class Family(art.Supervisor):
        max_restarts = 20

        def __init__(self, strategy, near, far):
            self.strategy, self.near, self.far = strategy, art.node(near), art.node(far)

        def children(self):
            yield art.Child(Echo, id="near", cpus=1, placement=self.near)
            yield art.Child(Echo, id="far", cpus=1, placement=self.far)
            yield art.Child(Echo, id="light", placement=self.far)

    async def lives(children, incarnations):
        while True:
            try:
                found = [await child.life.options(retries=20)() for child in children]
            except art.ActorUnavailableError:
                continue
            if [incarnation for _, incarnation in found] == incarnations:
                return [pid for pid, _ in found]

    async def main():
        own, other, top, strategy = sys.argv[2], sys.argv[1], sys.argv[3], sys.argv[4]
        family = await Family.options(placement=art.node(top)).spawn(strategy, own, other)
        children = [await family.child(name) for name in ("near", "far", "light")]
        print([(await child.runtime())[-1] for child in children])
        incarnations = [1, 1, 1]
        pids = await lives(children, incarnations)
        for victim in range(3):
            os.kill(pids[victim], signal.SIGKILL)
            for number in range(3):
                incarnations[number] += strategy == "one_for_all" or number == victim
            pids = await lives(children, incarnations)
        await family.stop()
        print([await child.is_alive() for child in children])
        for pid in pids[:2]:
            while os.path.exists(f"/proc/{pid}"):
                await asyncio.sleep(0.01)

    asyncio.run(main())
"""


@pytest.mark.parametrize("top", [0, 1], ids=["home", "far"])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_a_supervisor_restarts_children_on_other_nodes(pair: tuple[Machine, Machine], top: int, strategy: str) -> None:
    own, other = (machine.node() for machine in pair)
    script = Script(pair[0], BEGIN, FAMILY, arguments=(other, own, pair[top].node(), strategy))
    assert script.end() == "['a', 'b', 'b']\n[False, False, False]\n"


def test_arguments_snapshots_and_output_of_an_actor_cross_nodes(pair: tuple[Machine, Machine]) -> None:
    script = on(
        *pair,
        """
        import gc
        import numpy as np

        class Sum(art.Actor):
            def __init__(self, numbers, later):
                self.numbers, self.later, self.count = numbers, later, 0

            async def total(self):
                return float(self.numbers.sum() + (await self.later["ref"]).sum())

            def add(self):
                print("adds", flush=True)
                self.count += 1
                return self.count

            def pid(self):
                return os.getpid()

            def snapshot(self):
                return np.full(100_000, self.count)

            def restore(self, state):
                self.count = int(state[0])

        ref = art.put(np.ones(100_000))
        options = dict(placement=art.node(other), restart="permanent", snapshot_every=1)
        for cpus in (0, 1):
            sum_ = Sum.options(cpus=cpus, **options).spawn(np.ones(100_000), {"ref": ref}).result(30)
            print(sum_.total().result(30), sum_.add().result(30), sum_.add().result(30))
            os.kill(sum_.pid().result(30), signal.SIGKILL)
            print(sum_.add.options(retries=20)().result(30), sum_.total().result(30))
            sum_.stop().result(30)
        del ref
        gc.collect()
        while art.store_stats()["objects_count"]:
            time.sleep(0.01)
        """,
    )
    lines = [line for line in script.end().splitlines() if "adds" not in line]
    assert lines == ["200000.0 1 2", "3 200000.0"] * 2
