"""Monitors and links of hosted actors: what follows the end of another."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.authority.authority_verbs import serve_links
from actorrt.actors.hosting.actor_links import ActorLinks
from actorrt.actors.refs.ends import Down, Exit
from actorrt.actors.refs.operation import Operation
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import LinkActor, UnlinkActor
from actorrt.protocol.hosts import Linked, Unlinked
from actorrt.reasons import NORMAL, ExitKind, ExitReason

IDS = IdSource()
NODE = PeerAddress(IDS.peer(), "memory://node")
CRASHED = ExitReason(ExitKind.CRASHED, "segmentation fault", signal=11)


class Ref:
    """A ref, as far as links look at it."""

    def __init__(self, label="other"):
        self._actor_id, self._label, self._authority = IDS.actor(), label, NODE


class Cell:
    def __init__(self):
        self.actor_id, self.incarnation = IDS.actor(), 1
        self.context = SimpleNamespace(links={}, trap_exits=False, ref="a ref to this actor")
        self.signals = []
        self.failures = []

    def signal(self, hook, *args):
        self.signals.append((hook, *args))

    def fail(self, reason):
        self.failures.append((reason.kind, reason.detail, reason.signal))


class Stage:
    def __init__(self):
        self.watches = []
        self.told = []
        self.handlers = {}
        self.cell = Cell()
        self.links = ActorLinks(self.monitor, self, None, self, {self.cell.actor_id: self.cell}.get)

    def monitor(self, ref):
        watch = Operation("the monitor", lambda: self.told.append("watch cancelled"))
        self.watches.append(watch)
        return watch

    def handle(self, handler):
        self.handlers[handler.request] = handler.handle

    def notify(self, to, notice):
        self.told.append((to, type(notice), notice.actor))


@pytest.fixture
def stage():
    return Stage()


async def test_end_of_a_monitored_actor_calls_on_down_once(stage):
    ref = Ref()
    stage.links.monitor(stage.cell, ref)
    down = Down(ref, CRASHED, 2)
    stage.watches[0].set_value(down)
    assert (stage.cell.signals, stage.cell.failures) == ([("on_down", down)], [])


async def test_next_incarnation_hears_nothing_of_a_monitor(stage):
    stage.links.monitor(stage.cell, Ref())
    stage.cell.incarnation = 2
    stage.watches[0].set_value(Down(Ref(), CRASHED, 1))
    assert stage.cell.signals == []


async def test_link_watches_here_and_asks_for_a_watch_there(stage):
    ref = Ref()
    stage.links.link(stage.cell, ref)
    stage.links.link(stage.cell, ref)
    assert len(stage.watches) == 1
    assert (stage.told, list(stage.cell.context.links)) == ([(NODE, LinkActor, ref._actor_id)], [ref._actor_id])


async def test_link_to_oneself_is_none(stage):
    ref = Ref()
    ref._actor_id = stage.cell.actor_id
    stage.links.link(stage.cell, ref)
    assert (stage.watches, stage.told) == ([], [])


async def test_end_of_a_linked_actor_ends_this_one_for_the_same_reason(stage):
    ref = Ref()
    stage.links.link(stage.cell, ref)
    stage.watches[0].set_value(Down(ref, CRASHED, 2))
    detail = f"it was linked to other, which ended with {CRASHED}"
    assert stage.cell.failures == [(ExitKind.CRASHED, detail, None)]
    assert stage.cell.context.links == {}


async def test_normal_end_of_a_linked_actor_ends_nobody(stage):
    stage.links.link(stage.cell, ref := Ref())
    stage.watches[0].set_value(Down(ref, NORMAL, 2))
    assert (stage.cell.failures, stage.cell.signals, stage.cell.context.links) == ([], [], {})


@pytest.mark.parametrize("reason", [NORMAL, CRASHED])
async def test_trapped_exit_is_a_signal(stage, reason):
    stage.cell.context.trap_exits = True
    stage.links.link(stage.cell, ref := Ref())
    stage.watches[0].set_value(Down(ref, reason, 2))
    assert (stage.cell.failures, stage.cell.signals) == ([], [("on_exit", Exit(ref, reason, 2))])


async def test_unlink_undoes_both_sides_and_an_end_does_nothing_then(stage):
    stage.links.link(stage.cell, ref := Ref())
    stage.links.unlink(stage.cell, ref)
    stage.links.unlink(stage.cell, ref)
    assert stage.told[1:] == ["watch cancelled", (NODE, UnlinkActor, ref._actor_id)]
    stage.watches[0].set_value(Down(ref, CRASHED, 2))
    assert stage.cell.failures == []


async def test_other_side_of_a_link_may_undo_it(stage):
    stage.links.link(stage.cell, ref := Ref())
    stage.links._unlinked(NODE.peer, Unlinked(actor=stage.cell.actor_id, other=ref._actor_id))
    stage.links._unlinked(NODE.peer, Unlinked(actor=IDS.actor(), other=ref._actor_id))
    assert (stage.cell.context.links, stage.told[-1]) == ({}, "watch cancelled")


class Registry:
    """One actor that is about to start."""

    def __init__(self):
        self.record_of_it = SimpleNamespace(peer_address=None, state=None, next_change=self.next_change)
        self.waiting = asyncio.get_running_loop().create_future()

    def record(self, actor_id):
        return self.record_of_it

    def next_change(self):
        return self.waiting


async def test_authority_passes_a_link_on_as_soon_as_the_actor_runs(stage):
    registry = Registry()
    serve_links(registry, stage)
    actor_id = IDS.actor()
    passing = stage.handlers[LinkActor](NODE.peer, LinkActor(actor=actor_id, to=b"ref"))
    passing.send(None)  # up to where it waits
    assert stage.told == []
    registry.record_of_it.peer_address = NODE
    registry.waiting.set_result(None)
    with pytest.raises(StopIteration):
        passing.send(None)
    assert stage.told == [(NODE, Linked, actor_id)]


async def test_authority_passes_nothing_on_to_an_actor_that_is_gone(stage):
    registry = Registry()
    registry.record_of_it = None
    serve_links(registry, stage)
    await stage.handlers[UnlinkActor](NODE.peer, UnlinkActor(actor=IDS.actor(), other=IDS.actor()))
    assert stage.told == []
