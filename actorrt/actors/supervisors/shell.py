"""The shell around a supervisor's decisions: it starts, stops and watches children as `supervision` says.

It decides nothing itself, and it owns the timers. Exits of children reach it beside the supervisor's mailbox, so that
a supervisor that waits for a start still sees them. There is one shell for each incarnation of a supervisor.

Invariant: every instruction is answered. A start that raises has failed, which the decisions hear as an event; where
anything else raises, the supervisor fails. So nobody waits for what was never begun.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorrt import errors
from actorrt.actors.policy.instructions import (
    ChildState,
    Forget,
    GiveUp,
    Instruction,
    Manner,
    Ready,
    RetryAfter,
    Start,
    StartInTurn,
    Stop,
    StopInTurn,
    Stopped,
)
from actorrt.actors.supervisors.child import Child, identify
from actorrt.actors.wire.failures import reason_of
from actorrt.completion import Completion
from actorrt.ids import ActorId
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.policy.supervision import Supervision
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.wire.control import Data

_STOPPED: Final = "stopped by its supervisor"

Event: TypeAlias = Callable[[], "list[Instruction]"]
"""Lets the supervision hear of something, and returns what it says."""


class Shell:
    """Carries out the decisions of one supervisor.

    Args:
        system: spawns the children, and reaches their authority.
        cell: the supervisor's own.
        supervision: the decisions.
        children: what to begin with, by id.

    Attributes:
        supervision: the decisions.
        ready: ends when all of these run, or with the error of the first that does not start.
        over: ends when every child has ended, and the supervisor may.
    """

    def __init__(self, system: System, cell: Cell, supervision: Supervision, children: dict[str, Child]) -> None:
        self._system = system
        self._cell = cell
        self.supervision = supervision
        self._children = children
        light = [id for id, child in children.items() if not child.options.needs_own_process]
        self._shares = {id: (number, len(light)) for number, id in enumerate(light)}
        self._vars = contextvars.copy_context()  # whoever is spawned in it is a child of this actor
        self._actors: dict[str, ActorId] = {}
        self._ids: dict[ActorId, str] = {}
        self._refs: dict[str, ActorRef[Any]] = {}
        self._starts: dict[str, Completion[ActorRef[Any]]] = {}  # that `start_child` waits for
        self._due: deque[Event | Instruction] = deque()
        self._is_at_work = False
        self._has_ended = False
        self.ready: Completion[None] = Completion()
        self.over: Completion[None] = Completion()

    # What the supervisor is asked

    def begin(self) -> None:
        """Start the children to begin with."""
        self._hear(self.supervision.start_requested, [child.spec(id) for id, child in self._children.items()])

    def stop(self, manner: Manner = Manner.ORDERLY) -> None:
        """Stop all children, last first. Idempotent."""
        self._hear(self.supervision.stop_requested, manner)

    def ref(self, id: str) -> ActorRef[Any] | None:
        """Return the ref of a child; None where there is no such child, or none that has started."""
        return self._refs.get(id)

    def child_ids(self) -> Iterable[tuple[ActorId, str]]:
        """Return which actor goes by which id."""
        return self._ids.items()

    async def start_child(self, child: Child) -> ActorRef[Any]:
        """Start one more child and return its ref when it runs; a start that nobody waits for any more is withdrawn.

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

    def stop_child(self, id: str) -> ActorId | None:
        """Have a child stopped for good; return the actor that is to end, None where there is none.

        Raises:
            ValueError: there is no such child.
        """
        actor_id = self._actors.get(id)
        instructions = self.supervision.stop_child_requested(id)
        self._hear(lambda: instructions)
        return actor_id

    def end(self) -> None:
        """The supervisor's incarnation is over, however that came: nothing more is heard or carried out. Idempotent."""
        self._has_ended = True
        self._due.clear()
        self.over.set_value(None)

    # What happens to children

    def child_event(self, verb: str, data: Data) -> None:
        """The authority of the children tells of one of them, or of several."""
        if verb == "children_restarted":
            self._children_restarted(data)
            return
        id = self._ids.get(data["child"])
        if id is None:
            return  # forgotten meanwhile
        if verb == "child_started":  # for the first time; the answer to its spawn may come after the news of its exit
            self._runs(id, self._system.ref_from_card(data["card"], self._system.node))
            return
        if verb == "child_withdrawn":  # somebody asked a child to stop that waits to be started again
            self._hear(self.supervision.stop_child_requested, id)
            return
        was_running = self.supervision.state_of(id) is ChildState.RUNNING
        self._hear(
            self.supervision.child_exited,
            id,
            ExitReason.from_data(data["reason"]),
            self._system.clock.now(),
            had_handled_message=data["had_handled_message"],
            cause=data["cause"],
            is_administrative=data["is_administrative"],
        )
        if was_running and self.supervision.state_of(id) is ChildState.WAITING:
            self._hear(self._waits_for_siblings, id)

    def _children_restarted(self, data: Data) -> None:
        """Of the children that were to start again in turn, these have; or one has not, and so none behind it."""
        now = self._system.clock.now()
        for child in data["started"]:
            if child in self._ids:
                self._hear(self.supervision.child_started, self._ids[child], now)
        for child in reversed(data["unreached"]):
            if child in self._ids:
                self._hear(self.supervision.start_not_reached, self._ids[child])
        failed = data["failed"]
        id = None if failed is None else self._ids.get(failed["child"])
        if id is None:
            return
        reason = _reason(errors.from_data(failed["error"]))
        if failed["is_administrative"]:
            self._hear(self.supervision.child_exited, id, reason, now, is_administrative=True)
        else:
            self._hear(self.supervision.child_start_failed, id, reason, now, cause=failed["cause"])

    # Carrying on

    def _hear(self, event: Callable[..., list[Instruction]], *args: Any, **kwargs: Any) -> None:
        """Let the supervision hear of an event, and carry out what it says.

        Whatever is raised on the way ends here. What happens while an instruction is carried out is heard after the
        instructions that were given before.
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
        if isinstance(due, Start) and due.id not in self._refs:
            self._start_failed(due.id, error)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the supervisor, and with it its children: what is to become of them can't be carried out."""
        self.end()
        if self.ready.done():
            self._cell.fail(reason_of(error, f"{self._cell.label}, as it supervised"))
        else:
            self.ready.set_error(error)

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Start(id) if id not in self._actors:
                self._vars.run(self._spawn, id)
            case Start(id):
                self._restart([id])
            case StartInTurn(ids):
                self._restart(ids)
            case Stop(id, kill, manner):
                self._tell_of(id, "stop_child", kill=kill, reason=_STOPPED, manner=manner)
            case StopInTurn(ids, manner):
                actors = [self._actors[id] for id in ids]
                self._notify("stop_children", {"actors": actors, "reason": _STOPPED, "manner": manner})
            case RetryAfter(id, delay_s):
                self._tell_of(id, "delay_child", delay_s=delay_s)
                self._system.scope.after(delay_s, lambda: self._hear(self.supervision.retry_due, id))
            case Forget(id, reason):
                self._forget(id, reason)
            case Ready():
                self.ready.set_value(None)
            case GiveUp(reason):
                self._give_up(reason)
            case Stopped():
                self.end()

    def _notify(self, verb: str, data: Data) -> None:
        self._system.control.notify(self._system.node, verb, data)

    def _waits_for_siblings(self, id: str) -> list[Instruction]:
        """A child that failed starts again when others have stopped: those who had called it need not wait for that."""
        self._tell_of(id, "delay_child", delay_s=0.0)
        return []

    def _tell_of(self, id: str, verb: str, **data: Any) -> None:
        self._notify(verb, {"actor": self._actors[id], **data})

    def _restart(self, ids: Sequence[str]) -> None:
        actors = [self._actors[id] for id in ids]
        self._notify("restart_children", {"supervisor": self._cell.actor_id, "actors": actors})

    def _spawn(self, id: str) -> None:
        child = self._children[id]
        actor_id = self._actors[id] = self._system.ids.actor()
        self._ids[actor_id] = id
        started: Completion[Any] = self._system.spawn(
            child.actor_class,
            child.options,
            child.args,
            child.kwargs,
            actor_id=actor_id,
            supervisor=self._cell.actor_id,
            child_id=id,
            share=self._shares.get(id),
        )
        started.add_callback(partial(self._spawned, id, actor_id))

    def _spawned(self, id: str, actor_id: ActorId, outcome: Completion[Any]) -> None:
        """Take in the answer to a spawn: a failure, or the ref of an actor that had the child's name already."""
        if self._actors.get(id) != actor_id or id in self._refs:
            return  # the news that it started came before
        error = outcome.error()
        if error is None:
            self._runs(id, outcome.value())
        else:
            self._start_failed(id, error)

    def _runs(self, id: str, ref: ActorRef[Any]) -> None:
        self._refs[id] = ref
        if (start := self._starts.get(id)) is not None:
            start.set_value(ref)
        self._hear(self.supervision.child_started, id, self._system.clock.now())

    def _start_failed(self, id: str, error: BaseException) -> None:
        """The first start of a child failed: its authority knows it no more, or has never heard of it."""
        self._part_from(id)
        if (start := self._starts.get(id)) is not None:
            start.set_error(error)
        self._hear(self.supervision.child_start_failed, id, _reason(error), self._system.clock.now())

    def _part_from(self, id: str) -> ActorId | None:
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
            self._notify("forget", {"actor": actor_id, "reason": None if reason is None else reason.to_data()})

    def _give_up(self, reason: ExitReason) -> None:
        self.end()
        if self.ready.done():
            self._cell.fail(reason)
            return
        error = errors.ActorStartError(f"a child did not start: {reason.detail or reason}")
        if reason.traceback:
            error.add_note(reason.traceback)
        self.ready.set_error(error)


def _reason(error: BaseException) -> ExitReason:
    reason = getattr(error, "reason", None)
    if isinstance(reason, ExitReason):
        return reason
    notes = "\n".join(getattr(error, "__notes__", ()))
    return ExitReason(ExitKind.ERROR, str(error), notes)
