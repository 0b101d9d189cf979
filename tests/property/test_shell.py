"""The shell of a supervisor over an authority that raises at random: every waiting caller is told in the end.

Children are started, fail, are added and stopped in every order; a spawn may raise at once, and a notice may be
refused. In every case, answering the open requests ends `ready`, every `start_child` and, after the order to stop,
`over`.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actorrt.actors.api.actor import Actor
from actorrt.actors.policy.childspec import Strategy
from actorrt.actors.policy.supervision import Supervision
from actorrt.actors.supervisors.child import Child
from actorrt.actors.supervisors.shell import Shell
from actorrt.completion import Completion
from actorrt.errors import ActorStartError, MailboxFullError
from actorrt.ids import ID_BYTES, IdSource
from actorrt.machine.clock import ManualClock
from actorrt.protocol.hosts import ChildExited, ChildFailure, ChildrenRestarted, ChildStarted
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason

CRASHED = ExitReason(ExitKind.CRASHED, signal=9)
REASONS = st.sampled_from([NORMAL, SHUTDOWN, KILLED, CRASHED])
RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])
RAISES = [None, TypeError("no such argument"), MailboxFullError("no room"), ZeroDivisionError("by a reducer")]


class CountedIds(IdSource):
    """Makes ids in order, so that a repeated example is the same."""

    def __init__(self):
        self._made_count = 0

    def _random(self, count=1):
        first, self._made_count = self._made_count, self._made_count + count
        return b"".join(number.to_bytes(ID_BYTES, "big") for number in range(first, self._made_count))


class Authority:
    """Replaces the authority of the children, and records its orders."""

    def __init__(self):
        self.ids = CountedIds()
        self.raising = None  # what the next spawn or order raises
        self.answers = {}  # of spawns under way
        self.starting, self.running, self.stopping = set(), set(), set()
        self.retries = []
        self.wrong = []  # what was ordered that can't be; an assertion here would be taken for a raising order

    def _raise(self):
        error, self.raising = self.raising, None
        if error is not None:
            raise error

    @property
    def _alive(self):
        return self.starting | self.running

    def spawn(self, actor_id, child, child_id, share):
        self._raise()
        self.starting.add(actor_id)
        answer = self.answers[actor_id] = Completion()
        return answer

    def ref(self, card):
        return SimpleNamespace(_actor_id=card)

    def after(self, delay_s, callback):
        self.retries.append(callback)

    def restart(self, actors):
        self._raise()
        self.wrong += [("restart", actor) for actor in actors if actor in self._alive]
        self.starting |= set(actors)

    def stop(self, actor_id, *, kill, manner):
        self.stop_in_turn([actor_id], manner)

    def stop_in_turn(self, actors, manner):
        self._raise()
        self.wrong += [("stop", actor) for actor in actors if actor not in self._alive]
        self.stopping |= set(actors) & self._alive

    def delay(self, actor_id, delay_s):
        self._must_be_gone("delay", actor_id)

    def forget(self, actor_id, reason):
        self._must_be_gone("forget", actor_id)

    def _must_be_gone(self, order, actor_id):
        self._raise()
        self.wrong += [(order, actor_id)] if actor_id in self._alive else []

    def end_of(self, actor_id):
        return Completion()

    def drop(self, actor):
        for actors in (self.starting, self.running, self.stopping):
            actors.discard(actor)


class Shells(RuleBasedStateMachine):
    @initialize(
        strategy=st.sampled_from([s for s in Strategy if s is not Strategy.QUORUM]),
        restarts=st.lists(RESTARTS, max_size=4),
        max_restarts=st.integers(0, 6),
        raising=st.sampled_from(RAISES),
        raising_at_the_end=st.sampled_from(RAISES),
    )
    def begin(self, strategy, restarts, max_restarts, raising, raising_at_the_end):
        self.raising_at_the_end = raising_at_the_end
        self.loop = asyncio.new_event_loop()
        self.adding = []
        self.failed = None
        self.authority = Authority()
        self.authority.raising = raising
        children = {f"c{i}": Child(Actor, restart=restart) for i, restart in enumerate(restarts)}
        supervision = Supervision(lambda: 0.5, strategy=strategy, max_restarts=max_restarts)
        cell = SimpleNamespace(label="the supervisor", fail=self.fail)
        authority = self.authority
        self.supervisor = authority.ids.actor()
        self.shell = Shell(cell, supervision, children, authority, authority.ids.actor, ManualClock(), authority.after)
        self.shell.begin()
        self.added_count = 0

    def fail(self, reason):
        assert self.failed is None, "a supervisor fails once"
        self.failed = reason

    @property
    def lives(self):
        """Whether the supervisor does: the cell of one that failed tells its shell nothing more."""
        return self.failed is None and not (self.shell.ready.done() and self.shell.ready.error())

    def step(self):
        """Run the loop until waiting callers have been told."""
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    def of(self, data, actors):
        return data.draw(st.sampled_from(sorted(actors)))

    @rule(raising=st.sampled_from(RAISES))
    def the_next_order_raises(self, raising):
        self.authority.raising = raising

    @precondition(lambda self: self.authority.starting)
    @rule(data=st.data(), succeeds=st.booleans(), exits=st.booleans())
    def a_start_ends(self, data, succeeds, exits):
        actor = self.of(data, self.authority.starting)
        if not succeeds:
            self.start_fails(actor)
            return
        self.start_succeeds(actor)
        if exits:  # before its supervisor has seen the answer to the spawn
            self.exits(actor, CRASHED)

    def start_succeeds(self, actor):
        self.authority.starting.discard(actor)
        self.authority.running.add(actor)
        answer = self.authority.answers.pop(actor, None)
        if answer is None:
            self.tell(self.shell.children_restarted, ChildrenRestarted, started=[actor], unreached=[], failed=None)
        else:
            self.tell(self.shell.child_started, ChildStarted, child=actor, card=actor)
            self.loop.call_soon(answer.set_value, self.authority.ref(actor))

    @precondition(lambda self: self.authority.answers)
    @rule(data=st.data())
    def a_start_finds_the_name_taken(self, data):
        """The answer is the ref of an actor that is no child; an order to stop the child may be under way."""
        actor = self.of(data, self.authority.answers)
        self.authority.drop(actor)
        self.authority.answers.pop(actor).set_value(self.authority.ref(self.authority.ids.actor()))

    def start_fails(self, actor):
        answer = self.authority.answers.pop(actor, None)
        self.authority.drop(actor)
        error = ActorStartError("it did not start", reason=CRASHED)
        if answer is not None:
            answer.set_error(error)
        else:
            failed = ChildFailure(child=actor, error=error, cause=None, is_administrative=False)
            self.tell(self.shell.children_restarted, ChildrenRestarted, started=[], unreached=[], failed=failed)

    @precondition(lambda self: self.authority.running)
    @rule(data=st.data(), reason=REASONS, is_administrative=st.booleans())
    def a_child_exits(self, data, reason, is_administrative):
        self.exits(self.of(data, self.authority.running), reason, is_administrative)

    def exits(self, actor, reason, is_administrative=False):
        self.authority.drop(actor)
        self.tell(
            self.shell.child_exited,
            ChildExited,
            child=actor,
            reason=reason,
            had_handled_message=False,
            cause=None,
            is_administrative=is_administrative,
        )

    def tell(self, hear, event, **data):
        if self.lives:
            hear(event(supervisor=self.supervisor, **data))

    @precondition(lambda self: self.authority.retries)
    @rule(data=st.data())
    def a_retry_is_due(self, data):
        retries = self.authority.retries
        retries.pop(data.draw(st.integers(0, len(retries) - 1)))()

    @precondition(lambda self: self.lives and self.shell.ready.done())
    @rule(restart=RESTARTS, is_cancelled=st.booleans())
    def a_child_is_added(self, restart, is_cancelled):
        self.added_count += 1
        adding = self.loop.create_task(self.shell.start_child(Child(Actor, id=f"a{self.added_count}", restart=restart)))
        self.adding.append(adding)
        self.step()
        if is_cancelled:
            adding.cancel()
        self.step()

    @precondition(lambda self: self.lives and self.shell.ready.done() and self.shell.supervision.children())
    @rule(data=st.data())
    def a_child_is_to_stop(self, data):
        self.shell.stop_child(self.of(data, [child.id for child in self.shell.supervision.children()]))

    @precondition(lambda self: self.shell.ready.done())
    @rule()
    def all_is_to_stop(self):
        self.shell.stop()

    def teardown(self):
        if hasattr(self, "loop"):
            try:
                self.ends()
            finally:
                for adding in self.adding:  # of one that failed, its cell cancels what is in hand
                    adding.cancel()
                self.loop.run_until_complete(self.all_told())
                self.loop.close()

    def ends(self):
        self.settle()
        self.authority.raising = self.raising_at_the_end
        self.shell.stop()
        self.settle()
        self.step()
        assert self.shell.ready.done()
        assert self.shell.over.done()
        assert self.authority.wrong == []
        if self.lives:
            assert not self.authority.starting | self.authority.running
            assert self.shell.supervision.children() == []
            assert all(adding.done() for adding in self.adding)

    async def all_told(self):
        await asyncio.gather(*self.adding, return_exceptions=True)

    def settle(self):
        """Answer every open request."""
        authority = self.authority
        while self.lives and (authority.starting or authority.stopping or authority.retries):
            if authority.stopping:
                actor = min(authority.stopping)
                self.start_fails(actor) if actor in authority.starting else self.exits(actor, SHUTDOWN)
            elif authority.starting:
                self.start_succeeds(min(authority.starting))
            else:
                authority.retries.pop()()
            self.step()


TestShells = Shells.TestCase
TestShells.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
