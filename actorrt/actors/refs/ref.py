"""Refs: how an actor is addressed, the same in its process, on its machine and across machines.

A ref is a value. It owns nothing, so dropping one stops nothing, and it stays valid over restarts of its actor. It
knows the actor's *authority* (the node daemon, or the endpoint that hosts a light child), which knows where the actor
is. Where the actor was last seen is only a hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from inspect import Signature
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, ParamSpec, TypeVar, overload

from actorrt.actors.policy import checks
from actorrt.actors.refs import current
from actorrt.actors.refs.missing_attribute import MissingAttribute
from actorrt.actors.wire.interface import Interface, InterfaceData, MethodSpec
from actorrt.actors.wire.interface import from_data as interface_from_data
from actorrt.ids import ActorId, PeerAddress, short
from actorrt.protocol.authorities import Sighting
from actorrt.store.values.carrier import current_carrier

if TYPE_CHECKING:
    from actorrt.actors.refs.current import BoundEndpoint
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.refs.route import Route
    from actorrt.store.client.ref import ObjectRef

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class CallOptions(NamedTuple):
    """What one call adds to the actor's own options."""

    timeout_s: float | None = None
    retries: int = 0
    key: str | None = None
    returns: str = "value"


DEFAULT_CALL = CallOptions()


class ActorRef(Generic[A]):
    """Addresses one actor, whose public methods can be called through it."""

    __slots__ = (
        "__dict__",  # the methods that were called; made with the first one
        "__weakref__",
        "_actor_id",
        "_authority",
        "_call_timeout_s",
        "_endpoint",
        "_interface",
        "_name",
        "_route",
        "_seen",
    )

    _endpoint: BoundEndpoint
    _actor_id: ActorId
    _interface: Interface
    _name: str | None
    _authority: PeerAddress
    _seen: Sighting | None
    _call_timeout_s: float | None
    _route: Route | None

    def __init__(
        self,
        endpoint: BoundEndpoint,
        actor_id: ActorId,
        interface: Interface,
        name: str | None,
        authority: PeerAddress,
        seen: Sighting | None,
        call_timeout_s: float | None = None,
    ) -> None:
        put = object.__setattr__  # not our own, which is for users and slower: a group may have a million refs
        put(self, "_endpoint", endpoint)
        put(self, "_actor_id", actor_id)
        put(self, "_interface", interface)
        put(self, "_name", name)
        put(self, "_authority", authority)
        put(self, "_seen", seen)
        put(self, "_call_timeout_s", call_timeout_s)
        put(self, "_route", None)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(
                f"{self!r}.{name} can't be set: the actor's state is elsewhere; call a method that sets it"
            )
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> ActorMethod[..., Any]:
        if name.startswith("_"):
            raise AttributeError(f"{name!r}: only public methods can be called through a ref")
        method = self.__dict__[name] = self._method(name)
        return method

    def _method(self, name: str) -> ActorMethod[..., Any]:
        """Make a method and do not keep it: a group may have a million refs, each of which would keep its own."""
        spec = self._interface.methods.get(name)
        if spec is None:
            raise self._interface.unknown(name)
        options = (
            DEFAULT_CALL if self._call_timeout_s is None else DEFAULT_CALL._replace(timeout_s=self._call_timeout_s)
        )
        return ActorMethod(self, spec, options)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._interface.methods})

    def stop(self, reason: str = "shutdown") -> Operation[None]:
        """Stop the actor gracefully: it finishes what is in its mailbox, within its `shutdown_s`.

        The stop is administrative: no supervisor restarts the actor. It is done when the actor is gone, and has no
        effect on an actor that is gone already.
        """
        return self._endpoint.ends.stop(self, checks.any_text("reason", reason))

    def kill(self) -> Operation[None]:
        """End the actor at once, with its process if it has one of its own. No supervisor restarts it."""
        return self._endpoint.ends.kill(self)

    def is_alive(self) -> Operation[bool]:
        """Ask whether the actor is running or being restarted."""
        return self._endpoint.ends.is_alive(self)

    @property
    def _is_here(self) -> bool:
        """Whether this endpoint hosts the actor, as far as that is known now."""
        return self._route is not None and self._route.inbox is not None

    @property
    def _label(self) -> str:
        return self._name or f"{self._interface.class_name}-{short(self._actor_id)}"

    def __repr__(self) -> str:
        return f"<ActorRef {self._interface.class_name} {self._name or short(self._actor_id)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and other._actor_id == self._actor_id

    def __hash__(self) -> int:
        return hash(self._actor_id)

    def __reduce__(self) -> Any:
        route = self._endpoint.routes.sighting(self._actor_id) or self._seen
        return rebuild_ref, (
            self._actor_id,
            self._interface.to_data(),
            self._name,
            tuple(self._authority),
            None if route is None else (tuple(route.peer_address), route.incarnation),
            self._call_timeout_s,
        )


class ActorMethod(Generic[P, R]):
    """One method of one actor, ready to be called.

    `P` are the method's parameters and `R` is the result of a call: a `Reply` or a `Stream`. Mypy knows them if it runs
    `actorrt.mypy_plugin`.
    """

    __slots__ = ("_options", "_ref", "_spec")

    if not TYPE_CHECKING:
        remote = MissingAttribute("call it: ref.method(...)")

    def __init__(self, ref: ActorRef[Any], spec: MethodSpec, options: CallOptions) -> None:
        self._ref = ref
        self._spec = spec
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Ask: the arguments are captured and the message leaves at once.

        Returns:
            A `Reply`; a `Stream` for a generator; an `ObjectRef` with `returns="ref"`.

        Raises:
            TypeError: the method does not take these arguments.
            SerializationError: an argument can't be sent; nothing was sent.
            MailboxFullError: too much waits for this actor already; nothing was sent.
        """
        spec = self._spec
        if kwargs or not spec.least <= len(args) <= spec.most:
            spec.check(self._ref._interface.class_name, args, kwargs)
        result: R = self._ref._endpoint.calls.ask(self._ref, spec, args, kwargs, self._options)
        return result

    def ref(self: ActorMethod[P, Reply[T]], *args: P.args, **kwargs: P.kwargs) -> ObjectRef[T]:
        """Ask, and leave the result in the object store: short for `.options(returns="ref")(...)`.

        Returns:
            The ref of the result, pending until the call ends. It can be passed on before that.

        Raises:
            TypeError, SerializationError, MailboxFullError: as for a call.
        """
        method: ActorMethod[P, Any] = ActorMethod(self._ref, self._spec, self._options._replace(returns="ref"))
        stored: ObjectRef[T] = method(*args, **kwargs)
        return stored

    def ask_many(self, others: Sequence[ActorMethod[P, R]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Ask this actor and others of its class, with the arguments captured once; return the replies.

        Raises:
            TypeError: the method does not take these arguments, or yields: its streams are taken one by one.
        """
        refs = self._receivers(others, args, kwargs)
        return self._ref._endpoint.calls.ask_all(refs, self._spec, args, kwargs, self._options)

    def tell_many(
        self, others: Sequence[ActorMethod[P, R]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Reply[None]]:
        """Tell this actor and others of its class, as `ask_many`."""
        refs = self._receivers(others, args, kwargs)
        return self._ref._endpoint.calls.tell_all(refs, self._spec, args, kwargs, self._options)

    def _receivers(
        self, others: Sequence[ActorMethod[P, R]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[ActorRef[Any]]:
        spec = self._spec
        spec.check(self._ref._interface.class_name, args, kwargs)
        if spec.kind.is_stream:
            raise TypeError(f"{spec.name}() yields: call it on one actor of the group after the other")
        return [method._ref for method in (self, *others)]

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> Reply[None]:
        """Send a message without a reply. An exception of the method fails the actor.

        Returns:
            An awaitable that ends when the receiver has admitted the message.
        """
        spec = self._spec
        if kwargs or not spec.least <= len(args) <= spec.most:
            spec.check(self._ref._interface.class_name, args, kwargs)
        return self._ref._endpoint.calls.tell(self._ref, spec, args, kwargs, self._options)

    @property
    def __signature__(self) -> Signature:
        """The signature that notebooks and `help` show."""
        return self._spec.signature()

    @overload
    def options(
        self: ActorMethod[P, Reply[T]],
        *,
        returns: Literal["ref"],
        timeout_s: float | None = None,
        retries: int = 0,
        key: str | None = None,
    ) -> ActorMethod[P, ObjectRef[T]]: ...

    @overload
    def options(
        self,
        *,
        timeout_s: float | None = None,
        retries: int = 0,
        key: str | None = None,
        returns: Literal["value"] = "value",
    ) -> ActorMethod[P, R]: ...

    def options(
        self,
        *,
        timeout_s: float | None = None,
        retries: int = 0,
        key: str | None = None,
        returns: str = "value",
        **unknown: Any,
    ) -> ActorMethod[P, Any]:
        """Return this method with options for its calls.

        Args:
            timeout_s: the deadline, in seconds from the call.
            retries: how often the call is sent again if the actor died during it; it may run more than once then.
            key: calls of one key run once in an incarnation of the actor.
            returns: `"ref"` leaves the result in the store and gives an `ObjectRef` at once.
        """
        for name in unknown:
            near = get_close_matches(name, CallOptions._fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CallOptions._fields)}"
            raise TypeError(f"unknown call option {name!r}: {hint}")
        timeout_s = self._options.timeout_s if timeout_s is None else checks.above_zero("timeout_s", timeout_s)
        retries = checks.count(0)("retries", retries)
        key = None if key is None else checks.any_text("key", key)
        if returns not in ("value", "ref"):
            raise ValueError(f"option returns={returns!r}: give 'value' or 'ref'")
        return ActorMethod(self._ref, self._spec, CallOptions(timeout_s, retries, key, returns))

    def __repr__(self) -> str:
        return f"<method {self._spec.name} of {self._ref!r}>"


def require_ref(asked: str, ref: Any) -> ActorRef[Any]:
    """Return `ref`, which must be a ref; `asked` names the call that takes it.

    Raises:
        TypeError: it is not a ref.
    """
    if not isinstance(ref, ActorRef):
        raise TypeError(f"{asked}({ref!r}): give an ActorRef, which is what a spawn ends with, or `self.context.ref`")
    return ref


def rebuild_ref(
    actor_id: ActorId,
    interface: InterfaceData,
    name: str | None,
    authority: tuple[Any, str],
    seen: tuple[tuple[Any, str], int] | None,
    call_timeout_s: float | None,
) -> ActorRef[Any]:
    """Rebuild a ref that was pickled, bound to the endpoint that unpickles it."""
    carrier = current_carrier()
    return ActorRef(
        current.endpoint() if carrier is None or carrier.owner is None else carrier.owner,
        actor_id,
        interface_from_data(interface),
        name,
        PeerAddress(*authority),
        None if seen is None else Sighting(PeerAddress(*seen[0]), seen[1]),
        call_timeout_s,
    )
