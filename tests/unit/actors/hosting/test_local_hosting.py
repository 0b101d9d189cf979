"""Light children: their authority's orders, carried out on the endpoint itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.cells.blueprint import SpecBinding
from actorrt.actors.hosting import local_hosting
from actorrt.actors.hosting.local_hosting import LocalHosting
from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.records import record_of

IDS = IdSource()
OWN, NODE = PeerAddress(IDS.peer(), "memory://own"), PeerAddress(IDS.peer(), "memory://node")


class Host:
    def __init__(self):
        self.log = []
        self.raising = None

    def start_at_once(self, actor_id, blueprint):
        if self.raising:
            raise self.raising
        self.log.append(("start at once", actor_id, blueprint))

    async def start(self, actor_id, label, incarnation, blueprint, snapshots):
        self.log.append(("start", actor_id, incarnation, blueprint()))

    def start_failed(self, actor_id, label, error):
        return ActorStartError(f"{label}: {error}")

    def stop(self, actor_id, reason, *, is_administrative, manner):
        self.log.append(("stop", actor_id, reason, is_administrative, manner))

    def kill(self, actor_id):
        self.log.append(("kill", actor_id))

    def restarts_later(self, actor_id, delay_s):
        self.log.append(("restarts later", actor_id, delay_s))

    def bury(self, actor_id, error):
        self.log.append(("bury", actor_id, str(error())))


class Stage:
    def __init__(self, monkeypatch):
        monkeypatch.setattr(local_hosting, "Blueprint", self.blueprint)
        self.starts_at_once = True
        self.asked, self.held = [], []
        self.listed = {}
        peers = SimpleNamespace(own=OWN, node=NODE)
        binding = SpecBinding(None, self, OWN.peer)
        self.hosting = LocalHosting(binding, self, self, self, peers)
        self.host = self.hosting.host = Host()

    def blueprint(self, binding, order, authority):
        return SimpleNamespace(order=order, authority=authority, starts_at_once=self.starts_at_once)

    def cell(self, actor_id):
        return self.listed.get(actor_id)

    def cells(self):
        return list(self.listed.values())

    def request(self, to, request):
        self.asked.append((to, request))
        return done()

    def ref(self, object_id, token):
        self.held.append((object_id, token))
        return ("held", object_id)

    def add_cell(self, record, *, is_child_here=True, has_distant_children=False):
        blueprint = SimpleNamespace(is_child_here=is_child_here)
        self.listed[record.actor_id] = SimpleNamespace(
            actor_id=record.actor_id, blueprint=blueprint, has_distant_children=has_distant_children
        )


async def done():
    await asyncio.sleep(0)


@pytest.fixture
def stage(monkeypatch):
    return Stage(monkeypatch)


def test_class_whose_start_never_waits_starts_at_once_with_a_blueprint_that_its_group_shares(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    assert stage.hosting.start_at_once(record) == OWN
    assert stage.host.log == [("start at once", record.actor_id, record.order.blueprint)]
    assert record.order.blueprint.authority == OWN


def test_start_that_may_wait_is_left_to_start(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    stage.starts_at_once = False
    assert (stage.hosting.start_at_once(record), stage.host.log) == (None, [])


def test_later_incarnation_never_starts_at_once(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    record.begin_start()
    assert (stage.hosting.start_at_once(record), stage.host.log) == (None, [])


def test_constructor_that_raises_is_a_start_error(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    stage.host.raising = ValueError("no")
    with pytest.raises(ActorStartError, match="no"):
        stage.hosting.start_at_once(record)


async def test_start_waits_for_the_end_of_children_elsewhere(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    stage.add_cell(record, has_distant_children=True)
    assert await stage.hosting.start(record) == OWN
    assert stage.asked == [(NODE, Orphaned(actor=record.actor_id))]
    assert (stage.host.log, record.home) == ([("start", record.actor_id, 1, record.order.blueprint)], OWN)


async def test_start_that_is_to_end_before_the_children_elsewhere_have_does_not_begin(stage):
    record = record_of(IDS.actor())
    record.begin_start()
    stage.add_cell(record, has_distant_children=True)
    starting = asyncio.ensure_future(stage.hosting.start(record))
    await asyncio.sleep(0)
    record.begin_end()
    with pytest.raises(ActorStartError, match="was stopped before it started"):
        await starting
    assert (len(stage.asked), stage.host.log) == (1, [])


def test_orders_to_end_reach_each_actor(stage):
    first, second = record_of(IDS.actor()), record_of(IDS.actor())
    second.end_for_good()
    second.plan_stop(Manner.AT_ONCE)
    stage.hosting.stop([first, second], "no more")
    stage.hosting.kill([first])
    stage.hosting.break_off(second)
    stage.hosting.restarts_later(first, 2.0)
    reason = ExitReason(ExitKind.SHUTDOWN, "no more")
    assert stage.host.log == [
        ("stop", first.actor_id, reason, False, Manner.ORDERLY),
        ("stop", second.actor_id, reason, True, Manner.AT_ONCE),
        ("kill", first.actor_id),
        ("kill", second.actor_id),
        ("restarts later", first.actor_id, 2.0),
    ]


def test_burial_waits_only_for_children_elsewhere(stage):
    near, far = record_of(IDS.actor()), record_of(IDS.actor())
    stage.add_cell(near)
    stage.add_cell(far, has_distant_children=True)
    assert stage.hosting.bury(near, near.tombstone(), is_buried=False) is None
    ending = stage.hosting.bury(far, far.tombstone(), is_buried=False)
    assert stage.asked == [(NODE, Orphaned(actor=far.actor_id))]
    assert [entry[:2] for entry in stage.host.log] == [("bury", near.actor_id), ("bury", far.actor_id)]
    ending.close()


def test_only_children_of_this_endpoint_are_kept_for_its_registry(stage):
    own, other = record_of(IDS.actor()), record_of(IDS.actor())
    stage.add_cell(own)
    stage.add_cell(other, is_child_here=False)
    assert stage.hosting.kept_actors() == [own.actor_id]


def test_object_is_held_as_often_as_it_was_asked_for(stage):
    object_id = IDS.object()
    stage.hosting.hold([object_id, object_id], [b"a", b"b"])
    stage.hosting.release([object_id])
    assert stage.held == [(object_id, b"a"), (object_id, b"b")]
    assert stage.hosting._held == {object_id: [("held", object_id)]}
    stage.hosting.release([object_id])
    assert stage.hosting._held == {}


def test_process_without_a_store_holds_nothing(stage):
    stage.hosting._store = None
    with pytest.raises(RuntimeStateError, match="this process has no object store"):
        stage.hosting.hold([IDS.object()], [b"a"])
