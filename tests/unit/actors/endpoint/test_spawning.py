"""Spawns at the side of those who ask: what is ordered of whom, and what refs come of the answers."""

from __future__ import annotations

import asyncio
from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.authority.sightings import PLACE_CODE
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint import spawn_orders
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.spec import PackedSpec, open_spec
from actorrt.ids import ActorId
from actorrt.protocol.authorities import (
    GroupPlaces,
    Sighting,
    Spawn,
    SpawnMany,
    WithdrawSpawn,
)
from tests.unit.actors.calling.fakes import HERE, NODE, THERE
from tests.unit.actors.endpoint.asking import JOB, LIGHT, OTHER_JOB, PARENT, Asking, Simulator, card, inside


class NotingStore:
    """Notes the transits that begin."""

    def __init__(self, side: Asking) -> None:
        self.departed: list[tuple[bytes, bytes, int]] = []
        self.settled: list[bytes] = []
        side.spawning.store = self  # type: ignore[assignment]

    def new_token(self) -> bytes:
        return b"t" * 24

    def begin_transit(self, ref: Any, token: bytes, copies_count: int) -> None:
        self.begin_transits([(ref.id, token, copies_count)])

    def begin_transits(self, departed: list[tuple[bytes, bytes, int]]) -> None:
        self.departed += departed

    def settle(self, tokens: list[bytes]) -> None:
        self.settled += tokens


def spawning_with_object(side: Asking, is_group: bool) -> Any:
    """Begin a spawn, or that of a group of two, whose arguments hold one object."""
    packed = PackedSpec([b"", []], [SimpleNamespace(id=b"o" * 16)])  # type: ignore[list-item]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawn_orders, "pack_spec", lambda *_: packed)
        if is_group:
            return side.spawning.spawn_many(Simulator, LIGHT, 2, ("CartPole",), {})
        return side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {})


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


@pytest.mark.parametrize("is_group", [False, True], ids=["one", "group"])
@pytest.mark.parametrize("end", [{"state": CellState.FAILED}, {"state": CellState.ENDED}, {"incarnation": 3}], ids=str)
async def test_spawn_whose_parent_has_ended_before_the_order_left_is_not_ordered(
    side: Asking, end: dict[str, Any], is_group: bool
) -> None:
    store = NotingStore(side)
    with inside() as parent:
        spawning = spawning_with_object(side, is_group)
    parent.__dict__.update(end)  # in the same step, so that its end is reported before the order would leave
    with pytest.raises(
        errors.ActorStartError, match="Simulator did not start: the parent, which spawned it, has ended"
    ):
        await spawning
    assert side.control.asked == []
    assert store.departed == []  # nobody waits for the objects of the order


@pytest.mark.parametrize(
    ("is_group", "steps"), [(False, 0), (True, 0), (True, 1)], ids=["one", "group", "group that draws ids"]
)
async def test_spawn_that_is_cancelled_before_the_order_left_keeps_no_object_in_the_store(
    side: Asking, is_group: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn_orders, "AT_ONCE_COUNT", 1)
    store = NotingStore(side)
    spawning = spawning_with_object(side, is_group)
    for _ in range(steps):
        await asyncio.sleep(0)
    spawning.cancel()
    with pytest.raises(errors.CallCancelledError):
        await spawning
    assert (side.control.asked, store.departed) == ([], [])


@pytest.mark.parametrize("is_group", [False, True], ids=["one", "group"])
async def test_objects_of_an_order_are_kept_for_each_actor_from_when_it_leaves(side: Asking, is_group: bool) -> None:
    store = NotingStore(side)
    spawning_with_object(side, is_group)
    (held,) = (await side.asked()).request.order.objects
    assert store.departed == [(b"o" * 16, held.token, 2 if is_group else 1)]


@pytest.mark.parametrize("is_group", [False, True], ids=["one", "group"])
async def test_objects_that_a_spawn_which_fails_has_sent_are_not_kept(side: Asking, is_group: bool) -> None:
    store = NotingStore(side)
    spawning = spawning_with_object(side, is_group)
    asked = await side.asked()
    (held,) = asked.request.order.objects
    assert store.settled == []
    asked.set_error(errors.ActorStartError("Simulator did not start"))
    with pytest.raises(errors.ActorStartError, match="did not start"):
        await spawning
    assert store.settled == [held.token]


async def test_spawn_of_a_parent_that_stops_is_ordered_since_its_end_comes_later(side: Asking) -> None:
    with inside() as parent:
        side.spawning.spawn(Simulator, LIGHT, ("CartPole",), {})
    parent.state = CellState.FINISHING
    assert (await side.asked()).request.order.parent == PARENT
