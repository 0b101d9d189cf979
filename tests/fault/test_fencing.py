"""A node that loses its lease stops its workers, loses nothing, and goes on when the lease is back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.fault.processes import children, state_of, until, until_or_after
from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

COUNTER = """
    import os
    import subprocess
    import sys
    import time
    import actorrt as art

    class Counter(art.Actor):
        count = 0

        def add(self):
            self.count += 1
            return self.count

        def pid(self):
            return os.getpid()

        def begin(self):
            self.child = subprocess.Popen(["sleep", "1000"])
            return self.child.pid

    art.init(address="auto")
    counter = Counter.options(cpus=1).spawn().result(30)
    print(counter.pid().result(30), counter.begin().result(30), counter.add().result(30), flush=True)
"""


@pytest.fixture
def pair() -> Iterator[tuple[Machine, Machine]]:
    """Two nodes; the first one has the store."""
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        yield first, second


def send(machine: Machine, number: signal.Signals) -> None:
    os.kill(machine.pid, number)


def test_workers_of_a_daemon_that_is_stopped_stop_and_go_on_with_it(pair: tuple[Machine, Machine]) -> None:
    first, _ = pair
    script = Script(first, COUNTER, "    sys.stdin.readline()\n    print(counter.add().result(60))\n")
    worker, user_process, _ = map(int, script.line().split())
    send(first, signal.SIGSTOP)
    assert until(lambda: state_of(worker) == state_of(user_process) == "T") < 5.0
    script.process.stdin.write("\n")  # a call to an actor that is stopped waits
    script.process.stdin.flush()
    send(first, signal.SIGCONT)
    assert script.end() == "2\n"
    assert state_of(user_process) in ("", "Z")  # it ended with its job


def test_of_two_nodes_the_one_without_the_store_freezes_and_goes_on_with_nothing_lost(
    pair: tuple[Machine, Machine],
) -> None:
    first, second = pair
    script = Script(second, COUNTER, "    sys.stdin.readline()\n    print(counter.add().result(60))\n")
    worker, _, _ = map(int, script.line().split())
    send(first, signal.SIGSTOP)
    until(lambda: state_of(worker) == "T")
    script.process.stdin.write("\n")
    script.process.stdin.flush()
    until(lambda: "this node has no lease" in second.log.read_text())
    assert not until_or_after(lambda: state_of(worker) != "T", 8.0)  # longer than any silence that is suspected
    send(first, signal.SIGCONT)
    assert script.end() == "2\n"
    assert "is dead" not in first.log.read_text() + second.log.read_text()


def test_worker_that_is_forked_while_its_node_is_frozen_does_not_run(pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    script = Script(
        second,
        COUNTER,
        """
    sys.stdin.readline()
    other = Counter.options(cpus=1).spawn()
    print("asked", flush=True)
    print(other.result(60).add().result(60))
    """,
    )
    before = int(script.line().split()[0])
    send(first, signal.SIGSTOP)
    until(lambda: state_of(before) == "T")
    script.process.stdin.write("\n")
    script.process.stdin.flush()
    assert script.line() == "asked"
    until(lambda: len(children(second.pid).get("actorrt-zygote", [])) >= 2)  # it has not got so far as to its own name
    send(first, signal.SIGCONT)
    assert script.end() == "1\n"


def test_guard_that_is_killed_is_replaced_and_the_workers_go_on(pair: tuple[Machine, Machine]) -> None:
    first, _ = pair
    script = Script(first, COUNTER, "    sys.stdin.readline()\n    print(counter.add().result(60))\n")
    worker = int(script.line().split()[0])
    (guard,) = children(first.pid)["actorrt-guard"]
    os.kill(guard, signal.SIGKILL)
    until(lambda: children(first.pid).get("actorrt-guard", [guard]) != [guard])
    until(lambda: state_of(worker) != "T")
    script.process.stdin.write("\n")
    assert script.end() == "2\n"


def test_nothing_of_a_killed_daemon_is_left(pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    script = Script(second, COUNTER, "    sys.stdin.readline()\n")
    worker = int(script.line().split()[0])
    own = [pid for pids in children(second.pid).values() for pid in pids]
    assert worker in own
    send(first, signal.SIGSTOP)
    until(lambda: state_of(worker) == "T")
    second.kill()
    until(lambda: not any(state_of(pid) for pid in own))
    send(first, signal.SIGCONT)
    script.process.communicate(timeout=30)


def test_single_node_without_a_cluster_has_no_guard(tmp_path: object) -> None:
    with machines_in_a_short_place("a") as (alone,):
        script = Script(
            alone, COUNTER.replace('address="auto"', "cpus=1"), "    print(os.getpid())\n    sys.stdin.readline()\n"
        )
        script.line()
        (daemon,) = children(int(script.line()))["actorrt-node"]
        assert "actorrt-guard" not in children(daemon)
        script.process.communicate("\n", timeout=30)
