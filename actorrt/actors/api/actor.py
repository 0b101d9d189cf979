"""The base class of users' actors, and how they are spawned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, Unpack

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.missing_attribute import MissingAttribute
from actorrt.actors.wire.definition import check_class, default_hook
from actorrt.reasons import ExitReason
from actorrt.store.values.carrier import current_carrier

if TYPE_CHECKING:
    from actorrt.actors.cells.context import Context
    from actorrt.actors.policy.option_types import OptionTypes
    from actorrt.actors.refs.ends import Down, Exit
    from actorrt.actors.refs.group import ActorGroup
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.ref import ActorRef

A = TypeVar("A", bound="Actor")


class Spawner(Generic[A]):
    """An actor class with options, ready to spawn."""

    def __init__(self, cls: type[A], options: ActorOptions) -> None:
        self._class = cls
        self._options = options

    def spawn(self, *args: Any, **kwargs: Any) -> Operation[ActorRef[A]]:
        """Start one actor; the arguments are its constructor's.

        Returns:
            An operation that ends with the ref once `on_start` has returned.

        Raises:
            SerializationError: the class or an argument can't be sent.
            ActorStartError: (from the result) the constructor or `on_start` failed; nothing is left of the actor.
            NameTakenError: (from the result) another live actor has the name.
        """
        return current_endpoint().spawning.spawn(self._class, self._options, args, kwargs)

    def spawn_many(self, count: int, *args: Any, **kwargs: Any) -> Operation[ActorGroup[A]]:
        """Start `count` actors with equal arguments, captured once.

        Returns:
            An operation that ends with an `ActorGroup` once all have started. If one start fails, the others are
            stopped.
        """
        return current_endpoint().spawning.spawn_many(self._class, self._options, count, args, kwargs)

    def options(self, **changes: Unpack[OptionTypes]) -> Spawner[A]:
        """Return this class with changed options."""
        return Spawner(self._class, self._options.replaced(changes))

    if not TYPE_CHECKING:
        remote = MissingAttribute("start an actor with .spawn(...)")

    def __repr__(self) -> str:
        return f"<{self._class.__name__} with options>"


class Actor:
    """State behind a mailbox: public methods are called through a ref, one message at a time.

    Hooks, all optional and not callable through a ref: `on_start`, `on_stop(reason)`, `on_down(down)`,
    `on_exit(exit)`. They may be coroutines or plain methods. `snapshot()`, a plain method, and `restore(state)` keep
    state over restarts; the option `snapshot_every` says how often.
    """

    context: Context
    _is_supervisor: ClassVar[bool] = False
    _default_options: ClassVar[Mapping[str, Any]] = {}
    """Options of this class that differ from those of other actors, unless a spawn says otherwise."""
    if not TYPE_CHECKING:
        remote = MissingAttribute("start an actor with {0}.spawn(...), or {0}.options(...).spawn(...)")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_class(cls, Actor)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """In a message, an actor that gives itself gives a ref. Elsewhere it is pickled and copied as any object."""
        context = self.__dict__.get("context")
        if context is None or current_carrier() is None:
            return super().__reduce_ex__(protocol)
        return context.ref.__reduce__()

    @default_hook
    async def on_start(self) -> None:
        """Called before the first message. An exception fails the start."""

    @default_hook
    async def on_stop(self, reason: ExitReason) -> None:
        """Called when the actor stops by request or by itself, and not when it fails."""

    async def on_down(self, down: Down) -> None:
        """Called when an actor that this one monitors is gone."""

    async def on_exit(self, exit: Exit) -> None:
        """Called when an actor that this one is linked to is gone, if `context.trap_exits` is set."""

    @classmethod
    def spawn(cls: type[A], *args: Any, **kwargs: Any) -> Operation[ActorRef[A]]:
        """Start one actor of this class; see `Spawner.spawn`."""
        return Spawner(cls, ActorOptions.of(cls._default_options)).spawn(*args, **kwargs)

    @classmethod
    def spawn_many(cls: type[A], count: int, *args: Any, **kwargs: Any) -> Operation[ActorGroup[A]]:
        """Start `count` actors of this class; see `Spawner.spawn_many`."""
        return Spawner(cls, ActorOptions.of(cls._default_options)).spawn_many(count, *args, **kwargs)

    @classmethod
    def options(cls: type[A], **options: Unpack[OptionTypes]) -> Spawner[A]:
        """Return this class with options to spawn with; `ActorOptions` lists them.

        Raises:
            TypeError: an option that does not exist, or a value of a wrong type.
            ValueError: a value outside its range, or options that contradict each other.
        """
        return Spawner(cls, ActorOptions.of({**cls._default_options, **options}))
