"""A ref that is sent and dropped at once arrives alive, in every order in which the store can read the messages.

Three processes send to the store, each on a connection of its own. Messages of one connection arrive in order;
connections are read in any order. The store may sweep when it has read all messages that had arrived: for each message
that it has read, it has also read all messages that were sent before, on any connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.objects import State
from actorrt.store.table.table import ObjectTable
from tests.property.recording_table import RecordingTable

MAKER, RELAY, READER = range(3)
X = ObjectId(b"x" * 16)
PLACE = Place(1, 0, 64)


@dataclass(frozen=True)
class Step:
    """A message of a process; `after` is the message of another process that must have been sent before."""

    what: str
    say: Callable[[ObjectTable], object]
    after: str = ""


def peer(number: int) -> PeerId:
    return PeerId(bytes([number + 1]) * 16)


def token(sender: int) -> bytes:
    return peer(sender) + b"1"


def make(maker: int = MAKER, after: str = "") -> Step:
    def say(table: ObjectTable) -> None:
        table.create(X, maker, PLACE, is_promised=bool(after))
        table.seal(X, maker)

    return Step("make", say, after)


def promise() -> Step:
    return Step("promise", lambda table: table.declare(X, MAKER))


def send(sender: int) -> Step:
    return Step(f"send {sender}", lambda table: table.transit(X, sender, token(sender), 1))


def drop(holder: int) -> Step:
    return Step(f"drop {holder}", lambda table: table.release(X, holder))


def receive(receiver: int, sender: int) -> Step:
    return Step(f"receive {receiver}", lambda table: table.acquire(X, receiver, token(sender)), f"send {sender}")


def end(who: int) -> Step:
    return Step(f"end {who}", lambda table: table.disconnect(who, 0.0))


PROGRAMS: dict[str, list[list[Step]]] = {
    "sent": [[make(), send(MAKER), drop(MAKER)], [], [receive(READER, MAKER)]],
    "sent by who then ends": [[make(), send(MAKER), drop(MAKER), end(MAKER)], [], [receive(READER, MAKER)]],
    "passed on": [
        [make(), send(MAKER), drop(MAKER)],
        [receive(RELAY, MAKER), send(RELAY), drop(RELAY)],
        [receive(READER, RELAY)],
    ],
    "passed on by who then ends": [
        [make(), send(MAKER), drop(MAKER)],
        [receive(RELAY, MAKER), send(RELAY), drop(RELAY), end(RELAY)],
        [receive(READER, RELAY)],
    ],
    "promised, and made by another": [
        [promise(), send(MAKER), drop(MAKER)],
        [make(RELAY, after="promise"), drop(RELAY)],
        [receive(READER, MAKER)],
    ],
}


def orders(lengths: tuple[int, ...]) -> Iterator[list[int]]:
    """Yield every order in which the given numbers of steps of each process can be read."""
    if not any(lengths):
        yield []
    for who, left in enumerate(lengths):
        if left:
            rest = (*lengths[:who], left - 1, *lengths[who + 1 :])
            yield from ([who, *order] for order in orders(rest))


def subsets(moments: list[int]) -> Iterator[set[int]]:
    for bits in range(1 << len(moments)):
        yield {moment for place, moment in enumerate(moments) if bits >> place & 1}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_ref_arrives_alive_in_every_interleaving(name: str) -> None:
    program = PROGRAMS[name]
    walks_count = 0
    for order in orders(tuple(map(len, program))):
        queues = [iter(steps) for steps in program]
        steps = [next(queues[who]) for who in order]
        for sweeps in subsets(list(moments_to_sweep(steps))):
            walk(steps, sweeps)
            walks_count += 1
    assert walks_count > 2 ** len(steps), "more than one order, each with and without sweeps"


def moments_to_sweep(steps: list[Step]) -> Iterator[int]:
    """Yield the number of each step after which all messages that had arrived may have been read."""
    read: set[str] = set()
    for number, step in enumerate(steps):
        read.add(step.what)
        if all(known.after in read for known in steps[: number + 1] if known.after):
            yield number


def walk(steps: list[Step], sweeps: set[int]) -> None:
    table = RecordingTable()
    for number in (MAKER, RELAY, READER):
        table.connect(number, peer(number))
    for number, step in enumerate(steps):
        step.say(table)
        if number in sweeps:
            table.sweep()
        table.check_invariants()
    story = [step.what + (" (sweep)" if number in sweeps else "") for number, step in enumerate(steps)]
    entry = table.get(X)
    assert entry is not None, story
    assert entry.state is State.SEALED, story
    assert entry.holds == {READER: 1}, story
    table.release(X, READER)
    table.sweep()
    assert table.get(X) is None, "nothing keeps it any more"
    assert len(table.transits) == 0, story
