"""When snapshots are taken, and where they go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.cells.snapshots import NEVER, SnapshotKeeper, Snapshots, check_state_hooks
from actorrt.actors.policy.options import ActorOptions
from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.ids import IdSource
from actorrt.machine.disk import OsDisk
from actorrt.machine.threads import OsThreads
from actorrt.protocol.authorities import SnapshotTaken

IDS = IdSource()


class Keeper:
    """Keeps states in the place of an object store."""

    def __init__(self):
        self.put_count = 0
        self.kept = []

    def put(self, snapshot):
        state = snapshot()
        self.put_count += 1
        return state

    def entrust(self, ref, cell):
        self.kept.append(ref)


class Counting:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1

    async def hold(self):
        await asyncio.Event().wait()

    def snapshot(self):
        if self.count == 3:
            raise ValueError("three can't be kept")
        return self.count

    def restore(self, state):
        self.count = state


@pytest.fixture
def keeper(stage):
    keeper = stage.host.snapshots = Keeper()
    return keeper


async def test_snapshot_is_taken_after_every_so_many_messages(stage, keeper):
    cell = stage.running(Counting, snapshot_every=2)
    for _ in range(5):
        cell.deliver(stage.tell("add"))
    await stage.settled()
    assert keeper.kept == [2, 4]


async def test_snapshot_that_raises_is_logged_and_the_one_before_stays(stage, keeper, caplog):
    cell = stage.running(Counting, snapshot_every=1)
    for _ in range(4):
        cell.deliver(stage.tell("add"))
    await stage.settled()
    assert keeper.kept == [1, 2, 4]
    assert "actor took no snapshot, the one before stays" in caplog.text


async def test_snapshot_is_taken_every_so_many_seconds_if_something_was_handled(stage, keeper):
    cell = stage.running(Counting, snapshot_every=0.001)
    snapshots = cell.snapshots
    snapshots._period_over()
    assert keeper.kept == []
    cell.deliver(stage.tell("add"))
    await stage.settled()
    snapshots._period_over()
    snapshots._period_over()
    assert keeper.kept == [1]
    snapshots.end()


async def test_snapshot_that_is_due_while_a_message_is_in_hand_waits_for_its_end(stage, keeper):
    cell = stage.running(Counting, snapshot_every=60.0)
    cell.deliver(stage.tell("add"))
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.snapshots._period_over()
    assert keeper.kept == []
    cell.execution.withdraw(stage.me, 1, is_late=False)
    cell.deliver(stage.tell("add"))
    await stage.settled()
    assert keeper.kept == [2]
    cell.snapshots.end()


async def test_nothing_is_taken_of_an_incarnation_that_has_ended(stage, keeper):
    cell = stage.running(Counting, snapshot_every=1)
    cell.snapshots.take(None)
    assert keeper.kept == []


def test_count_of_messages_says_when_to_look_again():
    cell = SimpleNamespace(instance=None, handled_count=0)
    by_count = Snapshots(cell, 10)
    assert [by_count.reached(count) for count in (1, 9, 10, 11)] == [10, 10, 20, 20]
    assert Snapshots(cell, 10.0).reached(1) == NEVER


class Store:
    def __init__(self):
        self.transits = []

    def put(self, value):
        return SimpleNamespace(id=IDS.object(), value=value)

    def new_token(self):
        return b"token"

    def begin_transit(self, ref, token, copies_count):
        self.transits.append((ref.id, token, copies_count))


class Control:
    def __init__(self):
        self.asked = []
        self.answer = Completion()

    def request(self, to, request):
        self.asked.append((to, request))
        return self.answer


def test_snapshot_is_held_here_until_its_authority_holds_it():
    store, control = Store(), Control()
    keeper = SnapshotKeeper(store, control, OsThreads(), OsDisk())
    cell = SimpleNamespace(actor_id=IDS.actor(), incarnation=3, blueprint=SimpleNamespace(authority="the authority"))
    ref = keeper.put(lambda: "state")
    keeper.entrust(ref, cell)
    taken = SnapshotTaken(actor=cell.actor_id, incarnation=3, object=ref.id, token=b"token")
    assert (ref.value, control.asked, store.transits) == ("state", [("the authority", taken)], [(ref.id, b"token", 1)])


def test_process_without_a_store_takes_no_snapshot_and_does_not_ask_for_the_state():
    with pytest.raises(RuntimeStateError, match="this process has no object store"):
        SnapshotKeeper(None, Control(), OsThreads(), OsDisk()).put(pytest.fail)


def test_class_without_both_hooks_takes_no_snapshots():
    class Half:
        def snapshot(self):
            return None

    options = ActorOptions.of({"snapshot_every": 2})
    check_state_hooks(Counting, options)
    check_state_hooks(Half, ActorOptions())
    with pytest.raises(ValueError, match=r"snapshot_every=2 for Half, which has no restore\(\)"):
        check_state_hooks(Half, options)


def test_snapshot_that_is_a_coroutine_is_refused():
    class Waiting(Counting):
        async def snapshot(self):
            return None

    with pytest.raises(ValueError, match=r"Waiting.snapshot\(\) must be a plain method"):
        check_state_hooks(Waiting, ActorOptions.of({"snapshot_every": 2}))
