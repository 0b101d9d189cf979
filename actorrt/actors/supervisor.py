"""The shell of a supervisor: an actor that starts, watches and restarts its children.

It carries out what `supervision` decides, through the authority of its children; it decides nothing itself.
Exits of children reach it beside its mailbox, so that a supervisor that waits for a start still sees them.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorrt import config, errors
from actorrt.actors import checks
from actorrt.actors.actor import Actor
from actorrt.actors.childspec import AutoShutdown, Child, Strategy, identify
from actorrt.actors.instructions import (
    Forget,
    GiveUp,
    Instruction,
    Ready,
    RetryAfter,
    Start,
    StartInTurn,
    Stop,
    StopInTurn,
    Stopped,
)
from actorrt.actors.supervision import Supervision, check_quorum
from actorrt.completion import Completion
from actorrt.ids import ActorId
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.control import Data
    from actorrt.actors.ref import ActorRef

_STOPPED: Final = "stopped by its supervisor"


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """What `Supervisor.children_info` says of one child.

    Attributes:
        id: the child's id.
        ref: its ref; None before its first start.
        state: `running`, `starting`, `backing_off` and so on.
        restarts: how often it was started again.
        last_exit: why its last incarnation ended; None while the first one lives.
    """

    id: str
    ref: ActorRef[Any] | None
    state: str
    restarts: int
    last_exit: ExitReason | None


class Supervisor(Actor):
    """Restarts what fails, by OTP's rules. Derive from it and yield children from `children()`.

    Attributes:
        strategy: `"one_for_one"`, `"one_for_all"`, `"rest_for_one"` or `"quorum"`.
        quorum: how many children must run; with fewer it gives up. With `strategy = "quorum"`, and with no other.
        max_restarts: how many restarts within `period_s` are borne; one more, and it gives up (with a quorum: makes
            the next restarts wait as long as their back-off allows).
        period_s: the window, in seconds.
        auto_shutdown: whether the end of significant children ends the supervisor.
    """

    strategy: ClassVar[str] = "one_for_one"
    quorum: ClassVar[int | None] = None
    max_restarts: ClassVar[int] = config.DEFAULT_MAX_RESTARTS
    period_s: ClassVar[float] = config.DEFAULT_PERIOD_S
    auto_shutdown: ClassVar[str] = "never"
    _is_supervisor: ClassVar[bool] = True
    _default_options: ClassVar[Mapping[str, Any]] = {"shutdown_s": None}  # it ends when its children have

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        strategy = checks.choice(Strategy)(f"{cls.__name__}.strategy", cls.strategy)
        checks.choice(AutoShutdown)(f"{cls.__name__}.auto_shutdown", cls.auto_shutdown)
        check_quorum(strategy, cls.quorum)

    def children(self) -> Iterable[Child]:
        """Yield the children to begin with, in their start order."""
        return ()

    async def on_start(self) -> None:
        """Start the children, one after the other.

        Raises:
            ActorStartError: one did not start; those before it were stopped.
        """
        cell = self.context._cell
        self._system = cell.host.system
        self._vars = contextvars.copy_context()  # whoever is spawned in it is a child of this actor
        self._children: dict[str, Child] = identify(self.children())
        light = [id for id, child in self._children.items() if not child.options.needs_own_process]
        self._shares = {id: (number, len(light)) for number, id in enumerate(light)}
        self._actors: dict[str, ActorId] = {}
        self._ids: dict[ActorId, str] = {}
        self._refs: dict[str, ActorRef[Any]] = {}
        self._started: dict[str, Completion[ActorRef[Any]]] = {}
        self._over: Completion[None] = Completion()
        self._ready: Completion[None] = Completion()
        self._supervision = Supervision(
            self._system.random,
            strategy=Strategy(self.strategy),
            max_restarts=self.max_restarts,
            period_s=self.period_s,
            auto_shutdown=AutoShutdown(self.auto_shutdown),
            quorum=self.quorum,
        )
        cell.on_child_event = self._child_event
        self._carry_out(self._supervision.start_requested([c.spec(id) for id, c in self._children.items()]))
        await self._ready

    async def on_stop(self, reason: ExitReason) -> None:
        """Stop the children, last first."""
        self._carry_out(self._supervision.stop_requested())
        await self._over

    async def child(self, id: str) -> ActorRef[Any]:
        """Return the ref of a child.

        Raises:
            ValueError: there is no such child.
        """
        ref = self._refs.get(id)
        if ref is None:
            raise ValueError(f"{type(self).__name__} has no child {id!r}; it has {', '.join(self._refs) or 'none'}")
        return ref

    async def children_info(self) -> list[ChildStatus]:
        """Return what is known of every child, in start order."""
        return [
            ChildStatus(info.id, self._refs.get(info.id), str(info.state), info.restart_count, info.last_reason)
            for info in self._supervision.children()
        ]

    def _child_ids(self) -> Iterable[tuple[ActorId, str]]:
        """Return which actor goes by which id; empty before it has started."""
        return getattr(self, "_ids", {}).items()

    async def start_child(self, child: Child) -> ActorRef[Any]:
        """Start one more child, last in the order.

        Raises:
            ActorStartError: it did not start; it is not a child then.
        """
        (id,) = identify([child], frozenset(self._children))
        self._children[id] = child
        started: Completion[ActorRef[Any]] = Completion()
        self._started[id] = started
        try:
            self._carry_out(self._supervision.child_added(child.spec(id)))
            return await started
        finally:
            self._started.pop(id, None)

    async def stop_child(self, id: str) -> None:
        """Stop a child for good; it is no child any more then."""
        actor_id = (await self.child(id))._actor_id
        self._carry_out(self._supervision.stop_child_requested(id))
        if actor_id in self._actors.values():
            await self._system.control.request(self._system.node, "ended", {"actor": actor_id})

    # Events

    def _child_event(self, verb: str, data: Data) -> None:
        if verb == "child_started":
            self._child_started(data)
        elif verb == "child_exited":
            self._child_exited(data)
        elif verb == "child_withdrawn":
            self._child_withdrawn(data)
        else:
            self._children_restarted(data)

    def _child_started(self, data: Data) -> None:
        """A child runs for the first time; unlike the answer to its spawn, this comes before the news of its exit."""
        id = self._ids.get(data["child"])
        if id is not None:
            self._runs(id, self._system.ref_from_card(data["card"], self._system.node))

    def _runs(self, id: str, ref: ActorRef[Any]) -> None:
        self._refs[id] = ref
        waiter = self._started.get(id)
        if waiter is not None:
            waiter.set_value(ref)
        self._carry_out(self._supervision.child_started(id, self._system.clock.now()))

    def _child_exited(self, data: Data) -> None:
        id = self._ids.get(data["child"])
        if id is None:
            return  # forgotten meanwhile
        self._carry_out(
            self._supervision.child_exited(
                id,
                ExitReason.from_data(data["reason"]),
                self._system.clock.now(),
                had_handled_message=data["had_handled_message"],
                cause=data["cause"],
                is_administrative=data["is_administrative"],
            )
        )

    def _child_withdrawn(self, data: Data) -> None:
        """Somebody asked a child to stop that waits to be started again."""
        id = self._ids.get(data["child"])
        if id is not None:
            self._carry_out(self._supervision.stop_child_requested(id))

    def _children_restarted(self, data: Data) -> None:
        """Of the children that were to start again in turn, these have; or one has not, and so none behind it."""
        now = self._system.clock.now()
        for child in data["started"]:
            if child in self._ids:
                self._carry_out(self._supervision.child_started(self._ids[child], now))
        for child in reversed(data["unreached"]):
            if child in self._ids:
                self._carry_out(self._supervision.start_not_reached(self._ids[child]))
        failed = data["failed"]
        id = None if failed is None else self._ids.get(failed["child"])
        if id is None:
            return
        reason = _reason(errors.from_data(failed["error"]))
        if failed["is_administrative"]:
            self._carry_out(self._supervision.child_exited(id, reason, now, is_administrative=True))
        else:
            self._carry_out(self._supervision.child_start_failed(id, reason, now, cause=failed["cause"]))

    # Instructions

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Start(id) if id not in self._actors:
                    self._vars.run(self._spawn, id)
                case Start(id):
                    self._restart([id])
                case StartInTurn(ids):
                    self._restart(ids)
                case Stop(id, kill):
                    self._notify("stop_child", {"actor": self._actors[id], "kill": kill, "reason": _STOPPED})
                case StopInTurn(ids):
                    self._notify("stop_children", {"actors": [self._actors[id] for id in ids], "reason": _STOPPED})
                case RetryAfter(id, delay_s):
                    self._system.scope.after(delay_s, lambda id=id: self._carry_out(self._supervision.retry_due(id)))  # type: ignore[misc]
                case Forget(id, reason):
                    self._forget(id, reason)
                case Ready():
                    self._ready.set_value(None)
                case GiveUp(reason):
                    self._give_up(reason)
                case Stopped():
                    self._over.set_value(None)

    def _notify(self, verb: str, data: Data) -> None:
        self._system.control.notify(self._system.node, verb, data)

    def _restart(self, ids: Sequence[str]) -> None:
        actors = [self._actors[id] for id in ids]
        self._notify("restart_children", {"supervisor": self.context._cell.actor_id, "actors": actors})

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
            supervisor=self.context._cell.actor_id,
            share=self._shares.get(id),
        )
        started.add_callback(lambda outcome: self._spawned(id, actor_id, outcome))

    def _spawned(self, id: str, actor_id: ActorId, outcome: Completion[Any]) -> None:
        """Take in the answer to a spawn: a failure, or the ref of an actor that had the child's name already."""
        if self._actors.get(id) != actor_id or id in self._refs:
            return  # `_child_started` came before
        error = outcome.error()
        if error is None:
            self._runs(id, outcome.value())
            return
        self._part_from(id)  # its authority knows it no more
        waiter = self._started.get(id)
        if waiter is not None:
            waiter.set_error(error)
        self._carry_out(self._supervision.child_start_failed(id, _reason(error), self._system.clock.now()))

    def _part_from(self, id: str) -> ActorId | None:
        actor_id = self._actors.pop(id, None)
        if actor_id is not None:
            del self._ids[actor_id]
        return actor_id

    def _forget(self, id: str, reason: ExitReason | None) -> None:
        actor_id = self._part_from(id)
        self._refs.pop(id, None)
        if id not in self._supervision:
            self._children.pop(id, None)
        if actor_id is not None:
            self._notify("forget", {"actor": actor_id, "reason": None if reason is None else reason.to_data()})

    def _give_up(self, reason: ExitReason) -> None:
        self._over.set_value(None)
        if self._ready.done():
            self.context._cell.fail(reason)
        else:
            error = errors.ActorStartError(f"a child did not start: {reason.detail or reason}")
            if reason.traceback:
                error.add_note(reason.traceback)
            self._ready.set_error(error)


def _reason(error: BaseException) -> ExitReason:
    reason = getattr(error, "reason", None)
    if isinstance(reason, ExitReason):
        return reason
    notes = "\n".join(getattr(error, "__notes__", ()))
    return ExitReason(ExitKind.ERROR, str(error), notes)
