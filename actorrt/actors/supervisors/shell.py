"""The shell around a supervisor's decisions: it starts, stops and watches children as `supervision` says.

It decides nothing itself, and it owns the timers. Exits of children reach it beside the supervisor's mailbox, so that
a supervisor that waits for a start still sees them. There is one shell for each incarnation of a supervisor.

Invariant: every instruction is answered. A start that raises is a failed start, which is an event for the decisions.
When anything else raises, the supervisor fails. So nobody waits for a start or stop that was never begun.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from actorrt import errors
from actorrt.actors.policy.instructions import (
    ChildState,
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
from actorrt.actors.supervisors.child import Child, identify
from actorrt.actors.wire.failures import reason_of
from actorrt.completion import Completion
from actorrt.ids import ActorId
from actorrt.protocol.authorities import Share
from actorrt.protocol.hosts import ChildExited, ChildrenRestarted, ChildStarted, ChildWithdrawn
from actorrt.protocol.manner import Manner
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.policy.supervision import Supervision
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.supervisors.child_authority import ChildAuthority
    from actorrt.machine.clock import Clock

Event: TypeAlias = Callable[[], "list[Instruction]"]
"""Reports an event to the supervision, and returns its instructions."""


class SupervisorCell(Protocol):
    """The cell of a supervisor, for its shell."""

    @property
    def label(self) -> str:
        """Its name for people."""

    def fail(self, reason: ExitReason) -> None:
        """End the supervisor's incarnation."""


class Shell:
    """Carries out the decisions of one supervisor.

    Args:
        cell: the supervisor's own.
        supervision: the decisions.
        children: the first children, by id.
        authority: takes the orders about children.
        new_actor: makes the id of an actor.
        clock, after: tell the time, and call a function in so many seconds.

    Attributes:
        supervision: the decisions.
        ready: ends when all first children run, or with the error of the first one that does not start.
        over: ends when every child has ended, so that the supervisor may end.
    """

    def __init__(
        self,
        cell: SupervisorCell,
        supervision: Supervision,
        children: dict[str, Child],
        authority: ChildAuthority,
        new_actor: Callable[[], ActorId],
        clock: Clock,
        after: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._cell = cell
        self._authority = authority
        self._new_actor = new_actor
        self._clock = clock
        self._after = after
        self.supervision = supervision
        self._children = children
        light = [id for id, child in children.items() if not child.options.needs_own_process]
        self._shares = {id: Share(number, len(light)) for number, id in enumerate(light)}
        self._vars = contextvars.copy_context()  # an actor that is spawned in it is a child of this actor
        self._actors: dict[str, ActorId] = {}
        self._ids: dict[ActorId, str] = {}
        self._refs: dict[str, ActorRef[Any]] = {}
        self._borrowed: set[str] = set()  # children that are actors of others, which had the name already
        self._starts: dict[str, Completion[ActorRef[Any]]] = {}  # that `start_child` waits for
        self._due: deque[Event | Instruction] = deque()
        self._is_at_work = False
        self._has_ended = False
        self.ready: Completion[None] = Completion()
        self.over: Completion[None] = Completion()

    # What the supervisor is asked

    def begin(self) -> None:
        """Start the first children."""
        self._hear(self.supervision.start_requested, [child.spec(id) for id, child in self._children.items()])

    def stop(self, manner: Manner = Manner.ORDERLY) -> None:
        """Stop all children, last first. Idempotent."""
        self._hear(self.supervision.stop_requested, manner)

    def ref(self, id: str) -> ActorRef[Any] | None:
        """Return the ref of a child; None where there is no such child, or none that has started."""
        return self._refs.get(id)

    def child_ids(self) -> Iterable[tuple[ActorId, str]]:
        """Return the actor and the id of each child."""
        return self._ids.items()

    async def start_child(self, child: Child) -> ActorRef[Any]:
        """Start one more child and return its ref when it runs; cancelled, it withdraws the start.

        Raises:
            ActorStartError, TypeError, SerializationError: it did not start; it is not a child then.
            ValueError: its id is taken.
            RuntimeStateError: the supervisor is ending.
        """
        (id,) = identify([child], frozenset(self._children))
        instructions = self.supervision.child_added(child.spec(id))
        self._children[id] = child
        start: Completion[ActorRef[Any]] = Completion()
        self._starts[id] = start
        self._hear(lambda: instructions)
        try:
            return await start
        except asyncio.CancelledError:
            if not start.done() and id in self.supervision:
                self._hear(self.supervision.stop_child_requested, id)
            raise
        finally:
            if self._starts.get(id) is start:
                del self._starts[id]

    def stop_child(self, id: str) -> Coroutine[Any, Any, None] | None:
        """Have a child stopped for good; return what waits until it is gone, None where it has no actor.

        Raises:
            ValueError: there is no such child.
        """
        actor_id = self._actors.get(id)
        instructions = self.supervision.stop_child_requested(id)
        self._hear(lambda: instructions)
        return None if actor_id is None else self._authority.end_of(actor_id)

    def end(self) -> None:
        """Called when the supervisor's incarnation is over: later events and instructions are ignored. Idempotent."""
        self._has_ended = True
        self._due.clear()
        self.over.set_value(None)

    # What happens to children

    def child_started(self, event: ChildStarted) -> None:
        """Called when a child runs for the first time; the answer to its spawn may come after the news of its exit."""
        id = self._ids.get(event.child)
        if id is not None:  # else it was forgotten meanwhile
            self._runs(id, self._authority.ref(event.card))

    def child_withdrawn(self, event: ChildWithdrawn) -> None:
        """Called when somebody has asked a child to stop that waits to be started again."""
        id = self._ids.get(event.child)
        if id is not None:
            self._hear(self.supervision.stop_child_requested, id)

    def child_exited(self, event: ChildExited) -> None:
        """Called when an incarnation of a child has ended."""
        id = self._ids.get(event.child)
        if id is None:
            return
        was_running = self.supervision.state_of(id) is ChildState.RUNNING
        self._hear(
            self.supervision.child_exited,
            id,
            event.reason,
            self._clock.now(),
            had_handled_message=event.had_handled_message,
            cause=event.cause,
            is_administrative=event.is_administrative,
        )
        if was_running and self.supervision.state_of(id) is ChildState.WAITING:
            self._hear(self._waits_for_siblings, id)

    def children_restarted(self, event: ChildrenRestarted) -> None:
        """Called when several children have restarted, or when one has failed and the later ones were not begun."""
        now = self._clock.now()
        for child in event.started:
            if child in self._ids:
                self._hear(self.supervision.child_started, self._ids[child], now)
        for child in reversed(event.unreached):
            if child in self._ids:
                self._hear(self.supervision.start_not_reached, self._ids[child])
        failed = event.failed
        id = None if failed is None else self._ids.get(failed.child)
        if failed is None or id is None:
            return
        reason = _reason(failed.error)
        if failed.is_administrative:
            self._hear(self.supervision.child_exited, id, reason, now, is_administrative=True)
        else:
            self._hear(self.supervision.child_start_failed, id, reason, now, cause=failed.cause)

    # Carrying on

    def _hear(self, event: Callable[..., list[Instruction]], *args: Any, **kwargs: Any) -> None:
        """Report an event to the supervision, and carry out its instructions.

        Exceptions on the way are handled here. An event that happens while an instruction is carried out is heard after
        the instructions that were given before.
        """
        if self._has_ended:
            return
        self._due.append(partial(event, *args, **kwargs))
        if self._is_at_work:
            return
        self._is_at_work = True
        try:
            while self._due:
                self._take_up(self._due.popleft())
        finally:
            self._is_at_work = False

    def _take_up(self, due: Event | Instruction) -> None:
        try:
            if callable(due):
                self._due.extend(due())
            else:
                self._carry_out(due)
        except Exception as error:
            self._raised(due, error)

    def _raised(self, due: Event | Instruction, error: Exception) -> None:
        if isinstance(due, StartOne) and due.id not in self._refs:
            self._start_failed(due.id, error)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the supervisor and its children, since the decisions about them can't be carried out."""
        self.end()
        if self.ready.done():
            self._cell.fail(reason_of(error, f"{self._cell.label}, as it supervised"))
        else:
            self.ready.set_error(error)

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case StartOne(id) if id not in self._actors:
                self._vars.run(self._spawn, id)
            case StartOne(id):
                self._restart([id])
            case StartSeveral(ids):
                self._restart(ids)
            case StopOne(id) if id in self._borrowed:
                self._give_back([id])
            case StopOne(id, kill, manner):
                self._authority.stop(self._actors[id], kill=kill, manner=manner)
            case StopSeveral(ids, manner):
                self._give_back([id for id in ids if id in self._borrowed])
                self._authority.stop_in_turn([self._actors[id] for id in ids if id not in self._borrowed], manner)
            case RetryAfter(id, delay_s):
                self._authority.delay(self._actors[id], delay_s)
                self._after(delay_s, lambda: self._hear(self.supervision.retry_due, id))
            case Forget(id, reason):
                self._forget(id, reason)
            case Ready():
                self.ready.set_value(None)
            case GiveUp(reason):
                self._give_up(reason)
            case Stopped():
                self.end()

    def _give_back(self, ids: Sequence[str]) -> None:
        """Give up children that others have started. They run on: their authority would not answer an order."""
        now = self._clock.now()
        for id in ids:
            self._hear(self.supervision.child_exited, id, SHUTDOWN, now, is_administrative=True)

    def _waits_for_siblings(self, id: str) -> list[Instruction]:
        """Tell the callers of a failed child that it starts again when others have stopped: they do not wait for it."""
        self._authority.delay(self._actors[id], 0.0)
        return []

    def _restart(self, ids: Sequence[str]) -> None:
        self._authority.restart([self._actors[id] for id in ids])

    def _spawn(self, id: str) -> None:
        child = self._children[id]
        actor_id = self._actors[id] = self._new_actor()
        self._ids[actor_id] = id
        started = self._authority.spawn(actor_id, child, id, self._shares.get(id))
        started.add_callback(partial(self._spawned, id, actor_id))

    def _spawned(self, id: str, actor_id: ActorId, outcome: Completion[Any]) -> None:
        """Take in the answer to a spawn: a failure, or the ref of an actor that had the child's name already."""
        if self._actors.get(id) != actor_id or id in self._refs:
            return  # the news that it started came before
        error = outcome.error()
        if error is None:
            ref = outcome.value()
            is_borrowed = ref._actor_id != actor_id
            if is_borrowed:
                self._borrowed.add(id)
            self._runs(id, ref)
            if is_borrowed and self.supervision.state_of(id) is ChildState.STOPPING:
                self._give_back([id])
        else:
            self._start_failed(id, error)

    def _runs(self, id: str, ref: ActorRef[Any]) -> None:
        self._refs[id] = ref
        if (start := self._starts.get(id)) is not None:
            start.set_value(ref)
        self._hear(self.supervision.child_started, id, self._clock.now())

    def _start_failed(self, id: str, error: BaseException) -> None:
        """Called when the first start of a child has failed: its authority has no record of it."""
        self._part_from(id)
        if (start := self._starts.get(id)) is not None:
            start.set_error(error)
        reason = replace(_reason(error), detail=str(error))  # the error names the child, and says how it ended
        self._hear(self.supervision.child_start_failed, id, reason, self._clock.now())

    def _part_from(self, id: str) -> ActorId | None:
        self._borrowed.discard(id)
        actor_id = self._actors.pop(id, None)
        if actor_id is not None:
            del self._ids[actor_id]
        return actor_id

    def _forget(self, id: str, reason: ExitReason | None) -> None:
        actor_id = self._part_from(id)
        self._refs.pop(id, None)
        if (start := self._starts.get(id)) is not None:
            start.set_error(errors.ActorStartError(f"child {id!r} was stopped before it started"))
        if id not in self.supervision:
            self._children.pop(id, None)
        if actor_id is not None:
            self._authority.forget(actor_id, reason)

    def _give_up(self, reason: ExitReason) -> None:
        self.end()
        if self.ready.done():
            self._cell.fail(reason)
            return
        process_end = None if reason.kind is ExitKind.ERROR else reason
        error = errors.ActorStartError(f"a child did not start: {reason.detail or reason}", reason=process_end)
        if reason.traceback:
            error.add_note(reason.traceback)
        self.ready.set_error(error)


def _reason(error: BaseException) -> ExitReason:
    reason = getattr(error, "reason", None)
    if isinstance(reason, ExitReason):
        return reason
    notes = "\n".join(getattr(error, "__notes__", ()))
    return ExitReason(ExitKind.ERROR, str(error), notes)
