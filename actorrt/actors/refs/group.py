"""Several actors of one class, called together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from actorrt.actors.policy import checks
from actorrt.actors.refs.missing_attribute import MissingAttribute
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorMethod, ActorRef
from actorrt.actors.refs.reply import Reply
from actorrt.actors.refs.waiting import as_completed, gather

if TYPE_CHECKING:
    from actorrt.store.client.ref import ObjectRef

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


class GroupReply(Operation[list[T]]):
    """The replies of all actors of a group to one call: `await` it for the list, or take them as they come."""

    __slots__ = ("replies",)

    def __init__(self, what: str, replies: Sequence[Reply[T]]) -> None:
        super().__init__(what, parts=replies)
        self.replies = list(replies)
        gathered = gather(*self.replies)
        self.on_cancel(gathered.cancel)
        gathered.add_callback(self.end_as)

    def as_completed(self, timeout_s: float | None = None) -> as_completed[Reply[T]]:
        """Iterate over the replies in the order in which they complete; see `actorrt.as_completed`."""
        return as_completed(self.replies, timeout_s)


class GroupMethod(Generic[P, T]):
    """One method of every actor of a group.

    `P` are the method's parameters and `T` is its result, which mypy knows if it runs `actorrt.mypy_plugin`.
    """

    __slots__ = ("_methods",)

    if not TYPE_CHECKING:
        remote = MissingAttribute("call it: group.method(...)")

    def __init__(self, methods: Sequence[ActorMethod[..., Any]]) -> None:
        self._methods = methods

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> GroupReply[T]:
        """Ask all, with the arguments captured once.

        Raises:
            TypeError, SerializationError: as of a single call; nothing was sent. A call of the group that fails later
                has the error in its own reply.
        """
        if not self._methods:
            return GroupReply(f"{self!r}()", [])
        first, *others = self._methods
        return GroupReply(f"{self!r}()", first.ask_many(others, args, kwargs))

    def ref(self, *args: P.args, **kwargs: P.kwargs) -> list[ObjectRef[T]]:
        """Ask all, with the arguments captured once, and leave the results in the store; see `ActorMethod.ref`."""
        if not self._methods:
            return []
        first, *others = [method.options(returns="ref") for method in self._methods]
        refs: list[ObjectRef[T]] = first.ask_many(others, args, kwargs)
        return refs

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> Operation[list[None]]:
        """Tell all, with the arguments captured once. The result ends when every receiver has admitted the message.

        Raises:
            TypeError, SerializationError: as of a single tell; nothing was sent.
        """
        if not self._methods:
            return gather()
        first, *others = self._methods
        return gather(*first.tell_many(others, args, kwargs))

    def options(self, **options: Any) -> GroupMethod[P, T]:
        """Return this method with options for its calls; see `ActorMethod.options`."""
        return GroupMethod([method.options(**options) for method in self._methods])

    def __repr__(self) -> str:
        return f"<method of {len(self._methods)} actors>"


class ActorGroup(Generic[A]):
    """An immutable sequence of refs; its methods are those of the actors, called on all.

    Not a `collections.abc.Sequence`, whose `count` and `index` would hide methods of that name.
    """

    def __init__(self, refs: Sequence[ActorRef[A]]) -> None:
        self._refs: Sequence[ActorRef[A]] = tuple(refs)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"{self!r}.{name} can't be set: call a method that sets it in the actors")
        super().__setattr__(name, value)

    @classmethod
    def _owning(cls, refs: list[ActorRef[A]]) -> ActorGroup[A]:
        """Make a group that keeps the list itself: to copy a million refs would block the loop for long."""
        group: ActorGroup[A] = cls(())
        group._refs = refs
        return group

    @overload
    def __getitem__(self, index: int) -> ActorRef[A]: ...

    @overload
    def __getitem__(self, index: slice) -> ActorGroup[A]: ...

    def __getitem__(self, index: int | slice) -> ActorRef[A] | ActorGroup[A]:
        if isinstance(index, slice):
            return ActorGroup(self._refs[index])
        return self._refs[index]

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Iterator[ActorRef[A]]:
        return iter(self._refs)

    def __getattr__(self, name: str) -> GroupMethod[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return GroupMethod([ref._method(name) for ref in self._refs])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(dir(self._refs[0]) if self._refs else ())})

    def stop(self, reason: str = "shutdown") -> Operation[list[None]]:
        """Stop all gracefully; see `ActorRef.stop`."""
        return self._end(checks.any_text("reason", reason), kill=False)

    def kill(self) -> Operation[list[None]]:
        """End all at once; see `ActorRef.kill`."""
        return self._end("killed", kill=True)

    def _end(self, reason: str, *, kill: bool) -> Operation[list[None]]:
        return self._refs[0]._endpoint.ends.end_group(self._refs, reason, kill=kill) if self._refs else gather()

    def is_alive(self) -> Operation[list[bool]]:
        """Ask of each whether it is alive."""
        return gather(*[ref.is_alive() for ref in self._refs])

    def __reduce__(self) -> Any:
        return ActorGroup, (self._refs,)

    def __repr__(self) -> str:
        return f"<ActorGroup of {len(self._refs)}>"
