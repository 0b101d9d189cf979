"""Calls to a node of which nobody can say whether it lives end, and nothing is concluded about its actors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.fault.processes import state_of, until
from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

OWNER = """
    import os
    import sys
    import actorrt as art

    class Counter(art.Actor):
        count = 0

        def add(self):
            self.count += 1
            return self.count

        def pid(self):
            return os.getpid()

    art.init(address="auto", namespace="shared")
    counter = Counter.options(name="counter").spawn().result(30)
    print(counter.pid().result(30), flush=True)
    sys.stdin.readline()
"""
CALLER = """
    import sys
    import time
    import actorrt as art

    art.init(address="auto", namespace="shared")
    counter = art.lookup("counter").result(30)
    print(counter.add().result(30), flush=True)
    down = art.monitor(counter)
    sys.stdin.readline()
    began = time.monotonic()
    try:
        counter.add().result(60)
    except art.ActorUnavailableError as error:
        print(error.executed, time.monotonic() - began < 14, "undecided" in str(error))
    began = time.monotonic()
    try:
        counter.add().result(60)
    except art.ActorUnavailableError as error:
        print(error.executed, time.monotonic() - began < 0.5, "has been heard of node" in str(error))
    print(down.done(), flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            print(counter.add().result(30) in (2, 3))
            break
        except art.ActorUnavailableError as error:
            assert error.executed == "no"
            time.sleep(0.1)  # polling interval: until the node is heard again
    print(down.done(), flush=True)
"""


@pytest.fixture
def pair() -> Iterator[tuple[Machine, Machine]]:
    """Two nodes; the first one has the store, so nobody can write it dead."""
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        yield first, second


def test_calls_to_a_node_that_is_silent_for_ten_seconds_end_and_go_on_when_it_is_heard_again(
    pair: tuple[Machine, Machine],
) -> None:
    first, second = pair
    owner = Script(first, OWNER)
    worker = int(owner.line())
    caller = Script(second, CALLER)
    assert caller.line() == "1"
    os.kill(first.pid, signal.SIGSTOP)  # and so its guard stops its workers
    until(lambda: state_of(worker) == "T")
    caller.process.stdin.write("\n")
    caller.process.stdin.flush()
    assert [caller.line() for _ in range(3)] == ["maybe True True", "no True True", "False"]
    os.kill(first.pid, signal.SIGCONT)
    assert caller.end() == "True\nFalse\n"
    owner.process.communicate("\n", timeout=30)
