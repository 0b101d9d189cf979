"""Which worker an actor is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import PeerAddress
from actorrt.node.placement.jobs import Job, WorkerKind
from actorrt.node.placement.nodes import Nodes
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.waiting_starts import NoRoomError
from actorrt.node.placement.worker_choice import WorkerChoice
from actorrt.node.placement.workers import Workers
from actorrt.reasons import SHUTDOWN
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, SETTING, FakeControl, FakeFactory
from tests.unit.records import crashed, order_of

CPUS = 2


class Node:
    """What a choice is made from."""

    def __init__(self) -> None:
        self.scope = Scope("test", crashed)
        self.job = Job(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), SETTING)
        self.resources = Resources(CPUS, 0, may_exceed=False)
        self.workers = Workers(FakeFactory(), FakeControl(), self.scope, IDS)  # type: ignore[arg-type]
        self.nodes = Nodes(self.resources, self.workers.all)
        self.choice = WorkerChoice(self.workers, self.resources, lambda _: self.job, self.nodes)

    def labels(self, records: list[ActorRecord]) -> list[str]:
        return [self.choice.worker_of(record).label for record in records]


def record(options: dict[str, Any] | None = None, *, supervisor: Any = None, **changes: Any) -> ActorRecord:
    order = order_of(supervisor, **changes)
    order.options = order.options.replaced(options or {})
    return ActorRecord(IDS.actor(), order, supervisor)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.scope.close()


async def test_light_actors_share_as_many_workers_as_there_are_cpus_in_turn(node: Node) -> None:
    assert node.labels([record() for _ in range(6)]) == [
        *("shared-1", "shared-2", "shared-2", "shared-1", "shared-2", "shared-1")
    ]
    assert [len(worker.actors) for worker in node.job.here.shared] == [3, 3]


async def test_actor_keeps_its_worker_until_that_is_unusable(node: Node) -> None:
    actor = record()
    first = node.choice.worker_of(actor)
    assert (node.choice.worker_of(actor), actor.place) == (first, first)
    first.ended(SHUTDOWN)
    second = node.choice.worker_of(actor)
    assert (second is first, actor.place, node.job.here.shared) == (False, second, [second])


async def test_actor_with_a_process_of_its_own_gets_a_new_worker_with_its_settings(node: Node) -> None:
    actor = record({"cpus": 1, "env_vars": {"A": "b"}, "hang_timeout_s": 3.0, "preload": "json", "name": "alone"})
    worker = node.choice.worker_of(actor)
    assert (worker.kind, worker.label) == (WorkerKind.OWN, actor.label)
    assert (worker.env_vars, worker.hang_timeout_s, worker.preload) == ({"A": "b"}, 3.0, ("json",))
    assert node.choice.worker_of(record({"isolation": "process"})) is not worker
    assert node.resources.reserved("cpus") == 1


async def test_supervisors_of_a_job_share_one_worker(node: Node) -> None:
    assert node.labels([record(is_supervisor=True) for _ in range(3)]) == ["supervisors"] * 3
    assert node.job.here.shared == []


async def test_actor_beside_another_goes_to_the_others_worker_while_that_is_usable(node: Node) -> None:
    parent = record({"isolation": "process"})
    place = node.choice.worker_of(parent)
    while node.workers.find(place.peer) is None:  # launches run in the background
        await asyncio.sleep(0)

    def beside() -> ActorRecord:
        child = record(is_beside=True)
        child.order.beside_peer_address = place.peer_address
        return child

    assert node.choice.worker_of(beside()) is place
    place.is_leaving = True
    assert node.choice.worker_of(beside()).label == "shared-1"


async def test_light_children_of_a_supervisor_go_to_workers_in_groups_of_neighbours(node: Node) -> None:
    supervisor = record(is_supervisor=True)
    node.choice.worker_of(supervisor)
    children = [record(supervisor=supervisor.actor_id, share=[index, 5]) for index in range(5)]
    assert node.labels(children) == ["shared-1", "shared-1", "shared-1", "shared-2", "shared-2"]
    assert list(node.job.here.child_groups) == [(supervisor.actor_id, 0), (supervisor.actor_id, 1)]
    other = IDS.actor()
    node.job.here.child_groups[other, 0] = node.job.here.shared[0]
    node.choice.forget_children_of(supervisor)
    assert node.job.here.child_groups == {(other, 0): node.job.here.shared[0]}


async def test_actor_of_an_ended_job_and_one_beyond_the_resources_get_no_worker(node: Node) -> None:
    with pytest.raises(PlacementError, match="the node has none"):
        node.choice.worker_of(record({"gpus": 1}))
    with pytest.raises(PlacementError, match="it reserves cpus=3, and the node has 2"):
        node.choice.worker_of(record({"cpus": 3}))
    node.choice.worker_of(record({"cpus": 1}))
    with pytest.raises(NoRoomError, match="waits for 2 cpus: this node has 1 of 2 cpus free"):
        node.choice.worker_of(record({"cpus": 2}))

    def ended(_: Any) -> Job:
        raise ActorStartError("the job has ended")

    with pytest.raises(ActorStartError, match="the job has ended"):
        WorkerChoice(node.workers, node.resources, ended, node.nodes).worker_of(record())
    assert (len(node.workers.all()), node.resources.reserved("cpus")) == (1, 1.0)


async def test_reservation_is_given_back_once(node: Node) -> None:
    actor = record({"cpus": 2})
    node.choice.worker_of(actor)
    assert set(node.choice.reserving()) == {actor.actor_id}
    node.choice.release(actor.actor_id)
    node.choice.release(actor.actor_id)
    assert (set(node.choice.reserving()), node.resources.reserved("cpus")) == (set(), 0.0)
