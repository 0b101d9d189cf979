"""Where a node places its actors, without processes."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.node.placement.jobs import Job
from actorrt.node.placement.nodes import Nodes
from actorrt.node.placement.placement import Placement
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.worker_choice import WorkerChoice
from actorrt.node.placement.workers import Workers
from actorrt.protocol.hosts import Bury, HostActor, KillHosted, StopHosted
from actorrt.protocol.processes import Leave
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from tests.unit.records import crashed, order_of, record_of

IDS = IdSource()
NODE = PeerAddress(IDS.peer(), "memory://node")


class SlowFactory:
    """Makes workers that are not ready."""

    def __init__(self):
        self.worker = None
        self.has_worker = asyncio.Event()

    def new_peer_address(self, ids):
        return PeerAddress(ids.peer(), "memory://worker")

    async def launch(self, worker):
        self.worker = worker
        self.has_worker.set()

    def kill(self, worker):
        raise AssertionError("nothing here takes so long")


class Control:
    """Keeps what workers are asked and told, and answers at once."""

    def __init__(self):
        self.sent = []

    def notify(self, to, notice):
        self.sent.append(type(notice))

    def request(self, to, request):
        self.sent.append(type(request))
        answer = Completion()
        answer.set_value(None)
        return answer


class Keeper:
    """Keeps no objects: the specs here refer to none."""

    def hold(self, object_ids, tokens):
        assert not object_ids

    def release(self, object_ids):
        assert not object_ids


def placement_of(factory, control, scope, job, silent_s=lambda _: 0.0):
    workers = Workers(factory, control, scope, IDS)
    resources = Resources(2, 0, may_exceed=False)
    choice = WorkerChoice(workers, resources, lambda _: job, Nodes(resources, workers.all))
    return Placement(choice, workers, control, scope, NODE, Keeper(), silent_s, lambda _: b"")


@pytest.mark.parametrize("stopped", ["never", "before its worker is ready", "when its worker has just become ready"])
async def test_start_whose_worker_is_not_ready(stopped):
    """The worker can't take the order to stop, or has no such actor yet: it is never asked to start the actor."""
    scope, factory, control = Scope("test", crashed), SlowFactory(), Control()
    record = record_of(None)
    job = Job(record.job, NODE, {})
    placement = placement_of(factory, control, scope, job)
    record.begin_start()
    starting = asyncio.ensure_future(placement.start(record))  # waits for its worker; awaited below
    await factory.has_worker.wait()
    if stopped == "before its worker is ready":
        record.begin_end()
        placement.stop([record], "its job ended")
    factory.worker.ready.set_value(None)
    if stopped == "when its worker has just become ready":
        record.begin_end()
        placement.stop([record], "its job ended")
    if stopped != "never":
        with pytest.raises(ActorStartError, match="was stopped before it started"):
            await starting
        assert HostActor not in control.sent
    else:
        assert await starting == factory.worker.peer_address
        assert control.sent == [HostActor]
    await scope.close()


class ReadyFactory(SlowFactory):
    """Makes workers that are ready at once, and end when they are given an order, having begun so many."""

    def __init__(self, begun_count):
        super().__init__()
        self.begun_count = begun_count
        self.launched = []

    async def launch(self, worker):
        self.launched.append(worker)
        worker.begun_count = self.begun_count
        worker.ready.set_value(None)

    def end(self, to, request):
        self.launched[-1].exit_reason = ExitReason(ExitKind.CRASHED)
        answer = Completion()
        answer.set_error(ActorDiedError("its process ended", reason=ExitReason(ExitKind.CRASHED)))
        return answer


@pytest.mark.parametrize(
    ("begun_count", "workers_count", "words"),
    [(0, 3, "its process ended; so did 2 other workers"), (1, 1, "its process ended"), (None, 1, "its process ended")],
    ids=["not begun", "begun", "not known"],
)
async def test_order_goes_to_another_worker_only_if_it_was_not_begun(begun_count, workers_count, words):
    scope, factory, control = Scope("test", crashed), ReadyFactory(begun_count), Control()
    control.request = factory.end
    record = record_of(None)
    job = Job(record.job, NODE, {})
    placement = placement_of(factory, control, scope, job)
    record.begin_start()
    with pytest.raises(ActorStartError) as caught:
        await placement.start(record)
    assert type(caught.value) is ActorStartError
    assert str(caught.value) == f"{record.label} did not start: {words}"
    assert len(factory.launched) == workers_count
    await scope.close()


async def test_start_whose_process_can_not_be_made_fails_at_the_place_of_that_process():
    """Other starts may wait for the process: a supervisor counts their failures once, by that place."""
    scope, factory, record = Scope("test", crashed), SlowFactory(), record_of(None)
    placement = placement_of(factory, Control(), scope, Job(record.job, NODE, {}))
    record.begin_start()
    starting = asyncio.ensure_future(placement.start(record))
    await factory.has_worker.wait()
    factory.worker.failed_to_launch(OSError("no descriptor is left"))
    with pytest.raises(ActorStartError, match="got no process: OSError: no descriptor is left") as caught:
        await starting
    assert caught.value.reason == factory.worker.exit_reason
    assert record.start_peer_address == factory.worker.peer_address
    await scope.close()


async def test_kill_of_an_actor_takes_its_shared_worker_only_where_that_is_silent(monkeypatch):
    """One that speaks has many orders to take before this one: its other actors are none the worse."""
    monkeypatch.setattr("actorrt.node.placement.placement.KILL_PATIENCE_S", 0.02)
    scope, factory, looks = Scope("test", crashed), ReadyFactory(1), []
    killed: Completion[None] = Completion()
    factory.kill = lambda _: killed.set_value(None)
    silences_s = iter([0.0, 0.01, 0.0])

    def silent_s(peer):
        looks.append(killed.done())
        return next(silences_s, 0.02)

    record = record_of(None)
    job = Job(record.job, NODE, {})
    placement = placement_of(factory, Control(), scope, job, silent_s)
    record.begin_start()
    await placement.start(record)
    placement.kill([record])
    async with asyncio.timeout(10):
        await killed
    assert looks == [False] * 4
    assert "did not take the order to kill" in factory.launched[0].hang
    await scope.close()


class Orders(Control):
    """Keeps the orders to end actors, with the worker that each went to."""

    def notify(self, to, notice):
        is_for_good = getattr(notice, "is_administrative", None)
        self.sent.append((to, type(notice), list(notice.actors), is_for_good))


async def test_actors_are_ended_by_one_order_to_each_worker():
    """The light actors of a job share its workers: its end is an order for all, not one for each."""
    scope, factory, control = Scope("test", crashed), ReadyFactory(0), Orders()
    job = Job(IDS.job(), NODE, {})
    placement = placement_of(factory, control, scope, job)
    order = order_of(None)
    records = [ActorRecord(IDS.actor(), order) for _ in range(6)]
    for record in records:
        record.begin_start()
        control.request = Control().request
        record.started(await placement.start(record), 0.0)
        record.is_administrative = True
    one, two = job.here.shared
    ids_at = {worker.peer_address: [r.actor_id for r in records if r.place is worker] for worker in (one, two)}
    assert all(len(ids) == 3 for ids in ids_at.values())

    placement.stop(records, "its job ended")
    assert control.sent == [(to, StopHosted, ids, True) for to, ids in ids_at.items()]
    assert set(placement.kept_actors()) == {record.actor_id for record in records}
    control.sent.clear()
    placement.kill(records)
    assert control.sent == [(to, KillHosted, ids, None) for to, ids in ids_at.items()]
    control.sent.clear()
    for record in records:  # their hosts have said that nothing is left of them: nothing is asked there
        assert placement.bury(record, record.tombstone(), is_buried=True) is None
    assert (control.sent, set(placement.kept_actors()), one.actors, two.actors) == ([], set(), {}, {})
    await scope.close()


class SlowBurials(Orders):
    """Answers an order to bury when it is told to."""

    def __init__(self):
        super().__init__()
        self.burials = []

    def request(self, to, request):
        answer = super().request(to, request)
        if type(request) is Bury:
            self.burials.append(answer := Completion())
        return answer

    def notify(self, to, notice):
        self.sent.append(type(notice))


async def hosted(placement, record):
    record.begin_start()
    record.started(await placement.start(record), 0.0)
    return record


async def test_worker_of_an_ended_job_is_kept_while_children_of_one_of_its_actors_end_there():
    scope, control = Scope("test", crashed), SlowBurials()
    job = Job(IDS.job(), NODE, {})
    factory = ReadyFactory(0)
    factory.kill = lambda _: None  # when the time to leave is over
    placement = placement_of(factory, control, scope, job)
    records = [await hosted(placement, ActorRecord(IDS.actor(), order_of(None))) for _ in range(4)]
    parent, neighbour = [record for record in records if record.place is job.here.shared[0]]
    job.has_ended = True
    control.sent.clear()
    placement.bury(parent, parent.tombstone(), is_buried=False)
    placement.bury(neighbour, neighbour.tombstone(), is_buried=True)
    assert control.sent == [Bury]
    control.burials[0].set_value(None)
    assert control.sent == [Bury, Leave]
    await scope.close()


async def test_process_of_an_actor_is_kept_when_a_child_ends_that_the_node_placed_there():
    """A light child with a name is the node's to keep, and belongs on its parent's loop."""
    scope, control, factory = Scope("test", crashed), SlowBurials(), ReadyFactory(0)
    job = Job(IDS.job(), NODE, {})
    placement = placement_of(factory, control, scope, job)
    parent_order = order_of(None)
    parent_order.options = parent_order.options.replaced({"isolation": "process"})
    parent = await hosted(placement, ActorRecord(IDS.actor(), parent_order))
    child_order = order_of(parent.actor_id, is_beside=True)
    child_order.beside_peer_address = parent.place.peer_address
    child = await hosted(placement, ActorRecord(IDS.actor(), child_order))
    assert child.place is parent.place
    control.sent.clear()
    placement.bury(child, child.tombstone(), is_buried=True)
    assert control.sent == []
    await scope.close()
