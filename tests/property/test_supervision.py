"""Supervision compared with an interpreter of the published rules, and its own promises in every interleaving.

The interpreter takes whole steps only: a child fails, and all consequences happen at once. It follows "Supervision
Principles" with plain lists. It has none of the states that let the real supervision wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actorrt.actors.policy.childspec import ChildSpec, Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    Instruction,
    Ready,
    RetryAfter,
    StartOne,
    StartSeveral,
    StopOne,
    Stopped,
    StopSeveral,
)
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervision import Supervision
from actorrt.errors import RuntimeStateError
from actorrt.protocol.manner import Manner
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason
from actorrt.testing.world.restart_rules import Intensity, is_normal, is_restarted

CRASHED = ExitReason(ExitKind.CRASHED, signal=9)
REASONS = st.sampled_from([NORMAL, SHUTDOWN, KILLED, CRASHED])
RESTARTS = st.lists(st.sampled_from(RestartType), min_size=1, max_size=5)
PERIOD_S = 10.0


def quorum_of(strategy: Strategy, wanted: int, specs: list[ChildSpec]) -> int | None:
    return min(wanted, len(specs)) if strategy is Strategy.QUORUM else None


@dataclass
class Rules:
    """OTP's rules, on whole steps."""

    strategy: Strategy
    quorum: int | None
    intensity: Intensity
    specs: list[ChildSpec]
    alive: set[str] = field(default_factory=set)
    is_over: bool = False

    def exited(self, id: str, reason: ExitReason, now: float) -> list[Instruction]:
        spec = next(s for s in self.specs if s.id == id)
        self.alive.discard(id)
        is_failure = not is_normal(reason) or spec.restart is RestartType.PERMANENT
        if self.quorum is not None and is_failure and len(self.alive) < self.quorum:
            return self.ended([id])
        if spec.restart is RestartType.TEMPORARY:
            self.specs.remove(spec)
            return [Forget(id)]
        if not is_restarted(spec.restart, reason):
            return [Forget(id)]
        if self.intensity.is_exceeded_by(now) and self.quorum is None:
            return self.ended([id])
        return self.restarted(spec)

    def restarted(self, spec: ChildSpec) -> list[Instruction]:
        place = self.specs.index(spec)
        group = {
            Strategy.ONE_FOR_ONE: [spec],
            Strategy.QUORUM: [spec],
            Strategy.ONE_FOR_ALL: list(self.specs),
            Strategy.REST_FOR_ONE: self.specs[place:],
        }[self.strategy]
        done: list[Instruction] = []
        for other in reversed(group):
            if other.id in self.alive:
                is_over = other.restart is RestartType.TEMPORARY
                done.append(StopOne(other.id, manner=Manner.AT_ONCE if is_over else Manner.FOR_RESTART))
                if other.restart is RestartType.TEMPORARY:
                    done.append(Forget(other.id))
                    self.alive.discard(other.id)
                    self.specs.remove(other)
        again = [s.id for s in group if s in self.specs]
        self.alive |= set(again)
        return done + [StartOne(id) for id in again]

    def ended(self, dead: list[str]) -> list[Instruction]:
        done: list[Instruction] = [Forget(id) for id in dead]
        for spec in reversed(self.specs):
            if spec.id in self.alive:
                done += [StopOne(spec.id, manner=Manner.AT_ONCE), Forget(spec.id)]
        self.specs, self.alive, self.is_over = [], set(), True
        return done


class WholeSteps(RuleBasedStateMachine):
    """Carries out each step to its end at once; its record must equal the interpreter's record."""

    @initialize(
        restarts=RESTARTS, strategy=st.sampled_from(Strategy), max_restarts=st.integers(0, 4), quorum=st.integers(1, 5)
    )
    def begin(self, restarts: list[RestartType], strategy: Strategy, max_restarts: int, quorum: int) -> None:
        specs = [ChildSpec(f"c{i}", restart) for i, restart in enumerate(restarts)]
        self.now = 0.0
        self.count = len(specs)
        least = quorum_of(strategy, quorum, specs)
        self.rules = Rules(strategy, least, Intensity(max_restarts, PERIOD_S), list(specs), {spec.id for spec in specs})
        self.real = Supervision(
            lambda: 0.0, strategy=strategy, max_restarts=max_restarts, period_s=PERIOD_S, quorum=least
        )
        done = self.carry_out(self.real.start_requested(specs))
        assert done == [*(StartOne(spec.id) for spec in specs), Ready()]

    def carry_out(self, instructions: list[Instruction]) -> list[Instruction]:
        done: list[Instruction] = []
        queue = list(instructions)
        while queue:
            instruction = queue.pop(0)
            done.append(instruction)
            match instruction:
                case StartOne(id):
                    queue += self.real.child_started(id, self.now)
                case StopOne(id):
                    queue += self.real.child_exited(id, SHUTDOWN, self.now)
                case StartSeveral(ids):
                    done[-1:] = [StartOne(id) for id in ids]
                    queue += [i for id in ids for i in self.real.child_started(id, self.now)]
                case StopSeveral(ids, manner):
                    done.pop()
                    for id in ids:
                        done.append(StopOne(id, manner=manner))
                        queue += self.real.child_exited(id, SHUTDOWN, self.now)
                        done += [queue.pop(0) for _ in list(queue) if isinstance(queue[0], Forget)]
                case RetryAfter(id):
                    queue += self.real.retry_due(id)
        return [i for i in done if not isinstance(i, RetryAfter)]

    @rule(passed_s=st.sampled_from([0.0, 1.0, 5.0, 10.0, 10.5]))
    def time_passes(self, passed_s: float) -> None:
        self.now += passed_s

    @precondition(lambda self: self.rules.alive)
    @rule(data=st.data(), reason=REASONS)
    def a_child_exits(self, data: st.DataObject, reason: ExitReason) -> None:
        id = data.draw(st.sampled_from(sorted(self.rules.alive)))
        expected = self.rules.exited(id, reason, self.now)
        done = self.carry_out(self.real.child_exited(id, reason, self.now, had_handled_message=True))
        if self.rules.is_over:
            (*done, give_up) = done
            assert isinstance(give_up, GiveUp)
            expected = [Forget(i.id, give_up.reason) if i == Forget(id) else i for i in expected]
        assert done == expected

    @precondition(lambda self: not self.rules.is_over)
    @rule(restart=st.sampled_from(RestartType))
    def a_child_is_added(self, restart: RestartType) -> None:
        spec = ChildSpec(f"c{self.count}", restart)
        self.count += 1
        self.rules.specs.append(spec)
        self.rules.alive.add(spec.id)
        assert self.carry_out(self.real.child_added(spec)) == [StartOne(spec.id)]

    @precondition(lambda self: self.rules.alive)
    @rule(data=st.data(), kill=st.booleans())
    def a_child_is_stopped(self, data: st.DataObject, kill: bool) -> None:
        id = data.draw(st.sampled_from(sorted(self.rules.alive)))
        self.rules.alive.discard(id)
        self.rules.specs = [spec for spec in self.rules.specs if spec.id != id]
        assert self.carry_out(self.real.stop_child_requested(id, kill=kill)) == [StopOne(id, kill), Forget(id)]

    @invariant()
    def the_same_children_are_left(self) -> None:
        if hasattr(self, "rules"):
            assert [child.id for child in self.real.children()] == [spec.id for spec in self.rules.specs]
            running = {child.id for child in self.real.children() if child.state == "running"}
            assert running == self.rules.alive


class Interleavings(RuleBasedStateMachine):
    """Instructions take time, and other events happen meanwhile; the contract of the shell must hold."""

    @initialize(
        restarts=RESTARTS, strategy=st.sampled_from(Strategy), max_restarts=st.integers(0, 6), quorum=st.integers(1, 5)
    )
    def begin(self, restarts: list[RestartType], strategy: Strategy, max_restarts: int, quorum: int) -> None:
        specs = [ChildSpec(f"c{i}", restart) for i, restart in enumerate(restarts)]
        least = quorum_of(strategy, quorum, specs)
        self.real = Supervision(
            lambda: 0.5, strategy=strategy, max_restarts=max_restarts, period_s=PERIOD_S, quorum=least
        )
        self.now = 0.0
        self.count = len(specs)
        self.starting: set[str] = set()
        self.running: set[str] = set()
        self.stopping: set[str] = set()
        self.in_turn: list[list[str]] = []  # what starts one after the other, as far as it has not
        self.retries: list[str] = []
        self.is_ending = self.is_over = False
        self.take(self.real.start_requested(specs))

    def take(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            assert not self.is_over, "nothing follows the end"
            match instruction:
                case StartOne(id):
                    self.is_started([id])
                case StartSeveral(ids):
                    assert len(ids) > 1
                    self.is_started(ids)
                    self.in_turn.append(list(ids))
                case StopOne(id, kill):
                    assert id in self.starting | self.running, "only what lives is stopped"
                    assert kill or id not in self.stopping, "a child is asked once"
                    self.stopping.add(id)
                case StopSeveral(ids):
                    assert len(ids) > 1
                    assert self.running >= set(ids), "only what runs is stopped in turn"
                    assert not self.stopping & set(ids), "a child is asked once"
                    self.stopping |= set(ids)
                case Forget(id):
                    assert id not in self.starting | self.running, "only what has ended is forgotten"
                case RetryAfter(id, delay_s):
                    assert 0 < delay_s <= 10
                    self.retries.append(id)
                case GiveUp() | Stopped():
                    assert not self.starting | self.running, "the end comes after every child's"
                    assert self.real.children() == []
                    self.is_over = True

    def is_started(self, ids: Sequence[str]) -> None:
        assert not self.is_ending
        for id in ids:
            assert id not in self.starting | self.running, "a child is started once until it ends"
            self.starting.add(id)

    def drop(self, id: str) -> None:
        for ids in (self.starting, self.running, self.stopping):
            ids.discard(id)
        self.leave_turn(id)

    def leave_turn(self, id: str) -> list[str]:
        """The child has started, or will not; return those that are to start after it."""
        for ids in self.in_turn:
            if id in ids:
                ids.remove(id)
                return ids
        return []

    @property
    def startable(self) -> list[str]:
        """Whose start may end now: the first of those in turn, and any other."""
        waiting = {id for ids in self.in_turn for id in ids[1:]}
        return sorted(self.starting - waiting)

    def started(self, id: str) -> None:
        self.leave_turn(id)
        self.starting.discard(id)
        self.running.add(id)
        self.take(self.real.child_started(id, self.now))

    @rule(passed_s=st.floats(0, 6))
    def time_passes(self, passed_s: float) -> None:
        self.now += passed_s

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def a_start_succeeds(self, data: st.DataObject) -> None:
        self.started(data.draw(st.sampled_from(self.startable)))

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def a_start_fails(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.startable))
        behind = self.leave_turn(id)
        if id not in self.stopping:  # else it was not begun, and the others have their turn
            for other in reversed(behind.copy()):
                self.drop(other)
                self.take(self.real.start_not_reached(other))
        self.drop(id)
        self.take(self.real.child_start_failed(id, CRASHED, self.now))

    @precondition(lambda self: self.starting | self.running)
    @rule(
        data=st.data(), reason=REASONS, handled=st.booleans(), asked=st.booleans(), cause=st.sampled_from([None, "x"])
    )
    def a_child_exits(
        self, data: st.DataObject, reason: ExitReason, handled: bool, asked: bool, cause: str | None
    ) -> None:
        id = data.draw(st.sampled_from(sorted({*self.startable, *self.running})))
        if id in self.starting and not asked:  # so that was its start, and how it failed
            for other in reversed(self.leave_turn(id).copy()):
                self.drop(other)
                self.take(self.real.start_not_reached(other))
        self.drop(id)
        self.take(
            self.real.child_exited(
                id, reason, self.now, had_handled_message=handled, is_administrative=asked, cause=cause
            )
        )

    @precondition(lambda self: self.retries)
    @rule(data=st.data())
    def a_retry_is_due(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.retries))
        self.retries.remove(id)
        self.take(self.real.retry_due(id))

    @precondition(lambda self: self.real.children())
    @rule(data=st.data(), kill=st.booleans())
    def a_child_is_to_stop(self, data: st.DataObject, kill: bool) -> None:
        id = data.draw(st.sampled_from([child.id for child in self.real.children()]))
        self.take(self.real.stop_child_requested(id, kill=kill))

    @precondition(lambda self: not self.is_ending and not self.is_over and self.real.children())
    @rule(restart=st.sampled_from(RestartType))
    def a_child_is_added(self, restart: RestartType) -> None:
        spec = ChildSpec(f"c{self.count}", restart)
        self.count += 1
        try:
            self.take(self.real.child_added(spec))
        except RuntimeStateError:
            self.is_ending = True  # it gave up, and waits for its children's ends

    @rule()
    def all_is_to_stop(self) -> None:
        instructions = self.real.stop_requested()
        self.is_ending = True
        self.take(instructions)

    def teardown(self) -> None:
        """Check that answering every instruction ends all activity, and that a stop then ends the supervisor."""
        if not hasattr(self, "real"):
            return
        self.settle()
        assert self.is_over or all(c.state in ("running", "ended") for c in self.real.children())
        self.take(self.real.stop_requested())
        self.settle()
        assert self.is_over

    def settle(self) -> None:
        while self.stopping or self.starting or self.retries:
            if self.stopping:
                id = min(self.stopping)
                self.drop(id)
                self.take(self.real.child_exited(id, SHUTDOWN, self.now))
            elif self.starting:
                self.started(self.startable[0])
            else:
                self.take(self.real.retry_due(self.retries.pop()))


TestWholeSteps = WholeSteps.TestCase
TestWholeSteps.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
