"""Spawns and lookups at the side of those who ask: what is ordered of whom, and what refs come of the answers."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.api.actor import Actor
from actorrt.actors.authority.sightings import PLACE_CODE
from actorrt.actors.endpoint.lookups import Lookups
from actorrt.actors.endpoint.ref_factory import RefFactory
from actorrt.actors.endpoint.spawn_orders import JobScope, Spawning
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs import current
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.spec import open_spec
from actorrt.actors.wire import interface
from actorrt.ids import ActorId, IdSource, JobId, PeerAddress, PeerId
from actorrt.protocol.authorities import (
    ActorCard,
    FindSibling,
    GroupPlaces,
    Sighting,
    Spawn,
    SpawnMany,
    WithdrawSpawn,
)
from actorrt.protocol.nodes import LookUp
from actorrt.scopes import Scope
from actorrt.store.values import pickling
from tests.unit.actors.calling.fakes import HERE, NODE, THERE, CallingSide, FakeControl
from tests.unit.records import crashed

JOB, OTHER_JOB = JobId(b"j" * 16), JobId(b"k" * 16)
PARENT = ActorId(b"p" * 16)
LIGHT = ActorOptions.of({})


class Simulator(Actor):
    def __init__(self, env: str, seed: int = 0) -> None:
        self.env, self.seed = env, seed

    def step(self, action: int) -> None: ...


class NotingControl(FakeControl):
    """Notes notices, too."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[PeerAddress, Any]] = []

    def notify(self, to: PeerAddress, notice: Any) -> bool:
        self.told.append((to, notice))
        return True


class Asking(CallingSide):
    """An endpoint that spawns and looks up, on the test's loop."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        threads = LoopThread()
        threads.begin(scope.loop, scope)
        self.control: Any = NotingControl()
        self.known: dict[ActorId, ActorId] = {}
        self.refs = RefFactory(self, self.peers, lambda actor_id: self.known.get(actor_id, actor_id))
        belongs = JobScope(JOB, "default")
        self.spawning = Spawning(threads, self.control, IdSource(), self.refs, None, self.peers, belongs)
        self.lookups = Lookups(threads, self.control, self.peers, self.refs, "default")

    async def asked(self, count: int = 1) -> Any:
        """Return the newest request, once so many were made."""
        while len(self.control.asked) < count:
            await asyncio.sleep(0)
        return self.control.asked[-1]


@pytest.fixture
async def side() -> AsyncIterator[Asking]:
    scope = Scope("test", crashed)
    yield Asking(scope)
    await scope.close()


@contextmanager
def inside(is_supervisor: bool = False, is_detached: bool = False) -> Iterator[Any]:
    """Run as code of an actor of this endpoint."""
    plan = SimpleNamespace(
        interface=interface.of_class(Simulator),
        authority=NODE,
        job=OTHER_JOB,
        namespace="theirs",
        is_detached=is_detached,
        is_supervisor=is_supervisor,
    )
    cell: Any = SimpleNamespace(
        actor_id=PARENT, incarnation=2, blueprint=plan, options=LIGHT, has_distant_children=False, label="the parent"
    )
    in_hand: Any = SimpleNamespace(cell=cell)
    token = current.message.set(in_hand)
    try:
        yield cell
    finally:
        current.message.reset(token)


def card(actor: ActorId, name: str | None = None) -> ActorCard:
    packed, _ = pickling.dumps((interface.of_class(Simulator).to_data(), 2.5))
    return ActorCard(actor=actor, card=packed, name=name, seen=Sighting(THERE, 1))


async def test_spawn_outside_of_actors_is_ordered_of_the_node(side: Asking) -> None:
    spawning = side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {"seed": 3})
    asked = await side.asked()
    order = asked.request.order
    assert (asked.to, type(asked.request)) == (NODE, Spawn)
    assert (order.class_name, order.job, order.namespace, order.parent) == ("Simulator", JOB, "default", None)
    assert (order.is_beside, order.is_detached, order.is_supervisor, order.objects) == (False, False, False, [])
    spec = open_spec(order.spec, None, side)
    assert (spec.cls, spec.args, spec.kwargs, spec.parent) == (Simulator, ("CartPole",), {"seed": 3}, None)
    asked.set_value(card(asked.request.actor))
    ref = await spawning
    assert (ref._actor_id, ref._authority, ref._seen) == (asked.request.actor, NODE, Sighting(THERE, 1))
    assert (ref._endpoint, ref._call_timeout_s) == (side, 2.5)


async def test_light_child_of_an_actor_is_ordered_of_its_own_endpoint(side: Asking) -> None:
    with inside() as parent:
        spawning = side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {}, actor_id=ActorId(b"c" * 16))
    asked = await side.asked()
    order = asked.request.order
    assert (asked.to, asked.request.actor) == (HERE, b"c" * 16)
    assert (order.parent, order.job, order.namespace, order.is_beside) == (PARENT, OTHER_JOB, "theirs", True)
    parent_ref = open_spec(order.spec, None, side).parent
    assert parent_ref is not None
    assert (parent_ref._actor_id, parent_ref._seen) == (PARENT, Sighting(HERE, 2))
    assert parent.has_distant_children is False
    asked.set_value(card(asked.request.actor))
    assert (await spawning)._authority == HERE


@pytest.mark.parametrize(
    ("options", "of_parent", "is_parented"),
    [
        ({"name": "sim"}, {}, True),
        ({"isolation": "process"}, {}, True),
        ({}, {"is_supervisor": True}, True),
        ({"detached": True}, {}, False),
    ],
    ids=str,
)
async def test_child_that_may_live_elsewhere_is_ordered_of_the_node(
    side: Asking, options: dict[str, Any], of_parent: dict[str, Any], is_parented: bool
) -> None:
    with inside(**of_parent) as parent:
        side.spawning.spawn(Simulator, ActorOptions.of(options), ("CartPole",), {})
    asked = await side.asked()
    assert (asked.to, asked.request.order.parent) == (NODE, PARENT if is_parented else None)
    assert parent.has_distant_children is is_parented


async def test_what_is_refused_is_refused_before_anything_is_ordered(side: Asking) -> None:
    with pytest.raises(TypeError, match=r"missing a required argument: 'env'"):
        side.spawning.spawn(Simulator, LIGHT, (), {})
    with pytest.raises(errors.SerializationError, match=r"args\[0\]"):
        side.spawning.spawn(Simulator, LIGHT, ((i for i in ()),), {})
    with pytest.raises(ValueError, match=r"spawn_many\(0\): give a count of 1 or more"):
        side.spawning.spawn_many(Simulator, LIGHT, 0, ("CartPole",), {})
    with pytest.raises(ValueError, match="a name belongs to one actor; leave it out"):
        side.spawning.spawn_many(Simulator, ActorOptions.of({"name": "sim"}), 2, ("CartPole",), {})
    assert side.control.asked == []


async def test_group_is_one_order_and_has_a_ref_for_each_actor(side: Asking) -> None:
    spawning = side.spawning.spawn_many(Simulator, ActorOptions.of({"call_timeout_s": 9.0}), 3, ("CartPole",), {})
    asked = await side.asked()
    assert type(asked.request) is SpawnMany
    ids = [*asked.request.actors]
    side.known[ids[1]] = kept = ActorId(bytes(bytearray(ids[1])))
    place_of = array(PLACE_CODE, [1, 0, 1]).tobytes()
    asked.set_value(GroupPlaces(places=[Sighting(HERE, 1), None], place_of=place_of))
    group = await spawning
    assert [ref._actor_id for ref in group] == ids
    assert group[1]._actor_id is kept
    assert [ref._seen for ref in group] == [None, Sighting(HERE, 1), None]
    assert {ref._call_timeout_s for ref in group} == {9.0}


async def test_spawn_that_is_cancelled_is_withdrawn(side: Asking) -> None:
    spawning = side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {})
    asked = await side.asked()
    spawning.cancel()
    with pytest.raises(errors.CallCancelledError):
        await spawning
    assert side.control.told == [(NODE, WithdrawSpawn(actor=asked.request.actor))]


async def test_spawn_that_fails_ends_with_its_error_and_is_not_withdrawn(side: Asking) -> None:
    spawning = side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {})
    (await side.asked()).set_error(errors.ActorStartError("Simulator did not start"))
    with pytest.raises(errors.ActorStartError, match="did not start"):
        await spawning
    assert side.control.told == []


async def test_name_is_looked_up_in_the_namespace_of_the_code_that_asks(side: Asking) -> None:
    outside = side.lookups.by_name("sim", 2.0)
    (await side.asked(1)).set_value(card(PARENT, "sim"))
    with inside():
        side.lookups.by_name("sim", 0.0)
    await side.asked(2)
    side.lookups.by_name("sim", 0.0, "elsewhere")
    await side.asked(3)
    assert [(asked.to, asked.request) for asked in side.control.asked] == [
        (NODE, LookUp(namespace="default", name="sim", timeout_s=2.0)),
        (NODE, LookUp(namespace="theirs", name="sim", timeout_s=0.0)),
        (NODE, LookUp(namespace="elsewhere", name="sim", timeout_s=0.0)),
    ]
    ref = await outside
    assert (ref._name, ref._authority, ref._actor_id) == ("sim", NODE, PARENT)


async def test_sibling_is_asked_of_the_actors_authority(side: Asking) -> None:
    authority = PeerAddress(PeerId(b"x" * 16), "memory://authority")
    with inside() as cell:
        cell.blueprint.authority = authority
    finding = side.lookups.sibling(cell, "other")
    asked = await side.asked()
    assert (asked.to, asked.request) == (authority, FindSibling(actor=PARENT, id="other"))
    asked.set_value(card(ActorId(b"s" * 16)))
    assert (await finding)._authority == authority
