"""A supervisor's decisions, carried out: what the authority of the children is told, and who hears what."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.api.actor import Actor
from actorrt.actors.policy.childspec import Strategy
from actorrt.actors.policy.supervision import Supervision
from actorrt.actors.supervisors.child import Child
from actorrt.actors.supervisors.child_authority import ChildAuthority
from actorrt.actors.supervisors.shell import Shell
from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.protocol.authorities import ActorCard, AwaitEnd, DelayChild, ForgetChild, Share, StopChild
from actorrt.protocol.hosts import ChildExited, ChildFailure, ChildrenRestarted, ChildStarted, ChildWithdrawn
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import RestartChildren, StopChildren
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason

IDS = IdSource()
NODE = PeerAddress(IDS.peer(), "memory://node")
CRASHED = ExitReason(ExitKind.CRASHED, signal=9)


class Node:
    """Stands for control, spawns and refs: notes what was asked, and answers by hand."""

    def __init__(self):
        self.told = []
        self.spawned = {}
        self.raising = {}  # by child

    def soon(self, callback, *args):
        """Call back at once, where a loop would do so in its next step."""
        callback(*args)

    def notify(self, to, notice):
        assert to == NODE
        self.told.append(notice)

    def request(self, to, request):
        self.notify(to, request)
        answer = Completion()
        answer.set_value(None)
        return answer

    def spawn(self, cls, options, args, kwargs, *, actor_id, supervisor, child_id, share):
        if child_id in self.raising:
            raise self.raising[child_id]
        started = Completion()
        self.spawned[child_id] = (actor_id, started, share)
        return started

    def from_card(self, card, authority):
        return ("ref", card.actor)


class Stage:
    def __init__(self, *ids, strategy=Strategy.ONE_FOR_ONE, **options):
        self.node, self.clock, self.timers, self.failures = Node(), ManualClock(), [], []
        self.supervisor = IDS.actor()
        children = {id: Child(Actor, **options) for id in ids}
        authority = ChildAuthority(NODE, self.node, self.node.soon, self.node, self.node, self.supervisor)
        cell = SimpleNamespace(label="team", fail=self.failures.append)
        supervision = Supervision(lambda: 0.0, strategy=strategy, max_restarts=5)
        self.shell = Shell(cell, supervision, children, authority, IDS.actor, self.clock, self.after)
        self.shell.begin()

    def after(self, delay_s, callback):
        self.timers.append((delay_s, callback))

    @property
    def told(self):
        told, self.node.told = self.node.told, []
        return told

    def forget(self):
        """Forget what was told so far."""
        self.node.told.clear()

    def actor(self, id):
        return self.node.spawned[id][0]

    def started(self, id):
        card = ActorCard(actor=self.actor(id), card=b"", name=None, seen=None)
        self.shell.child_started(ChildStarted(supervisor=self.supervisor, child=self.actor(id), card=card))

    def exited(self, id, reason=CRASHED, **more):
        event = {"had_handled_message": True, "is_administrative": False, "cause": None, **more}
        self.shell.child_exited(ChildExited(supervisor=self.supervisor, child=self.actor(id), reason=reason, **event))

    def restarted(self, *ids, failed=None, unreached=()):
        started = [self.actor(id) for id in ids]
        unreached = [self.actor(id) for id in unreached]
        self.shell.children_restarted(
            ChildrenRestarted(supervisor=self.supervisor, started=started, failed=failed, unreached=unreached)
        )

    def state(self, id):
        return str(self.shell.supervision.state_of(id))


def stop_of(actor_id, manner):
    return StopChild(actor=actor_id, reason="stopped by its supervisor", kill=False, manner=manner)


def running(*ids, **options):
    """Return a stage whose children run, and of which nothing has been told."""
    stage = Stage(*ids, **options)
    for id in ids:
        stage.started(id)
    assert stage.told == []
    return stage


def test_children_start_one_after_the_other_and_then_the_supervisor_is_ready():
    stage = Stage("a", "b")
    assert list(stage.node.spawned) == ["a"]
    stage.started("a")
    assert (list(stage.node.spawned), stage.shell.ready.done()) == (["a", "b"], False)
    stage.started("b")
    assert (stage.shell.ready.done(), stage.shell.ref("b")) == (True, ("ref", stage.actor("b")))
    assert dict(stage.shell.child_ids()) == {stage.actor("a"): "a", stage.actor("b"): "b"}


def test_light_children_are_told_their_place_among_each_other():
    stage = running("a", "b")
    assert [share for _, _, share in stage.node.spawned.values()] == [Share(0, 2), Share(1, 2)]


def test_answer_to_a_spawn_that_comes_after_the_news_says_nothing_new():
    stage = running("a")
    stage.node.spawned["a"][1].set_value("another ref")
    assert stage.shell.ref("a") == ("ref", stage.actor("a"))


def test_spawn_that_raises_at_once_is_a_first_start_that_failed():
    stage = Stage("a", "b")
    stage.node.raising["b"] = TypeError("no such argument")
    stage.started("a")
    assert stage.told == [
        StopChild(actor=stage.actor("a"), reason="stopped by its supervisor", kill=False, manner=Manner.AT_ONCE)
    ]
    stage.exited("a", SHUTDOWN)
    error = stage.shell.ready.error()
    assert (type(error), str(error)) == (ActorStartError, "a child did not start: no such argument")
    assert stage.shell.over.done()


def test_end_of_a_process_in_a_first_start_is_told_as_the_reason_by_the_supervisors_error():
    stage = Stage("a")
    stage.node.spawned["a"][1].set_error(ActorStartError("a did not start: crashed (SIGKILL)", reason=CRASHED))
    error = stage.shell.ready.error()
    assert str(error) == "a child did not start: a did not start: crashed (SIGKILL)"
    assert (error.reason.kind, error.reason.signal) == (ExitKind.CRASHED, 9)


def test_error_in_a_first_start_is_not_taken_for_the_end_of_a_process():
    stage = Stage("a")
    stage.node.spawned["a"][1].set_error(ActorStartError("a did not start: ValueError: no such world"))
    error = stage.shell.ready.error()
    assert (str(error), error.reason) == ("a child did not start: a did not start: ValueError: no such world", None)


def test_child_that_fails_is_started_again_by_an_order_to_its_authority():
    stage = running("a")
    stage.exited("a")
    assert stage.told == [RestartChildren(supervisor=stage.supervisor, actors=[stage.actor("a")])]
    stage.restarted("a")
    assert stage.state("a") == "running"


def test_child_that_backs_off_is_started_again_when_its_timer_is_over():
    stage = running("a")
    stage.exited("a", had_handled_message=False)
    stage.restarted("a")
    stage.exited("a", had_handled_message=False)
    stage.forget()
    ((delay_s, due),) = stage.timers
    assert (stage.state("a"), delay_s) == ("backing_off", 0.1)
    due()
    assert stage.told == [RestartChildren(supervisor=stage.supervisor, actors=[stage.actor("a")])]


def test_group_stops_and_starts_by_one_order_each_and_callers_of_the_failed_one_hear_so_before():
    stage = running("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)
    stage.exited("b")
    c, a = stage.actor("c"), stage.actor("a")
    assert stage.told == [
        StopChildren(actors=[c, a], reason="stopped by its supervisor", manner=Manner.FOR_RESTART),
        DelayChild(actor=stage.actor("b"), delay_s=0.0),
    ]
    stage.exited("c", SHUTDOWN)
    stage.exited("a", SHUTDOWN)
    assert stage.told == [
        RestartChildren(supervisor=stage.supervisor, actors=[stage.actor(id) for id in "abc"]),
    ]


def test_start_in_turn_that_fails_is_tried_again_with_those_behind_it():
    stage = running("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)
    for id in "bca":
        stage.exited(id, CRASHED if id == "b" else SHUTDOWN)
    stage.forget()
    failed = ChildFailure(
        child=stage.actor("b"), error=ActorStartError("no", reason=CRASHED), cause=None, is_administrative=False
    )
    stage.restarted("a", failed=failed, unreached=["c"])
    assert [stage.state(id) for id in "abc"] == ["stopping", "backing_off", "waiting"]


async def test_child_that_is_to_stop_is_stopped_and_forgotten():
    stage = running("a")
    end = stage.shell.stop_child("a")
    actor_id = stage.actor("a")
    assert stage.told == [stop_of(actor_id, Manner.ORDERLY)]
    await end
    assert stage.told == [AwaitEnd(actor=actor_id)]
    stage.exited("a", SHUTDOWN)
    assert (stage.told, "a" in stage.shell.supervision) == ([ForgetChild(actor=actor_id, reason=None)], False)
    with pytest.raises(ValueError, match="no child 'a'"):
        stage.shell.stop_child("a")


def test_child_that_somebody_withdraws_while_it_waits_is_forgotten():
    stage = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    stage.exited("a")
    stage.forget()
    stage.shell.child_withdrawn(ChildWithdrawn(supervisor=stage.supervisor, child=stage.actor("a")))
    assert stage.told == [ForgetChild(actor=stage.actor("a"), reason=None)]


async def test_event_about_a_child_that_was_forgotten_is_ignored():
    stage = running("a")
    end = stage.shell.stop_child("a")
    stage.exited("a", SHUTDOWN)
    await end
    stage.forget()
    stage.exited("a")
    stage.started("a")
    stage.restarted("a")
    assert (stage.told, stage.failures) == ([], [])


def test_supervisor_that_gives_up_fails_when_its_children_have_ended():
    stage = running("a", "b")
    for _ in range(5):
        stage.exited("a")
        stage.restarted("a")
    stage.exited("a")
    assert stage.failures == []
    stage.exited("b", SHUTDOWN)
    ((reason),) = stage.failures
    assert (reason.kind, stage.shell.over.done()) == (ExitKind.INTENSITY, True)


def test_order_that_raises_fails_the_supervisor():
    stage = running("a")

    def refuse(to, notice):
        raise ConnectionError("no way there")

    stage.node.notify = refuse
    stage.exited("a")
    ((reason),) = stage.failures
    assert (reason.kind, reason.detail) == (ExitKind.ERROR, "ConnectionError: no way there")
    assert stage.shell.over.done()


def test_supervisor_whose_incarnation_is_over_hears_nothing_more():
    stage = running("a")
    stage.shell.end()
    stage.shell.end()
    stage.exited("a")
    assert (stage.told, stage.shell.over.done()) == ([], True)


async def test_child_that_is_added_is_returned_when_it_runs():
    stage = running("a")
    adding = asyncio.ensure_future(stage.shell.start_child(Child(Actor, id="b")))
    await asyncio.sleep(0)
    stage.started("b")
    assert await adding == ("ref", stage.actor("b"))


async def test_child_that_is_added_and_does_not_start_is_no_child():
    stage = running("a")
    adding = asyncio.ensure_future(stage.shell.start_child(Child(Actor, id="b")))
    await asyncio.sleep(0)
    stage.node.spawned["b"][1].set_error(ActorStartError("no room"))
    with pytest.raises(ActorStartError, match="no room"):
        await adding
    assert "b" not in stage.shell.supervision


async def test_start_of_an_added_child_that_is_cancelled_ends_it():
    stage = running("a")
    adding = asyncio.ensure_future(stage.shell.start_child(Child(Actor, id="b")))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    (stop,) = stage.told
    assert (type(stop), stop.actor) == (StopChild, stage.actor("b"))


async def test_id_that_is_taken_is_refused_and_nothing_changes():
    stage = running("a")
    with pytest.raises(ValueError, match="child id 'a' is taken"):
        await stage.shell.start_child(Child(Actor, id="a"))
    assert (stage.told, [child.id for child in stage.shell.supervision.children()]) == ([], ["a"])
