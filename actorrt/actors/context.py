"""What an actor knows of itself, and may ask of its runtime: `self.context`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actorrt import reasons
from actorrt.actors import current
from actorrt.actors.links import link, unlink
from actorrt.actors.mailbox import Message
from actorrt.actors.ref import ActorRef, require_ref

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell
    from actorrt.actors.monitors import Down
    from actorrt.actors.reply import Operation
    from actorrt.ids import ActorId


class Timer:
    """A message to oneself to come; it dies with the incarnation that asked for it."""

    __slots__ = ("_context", "_handle", "_period_s", "args", "method")

    def __init__(self, context: Context, seconds: float, method: str, args: tuple[Any, ...], repeats: bool) -> None:
        self._context = context
        self._period_s = seconds if repeats else None
        self.method = method
        self.args = args
        self._handle: asyncio.TimerHandle | None = self._begin(seconds)

    def _begin(self, seconds: float) -> asyncio.TimerHandle:
        return self._context._cell.host.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._handle = None
        if self._period_s is not None:
            self._handle = self._begin(self._period_s)
        else:
            self._context.timers.discard(self)
        self._context._cell.deliver(Message(None, 0, self.method, self.args, (), None, None))

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
    """

    __slots__ = ("_cell", "_links", "_timers", "trap_exits")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._timers: set[Timer] | None = None
        self._links: dict[ActorId, Operation[Down]] | None = None
        self.trap_exits = False

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
        """1 when it is started first, one more after each restart."""
        return self._cell.incarnation

    @property
    def parent(self) -> ActorRef[Any] | None:
        """The actor that spawned this one, if an actor did."""
        return self._cell.blueprint.parent_ref

    @property
    def deadline(self) -> float | None:
        """When the message in hand must be done, as a `time.monotonic()` value; None without a deadline."""
        return current.deadline()

    def monitor(self, ref: ActorRef[Any]) -> None:
        """Have `on_down(down)` called, once, when the actor is gone for good; at once if it is already."""
        self._cell.host.monitor_for(self._cell, require_ref("monitor", ref))

    def link(self, ref: ActorRef[Any]) -> None:
        """Tie this incarnation's fate to another actor's, both ways, wherever that lives.

        When one of the two is gone for good, the other ends with the same reason: at once, whatever is in its
        mailbox, and for its supervisor to decide on. It does not where the reason is `normal`, or where it sets
        `trap_exits`: then `on_exit(exit)` is called, after the other's messages. Linking to what is gone signals at
        once. A restart ends this side's link; `on_start` is the place to link again.
        """
        link(self._cell, require_ref("link", ref))

    def unlink(self, ref: ActorRef[Any]) -> None:
        """Undo `link`, from either side. Without effect where there is none."""
        unlink(self._cell, require_ref("unlink", ref))

    def after(self, seconds: float, method: str, *args: Any) -> Timer:
        """Tell oneself `method(*args)` in `seconds` seconds; the timer is cancelled when the actor ends."""
        return self._timer(seconds, method, args, repeats=False)

    def every(self, seconds: float, method: str, *args: Any) -> Timer:
        """Tell oneself `method(*args)` every `seconds` seconds until the timer is cancelled or the actor ends."""
        return self._timer(seconds, method, args, repeats=True)

    def _timer(self, seconds: float, method: str, args: tuple[Any, ...], *, repeats: bool) -> Timer:
        if not seconds > 0:
            raise ValueError(f"seconds={seconds}: a timer needs a positive number of seconds")
        spec = self._cell.blueprint.interface.methods.get(method)
        if spec is None:
            raise self._cell.blueprint.interface.unknown(method)
        spec.check(self._cell.blueprint.interface.class_name, args, {})
        timer = Timer(self, seconds, method, args, repeats)
        self.timers.add(timer)
        return timer

    def stop(self) -> None:
        """End normally, once the messages in the mailbox are handled."""
        cell = self._cell
        cell.stop(reasons.NORMAL, cell.options.shutdown_s, is_administrative=False)

    def end(self) -> None:
        """Cancel timers and links; the runtime calls it when the incarnation ends."""
        for timer in list(self._timers or ()):
            timer.cancel()
        self.trap_exits = False
        if self._links:
            watches = list(self._links.values())
            self._links.clear()  # first: a watch that is no longer listed signals nothing
            for watch in watches:
                watch.cancel()
