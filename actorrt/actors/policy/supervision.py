"""Pure: what a supervisor does about each event in the life of its children, by OTP's rules.

Events go in with the time at which they happened. Instructions come out, and are carried out in their order by a shell
(`supervisors.shell`), which starts and stops actors and owns the timers; nothing here waits. The same class decides for
an actor without a supervisor, as for a single child under `one_for_one` (`self_restart`).

One child:

    waiting -> starting -> running -> (exit) -> waiting | backing off | ended | forgotten
                  |           |
                  +-> stopping <-+   (a sibling's restart, a request, the supervisor's end)

Invariants: children start in order and stop in reverse order, one after the other. Only under `one_for_one` and
`quorum`, where children are independent, are several restarted side by side. A `StartOne` is answered by
`child_started` or `child_start_failed`. A `StopOne` is answered by `child_exited`, or by `child_start_failed` where the
start was under way. Between the start of a child and its end there is no second start. `StartSeveral` and `StopSeveral`
say the same of several children at once, so that a large group costs its supervisor one message. `GiveUp` or `Stopped`
comes last and once, after every child has ended.

From `supervisor.erl`, and https://www.erlang.org/doc/system/sup_princ.html. Where we differ:

* A stop that somebody asked for is administrative: the child is removed, and no group restart brings it back.
* Failures that share a cause count once.
* A stop that a failure causes does not drain: messages in hand are broken off. `on_stop` runs in any case.
* A restart may wait (`backoff`); a group waits as a whole, stopped.
* A child of another id may be started anew under the id of one that has ended.
* `quorum`: children are restarted one for one, and what escalates is a failure that leaves fewer than `quorum`
  of them running. More failures than the window may hold slow restarts down, and escalate nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from actorrt import config
from actorrt.actors.policy.backoff import RestartPace
from actorrt.actors.policy.child_order import ChildOrder, begin_start
from actorrt.actors.policy.childspec import AutoShutdown, ChildSpec, Strategy, check_quorum
from actorrt.actors.policy.instructions import (
    ChildInfo,
    ChildState,
    Forget,
    GiveUp,
    Instruction,
    Ready,
    RetryAfter,
    StopOne,
    Stopped,
)
from actorrt.actors.policy.intensity import RestartWindow
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervised_child import LIVE_STATES, SupervisedChild
from actorrt.errors import RuntimeStateError
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitKind, ExitReason


class Supervision:
    """The decisions of one supervisor.

    Args:
        random: gives numbers from [0, 1), for the jitter of delays.
        strategy: which children are restarted when one fails.
        max_restarts: how many failures the window may hold; None never gives up.
        period_s: the window.
        auto_shutdown: whether the end of significant children ends the supervisor.
        quorum: the least number of children that must run; for the strategy `quorum` only.

    Raises:
        ValueError: a quorum without the strategy, the strategy without a quorum, or one below 1.

    An event about an unknown child, or one that does not fit the state of the child, raises `ValueError` and changes
    nothing: the shell has a defect.
    """

    def __init__(
        self,
        random: Callable[[], float],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        max_restarts: int | None = config.DEFAULT_MAX_RESTARTS,
        period_s: float = config.DEFAULT_PERIOD_S,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        quorum: int | None = None,
    ) -> None:
        check_quorum(strategy, quorum)
        self._random = random
        self._quorum = quorum
        self._is_independent = strategy in (Strategy.ONE_FOR_ONE, Strategy.QUORUM)
        self._strategy = strategy
        self._auto_shutdown = auto_shutdown
        self._window = RestartWindow(max_restarts, period_s)
        self._children: dict[str, SupervisedChild] = {}
        self._child_count = 0  # of all time; numbers them in their order
        self._order = ChildOrder()
        self._backing_off: set[str] = set()
        self._is_ready = False
        self._end: GiveUp | Stopped | None = None
        self._is_over = False

    def __contains__(self, id: str) -> bool:
        return id in self._children

    def state_of(self, id: str) -> ChildState | None:
        """Return where a child is in its life; None where there is no such child."""
        child = self._children.get(id)
        return None if child is None else child.state

    def children(self) -> list[ChildInfo]:
        """Return what is known of every child, in start order."""
        return [
            ChildInfo(id, child.state, child.restart_count, child.last_reason) for id, child in self._children.items()
        ]

    # Events: what the supervisor is asked to do

    def start_requested(self, specs: Iterable[ChildSpec]) -> list[Instruction]:
        """Begin with these children, started one after the other; `Ready` follows when all of them run.

        A first start that fails before that ends the supervisor (`GiveUp`): its spawn gets the error.

        Raises:
            ValueError: two children of one id, or fewer than the quorum (none at all may be added later).
        """
        specs = list(specs)
        if self._quorum is not None and 0 < len(specs) < self._quorum:
            raise ValueError(f"quorum={self._quorum} with {len(specs)} children: it would never be reached")
        for spec in specs:
            self._order.start_last(self._add(spec))
        return self._advance()

    def child_added(self, spec: ChildSpec) -> list[Instruction]:
        """Add a child, last in the order. A first start that fails removes the child, and does nothing else.

        Raises:
            ValueError: there is a child of that id that has not ended.
            RuntimeStateError: the supervisor is ending.
        """
        if self._end is not None:
            raise RuntimeStateError(f"child {spec.id!r} was not started: its supervisor is ending")
        child = self._add(spec)
        if self._is_ready and self._is_independent:
            return [begin_start(child)]
        self._order.start_last(child)
        return self._advance()

    def stop_child_requested(self, id: str, *, kill: bool = False) -> list[Instruction]:
        """Remove a child for good: an administrative stop, which no restart follows.

        Asked again with `kill`, a stop under way becomes a kill.
        """
        child = self._child(id)
        child.is_withdrawn = True
        if not child.is_live:
            return [*self._remove(child), *self._advance()]
        if child.state is ChildState.STOPPING and not kill:
            return []
        child.state = ChildState.STOPPING
        return [StopOne(id, kill)]

    def stop_requested(self, manner: Manner = Manner.ORDERLY) -> list[Instruction]:
        """End the supervisor: stop all children in reverse order, then `Stopped`. No effect if it is ending already.

        Unless `manner` is orderly, the children stop at once. None of them starts again.
        """
        if self._end is not None:
            return []
        return self._finish(Stopped(), Manner.ORDERLY if manner is Manner.ORDERLY else Manner.AT_ONCE)

    # Events: what happened

    def child_started(self, id: str, now: float) -> list[Instruction]:
        """Called when the child runs: its `on_start` has returned."""
        child = self._child(id, ChildState.STARTING, ChildState.STOPPING)
        child.was_started = child.has_actor = True
        child.pace.started(now)
        if child.state is ChildState.STOPPING:
            return []  # the stop that was sent meanwhile is still to be answered
        child.state = ChildState.RUNNING
        self._order.start_over(child)
        return self._advance()

    def start_not_reached(self, id: str) -> list[Instruction]:
        """Called when the start of a child in turn was not begun, since an earlier start failed."""
        child = self._child(id, ChildState.STARTING, ChildState.STOPPING)
        if child.is_to_end:
            return self._ended_as_told(child)
        self._order.start_over(child)
        child.state = ChildState.WAITING
        child.restart_count -= child.was_started
        self._order.start_first(child)
        return []

    def child_start_failed(
        self, id: str, reason: ExitReason, now: float, *, cause: Hashable = None
    ) -> list[Instruction]:
        """Called when the start that was under way has failed; `cause` as in `child_exited`."""
        child = self._child(id, ChildState.STARTING, ChildState.STOPPING)
        child.last_reason = reason
        if child.is_to_end:
            return self._ended_as_told(child)
        if not child.was_started:
            return self._first_start_failed(child, reason)
        return self._failed(child, reason, now, cause, child.pace.start_failed(self._random()))

    def child_exited(
        self,
        id: str,
        reason: ExitReason,
        now: float,
        *,
        had_handled_message: bool = False,
        cause: Hashable = None,
        is_administrative: bool = False,
    ) -> list[Instruction]:
        """Called when the child's incarnation has ended.

        Args:
            id: the child.
            reason: why.
            now: when.
            had_handled_message: whether that incarnation had handled a message: then the next one starts at once.
            cause: the cause of the exit, such as a lost node or worker; exits with equal causes count as one failure.
            is_administrative: whether somebody ordered the actor itself to stop: the child is removed, not restarted.
        """
        child = self._child(id, *LIVE_STATES)
        if child.state is ChildState.STARTING and not is_administrative:
            return self.child_start_failed(id, reason, now, cause=cause)
        child.last_reason = reason
        child.is_withdrawn |= is_administrative
        if child.is_to_end:
            return self._ended_as_told(child)
        if not _is_restarted(child.spec.restart, reason):
            return self._ended_by_itself(child)
        delay_s = child.pace.exited(now, had_handled_message, self._random())
        return self._failed(child, reason, now, cause, delay_s)

    def retry_due(self, id: str) -> list[Instruction]:
        """Called when the delay of a `RetryAfter` has passed. Without effect on a child that no longer waits for it."""
        if id not in self._backing_off:
            return []
        self._backing_off.discard(id)
        child = self._children[id]
        child.state = ChildState.WAITING
        if self._is_independent:
            return [begin_start(child)]
        return self._advance()

    # Decisions

    def _first_start_failed(self, child: SupervisedChild, reason: ExitReason) -> list[Instruction]:
        child.state = ChildState.WAITING
        if not self._is_ready:
            return self._finish(GiveUp(reason), Manner.AT_ONCE)
        return [*self._remove(child), *self._advance()]

    def _ended_by_itself(self, child: SupervisedChild) -> list[Instruction]:
        if child.last_reason is not None and child.last_reason.is_abnormal and self._is_quorum_lost(child):
            child.state = ChildState.WAITING
            return self._finish(GiveUp(self._too_few(child)), Manner.AT_ONCE)
        if child.spec.restart is RestartType.TEMPORARY:
            forgotten = self._remove(child)
        else:
            child.state, child.has_actor = ChildState.ENDED, False
            forgotten = [Forget(child.spec.id)]
        if child.spec.significant and self._is_shut_down_by_end():
            detail = f"significant child {child.spec.id!r} ended: {child.last_reason}"
            has_failed = child.last_reason is not None and child.last_reason.is_abnormal
            end = GiveUp(ExitReason(ExitKind.SHUTDOWN, detail))
            return [*forgotten, *self._finish(end, Manner.AT_ONCE if has_failed else Manner.ORDERLY)]
        return [*forgotten, *self._advance()]

    def _is_shut_down_by_end(self) -> bool:
        if self._auto_shutdown is AutoShutdown.ALL_SIGNIFICANT:
            return all(c.state is ChildState.ENDED for c in self._children.values() if c.spec.significant)
        return self._auto_shutdown is AutoShutdown.ANY_SIGNIFICANT

    def _ended_as_told(self, child: SupervisedChild) -> list[Instruction]:
        """Called when a child has ended by order: its reason decides nothing, and no failure is counted."""
        self._order.ended(child)
        child.is_doomed = False
        child.state = ChildState.WAITING
        if self._end is not None or child.is_withdrawn or child.spec.restart is RestartType.TEMPORARY:
            return [*self._remove(child), *self._advance()]
        return self._advance()  # `_order` has it among those to start

    def _failed(
        self, child: SupervisedChild, reason: ExitReason, now: float, cause: Hashable, delay_s: float
    ) -> list[Instruction]:
        self._order.start_over(child)
        child.state = ChildState.WAITING
        is_within_intensity = self._window.admits(now, cause)
        if self._is_quorum_lost(child):
            return self._finish(GiveUp(self._too_few(child)), Manner.AT_ONCE)
        if self._quorum is not None and not is_within_intensity:
            delay_s = max(delay_s, child.spec.backoff.max_s)
        elif not is_within_intensity:
            return self._finish(GiveUp(self._too_many_failures(child, reason)), Manner.AT_ONCE)
        if not self._is_independent:
            self._plan_group_restart(child)
        elif delay_s == 0:
            return [begin_start(child), *self._advance()]
        if delay_s == 0:
            return self._advance()
        child.state = ChildState.BACKING_OFF
        self._backing_off.add(child.spec.id)
        return [RetryAfter(child.spec.id, delay_s), *self._advance()]

    def _is_quorum_lost(self, failed: SupervisedChild) -> bool:
        return self._quorum is not None and self._is_ready and self._running_count(failed) < self._quorum

    def _running_count(self, failed: SupervisedChild) -> int:
        return sum(c.state is ChildState.RUNNING for c in self._children.values() if c is not failed)

    def _too_few(self, child: SupervisedChild) -> ExitReason:
        reason = child.last_reason
        detail = (
            f"{self._running_count(child)} of {len(self._children)} children run, and quorum is {self._quorum}; the "
            f"last that failed was {child.spec.id!r}, which ended with {reason}"
        )
        return ExitReason(ExitKind.INTENSITY, detail, "" if reason is None else reason.traceback)

    def _too_many_failures(self, child: SupervisedChild, reason: ExitReason) -> ExitReason:
        last = f"was {child.spec.id!r}, which ended with" if child.spec.id else "one ended with"
        detail = (
            f"{len(self._window)} failures within {self._window.period_s:g} s, and max_restarts is "
            f"{self._window.max_restarts}; the last {last} {reason}"
        )
        return ExitReason(ExitKind.INTENSITY, detail, reason.traceback)

    def _plan_group_restart(self, failed: SupervisedChild) -> None:
        """Plan to stop the failed child's group and to start it again, children that had ended normally included."""
        first = 0 if self._strategy is Strategy.ONE_FOR_ALL else failed.position
        children = self._children.values()
        for child in children:
            if child.position >= first and child.state is ChildState.ENDED:
                child.state = ChildState.WAITING
            elif child.position >= first and child.is_live:
                child.is_doomed = True
                is_over = child.spec.restart is RestartType.TEMPORARY
                child.manner = Manner.AT_ONCE if is_over else Manner.FOR_RESTART
        self._order.plan(
            to_stop=[child for child in children if child.is_doomed],
            to_start=[child for child in children if child.starts_with_group],
        )

    def _finish(self, end: GiveUp | Stopped, manner: Manner) -> list[Instruction]:
        self._end = end
        children = list(self._children.values())
        live = [child for child in children if child.is_live]
        for child in live:
            child.is_doomed, child.manner = True, manner
        self._order.plan(to_stop=live, to_start=())
        given_up = end.reason if isinstance(end, GiveUp) and end.reason.kind is ExitKind.INTENSITY else None
        forgotten = [i for child in reversed(children) if not child.is_live for i in self._remove(child, given_up)]
        return [*forgotten, *self._advance()]

    # Carrying on

    def _advance(self) -> list[Instruction]:
        """Give the next instructions of the stop, the end or the start under way, in this order."""
        instructions: list[Instruction] = list(self._order.stop_next())
        if self._order.is_stopping:
            return instructions
        if self._end is not None:
            if not self._is_over:
                self._is_over = True
                instructions.append(self._end)
        elif not self._order.is_starting:
            instructions += self._start_next()
        return instructions

    def _start_next(self) -> Iterable[Instruction]:
        is_group_backing_off = not self._is_independent and bool(self._backing_off)
        if self._order.has_to_start:
            if not is_group_backing_off:
                yield self._order.start_next(alone=not self._is_ready)
        elif not self._is_ready:
            self._is_ready = True
            yield Ready()

    # The table of children

    def _child(self, id: str, *states: ChildState) -> SupervisedChild:
        child = self._children.get(id)
        if child is None:
            raise ValueError(f"no child {id!r}; there are: {', '.join(self._children) or 'none'}")
        if states and child.state not in states:
            raise ValueError(f"child {id!r} is {child.state}, and the event needs it to be {' or '.join(states)}")
        return child

    def _add(self, spec: ChildSpec) -> SupervisedChild:
        known = self._children.get(spec.id)
        if known is not None and known.state is not ChildState.ENDED:
            raise ValueError(f"child id {spec.id!r} is taken: stop that child first, or give another id=")
        self._children.pop(spec.id, None)
        self._child_count += 1
        child = self._children[spec.id] = SupervisedChild(spec, self._child_count, RestartPace(spec.backoff))
        return child

    def _remove(self, child: SupervisedChild, reason: ExitReason | None = None) -> list[Instruction]:
        del self._children[child.spec.id]
        self._backing_off.discard(child.spec.id)
        self._order.forget(child)
        return [] if child.state is ChildState.ENDED else [Forget(child.spec.id, reason)]


def _is_restarted(restart: RestartType, reason: ExitReason) -> bool:
    if restart is RestartType.TRANSIENT:
        return reason.is_abnormal
    return restart is RestartType.PERMANENT
