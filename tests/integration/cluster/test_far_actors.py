"""Actors of another node: a ref works as one to an actor of the same node, and so does a name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

OWNER = """
    import sys
    import time
    import numpy as np
    import actorrt as art

    class Counter(art.Actor):
        def __init__(self):
            self.count = 0

        def add(self, amount):
            self.count += amount
            return self.count

        def ones(self, shape):
            return np.ones(shape)

        def slow(self):
            time.sleep(30)  # a call that is under way when its node is killed

        def ask(self, other):
            return other.add(10).result()

    art.init(address="auto")
    counter = Counter.options(name="counter", cpus=1).spawn().result()
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def pair() -> Iterator[tuple[Machine, Machine]]:
    with machines_in_a_short_place("a", "b") as (first, second):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        yield first, second


@pytest.fixture
def owner(pair: tuple[Machine, Machine]) -> Iterator[Script]:
    script = Script(pair[1], OWNER)
    assert script.line() == "up"
    yield script
    script.process.kill()  # if its node is gone, it does not end by itself
    script.process.communicate()


def on(machine: Machine, code: str) -> str:
    """Run a driver on a machine; return what it printed."""
    return Script(machine, "import actorrt as art\nart.init(address='auto')\n" + textwrap.dedent(code)).end()


def test_a_name_leads_to_an_actor_of_another_node(pair: tuple[Machine, Machine], owner: Script) -> None:
    assert on(pair[0], "print(art.lookup('counter', timeout_s=5).result().add(2).result(10))") == "2\n"
    assert on(pair[1], "print(art.lookup('counter').result().add(3).result(10))") == "5\n"


def test_large_results_and_streams_of_calls_arrive_whole_and_in_order(
    pair: tuple[Machine, Machine], owner: Script
) -> None:
    printed = on(
        pair[0],
        """
        counter = art.lookup('counter').result()
        print(counter.ones((1024, 1024)).result(10).sum())
        print([r.result(10) for r in [counter.add(1) for _ in range(1000)]] == list(range(1, 1001)))
        """,
    )
    assert printed == "1048576.0\nTrue\n"


def test_a_name_is_taken_in_the_whole_cluster_and_free_when_its_actor_has_ended(
    pair: tuple[Machine, Machine], owner: Script
) -> None:
    code = """
        class Other(art.Actor):
            def hello(self):
                return 'other'

        try:
            Other.options(name='counter').spawn().result(10)
        except art.NameTakenError as error:
            print('taken')
        got = Other.options(name='counter', if_exists='get')
        counter = art.lookup('counter').result()
        counter.stop().result(10)
        print(Other.options(name='counter').spawn().result(10).hello().result(10))
    """
    assert on(pair[0], code) == "taken\nother\n"


def test_calls_under_way_end_within_seconds_when_the_process_or_the_node_of_their_actor_is_killed(
    pair: tuple[Machine, Machine], owner: Script
) -> None:
    script = Script(
        pair[0],
        """
        import time
        import actorrt as art
        art.init(address='auto')
        counter = art.lookup('counter').result()
        call = counter.slow()
        print(counter.add, flush=True)
        try:
            call.result(60)
        except art.ActorDiedError as error:
            print(error.executed, flush=True)
        """,
    )
    script.line()
    pair[1].kill()
    assert script.line() in ("maybe", "yes")
    script.end()
