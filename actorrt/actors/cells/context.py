"""The context of an actor, `self.context`: its identity, timers, monitors and links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorrt import reasons
from actorrt.actors.policy.checks import any_text
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Tick
from actorrt.actors.refs.ref import ActorRef, require_ref
from actorrt.errors import MailboxFullError

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.refs.ends import Down
    from actorrt.actors.refs.operation import Operation
    from actorrt.ids import ActorId

TIMERS_COUNT: Final = 10_000
"""The most timers that one actor may have at a time: as many as messages may wait for it by default."""


class Timer:
    """A timer that sends a message to its own actor; it ends with the incarnation that set it.

    A timer that repeats has at most one message in the mailbox: a tick is skipped, and counted, while the tick before
    still waits there.
    """

    __slots__ = ("_context", "_handle", "_period_s", "_tick", "args", "method")

    def __init__(self, context: Context, seconds: float, method: str, args: tuple[Any, ...], repeats: bool) -> None:
        self._context = context
        self._period_s = seconds if repeats else None
        self._tick: Tick | None = None
        self.method = method
        self.args = args
        self._handle: asyncio.TimerHandle | None = self._begin(seconds)

    def _begin(self, seconds: float) -> asyncio.TimerHandle:
        return self._context._cell.host.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._handle = None
        if self._period_s is not None:
            self._handle = self._begin(self._period_s)
        if self._tick is not None and self._tick.is_waiting:
            self._context.skipped_ticks_count += 1
            return
        self._tick = Tick(self.method, self.args)
        if self._period_s is None:
            self._context.timers.discard(self)
        self._context._cell.deliver(self._tick)

    def cancel(self) -> None:
        """Send nothing more. Idempotent."""
        self._context.timers.discard(self)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Context:
    """An actor's own view of its runtime.

    Attributes:
        trap_exits: whether the end of a linked actor calls `on_exit` instead of ending this one; each incarnation
            sets it anew.
        skipped_ticks_count: how many ticks of timers were not sent, since the one before was still waiting.
    """

    __slots__ = ("_cell", "_links", "_timers", "skipped_ticks_count", "trap_exits")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._timers: set[Timer] | None = None
        self._links: dict[ActorId, Operation[Down]] | None = None
        self.trap_exits = False
        self.skipped_ticks_count = 0

    @property
    def links(self) -> dict[ActorId, Operation[Down]]:
        """The actors that this incarnation is linked to, for the runtime's own use."""
        if self._links is None:
            self._links = {}
        return self._links

    @property
    def timers(self) -> set[Timer]:
        """The timers that have not come due, for the runtime's own use."""
        if self._timers is None:
            self._timers = set()
        return self._timers

    @property
    def ref(self) -> ActorRef[Any]:
        """A ref to this actor, which can be sent to others."""
        return self._cell.host.ref_to(self._cell)

    @property
    def name(self) -> str | None:
        """The name it was spawned with."""
        return self._cell.options.name

    @property
    def incarnation(self) -> int:
        """1 for the first incarnation, one more after each restart."""
        return self._cell.incarnation

    @property
    def parent(self) -> ActorRef[Any] | None:
        """The actor that spawned this one, if an actor did."""
        return self._cell.blueprint.parent_ref

    def sibling(self, id: str) -> Operation[ActorRef[Any]]:
        """Find another child of this actor's supervisor by its id.

        In `on_start`, the children before this one in the start order can be found; in methods, all that have been
        started. The ref stays valid over restarts. A child that was started anew after it had ended is another actor.

        Returns:
            An operation that ends with its ref; await it.

        Raises:
            RuntimeStateError: (from the result) this actor is no child of a supervisor.
            ValueError: (from the result) no child of that id has been started, or it has ended.
        """
        return self._cell.host.find_sibling(self._cell, any_text("id", id))

    @property
    def deadline(self) -> float | None:
        """When the message in hand must be done, as a `time.monotonic()` value; None without a deadline."""
        return current.deadline()

    def monitor(self, ref: ActorRef[Any]) -> None:
        """Have `on_down(down)` called, once, when the actor is gone for good; at once if it is already."""
        self._cell.host.watches.monitor(self._cell, require_ref("monitor", ref))

    def link(self, ref: ActorRef[Any]) -> None:
        """Link this incarnation and another actor, in both directions, in any process.

        When one of the two is gone for good, the other ends with the same reason: at once, before the messages in its
        mailbox; its supervisor decides what follows. A `normal` end does not end the other actor. An actor that sets
        `trap_exits` does not end either: its `on_exit(exit)` is called, after the messages of the actor that ended, and
        also for a `normal` end. A link to an actor that is gone takes effect at once. A restart ends this side's link:
        link again in `on_start`.
        """
        self._cell.host.watches.link(self._cell, require_ref("link", ref))

    def unlink(self, ref: ActorRef[Any]) -> None:
        """Undo `link`, from either side. Without effect where there is none."""
        self._cell.host.watches.unlink(self._cell, require_ref("unlink", ref))

    def after(self, seconds: float, method: str | Callable[..., Any], *args: Any) -> Timer:
        """Send `method(*args)` to this actor in `seconds` seconds; the timer is cancelled when the actor ends.

        Args:
            seconds: more than 0.
            method: the name of a public method of this actor, or the method itself (`self.tick`).
            args: its arguments.

        Raises:
            MailboxFullError: this actor has 10,000 timers already that have not come due.
        """
        return self._timer(seconds, method, args, repeats=False)

    def every(self, seconds: float, method: str | Callable[..., Any], *args: Any) -> Timer:
        """Send `method(*args)` to this actor every `seconds` seconds until the timer is cancelled or the actor ends.

        A tick is skipped while the one before it still waits in the mailbox, so a method that takes longer than the
        period is called as often as it can be. Arguments and errors are those of `after`.
        """
        return self._timer(seconds, method, args, repeats=True)

    def _timer(
        self, seconds: float, method: str | Callable[..., Any], args: tuple[Any, ...], *, repeats: bool
    ) -> Timer:
        if not seconds > 0:
            raise ValueError(f"seconds={seconds}: a timer needs a positive number of seconds")
        name = method if isinstance(method, str) else self._name_of(method)
        spec = self._cell.blueprint.interface.methods.get(name)
        if spec is None:
            raise self._cell.blueprint.interface.unknown(name)
        spec.check(self._cell.blueprint.interface.class_name, args, {})
        if len(self.timers) >= TIMERS_COUNT:
            raise MailboxFullError(
                f"{self._cell.label} has {TIMERS_COUNT} timers that have not come due: cancel those it no longer needs"
            )
        timer = Timer(self, seconds, name, args, repeats)
        self.timers.add(timer)
        return timer

    def _name_of(self, method: Callable[..., Any]) -> str:
        """Return the name of a method of this actor: a tick is a message, which calls a method by its name."""
        if getattr(getattr(method, "__self__", None), "context", None) is not self:
            raise TypeError(
                f"method={method!r}: a timer calls a method of its own actor: give its name, as 'tick', or self.tick"
            )
        name: str = method.__name__
        return name

    def stop(self) -> None:
        """End normally, once the messages in the mailbox are handled."""
        cell = self._cell
        cell.stop(reasons.NORMAL, cell.options.shutdown_s, is_administrative=False)

    def end(self) -> None:
        """Called by the runtime when the incarnation ends: cancel timers and links."""
        for timer in list(self._timers or ()):
            timer.cancel()
        self.trap_exits = False
        if self._links:
            watches = list(self._links.values())
            self._links.clear()  # first: a watch that is no longer listed signals nothing
            for watch in watches:
                watch.cancel()
