"""What runs here: the endpoint of this process, and the message that is being handled.

A process has one endpoint. In local mode it has several, since every worker of the node has its own: code of an actor
finds the endpoint of its worker through the message in hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from actorrt.errors import RuntimeStateError
from actorrt.protocol.authorities import Sighting

if TYPE_CHECKING:
    from actorrt.actors.refs.loop_thread import LoopThread
    from actorrt.actors.refs.message import Message
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.ref import ActorRef, CallOptions
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.wire.interface import MethodSpec
    from actorrt.actors.wire.payload import Payloads
    from actorrt.actors.wire.transits import Transits
    from actorrt.ids import ActorId
    from actorrt.machine.surroundings import Surroundings


class Sending(Protocol):
    """Sends the calls that are made through refs."""

    def ask(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Any:
        """Send a call; return its reply, its stream or the ref to its result, as the method and the options say."""

    def tell(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Reply[None]:
        """Send a message that has no reply."""

    def ask_all(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Any]:
        """Send one call to many actors."""

    def tell_all(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Reply[None]]:
        """Send one message to many actors."""


class SeenPlaces(Protocol):
    """Knows where actors were seen."""

    def sighting(self, actor_id: ActorId) -> Sighting | None:
        """Return where the actor was seen last, if that is known."""


class Ending(Protocol):
    """Ends actors."""

    def stop(self, ref: ActorRef[Any], reason: str) -> Operation[None]:
        """See `ActorRef.stop`."""

    def kill(self, ref: ActorRef[Any]) -> Operation[None]:
        """See `ActorRef.kill`."""

    def end_group(self, refs: Sequence[ActorRef[Any]], reason: str, *, kill: bool) -> Operation[list[None]]:
        """See `ActorGroup.stop` and `ActorGroup.kill`."""

    def is_alive(self, ref: ActorRef[Any]) -> Operation[bool]:
        """See `ActorRef.is_alive`."""


class BoundEndpoint(Protocol):
    """What a ref asks of the endpoint that it is bound to.

    Attributes:
        is_closed: whether it refuses everything.
    """

    is_closed: bool

    @property
    def calls(self) -> Sending: ...

    @property
    def ends(self) -> Ending: ...

    @property
    def payloads(self) -> Payloads: ...

    @property
    def routes(self) -> SeenPlaces: ...

    @property
    def threads(self) -> LoopThread: ...

    @property
    def transits(self) -> Transits: ...

    @property
    def surroundings(self) -> Surroundings: ...

    def refusal(self) -> RuntimeStateError:
        """Return the error of everything that is asked after the end."""


message: ContextVar[Message | None] = ContextVar("actorrt_message", default=None)
"""The message in hand, where a method of an actor runs."""

_process_endpoint: BoundEndpoint | None = None


def set_process_endpoint(endpoint: BoundEndpoint | None) -> None:
    """Set the endpoint that serves the code of this process that belongs to no actor."""
    global _process_endpoint
    _process_endpoint = endpoint


def process_endpoint() -> BoundEndpoint | None:
    """Return the endpoint that serves the code of this process that belongs to no actor; None if there is none."""
    return _process_endpoint


def endpoint() -> BoundEndpoint:
    """Return the endpoint that serves the calling code.

    Raises:
        RuntimeStateError: the runtime is not running in this process, was shut down, or lost its node.
    """
    in_hand = message.get()
    found: BoundEndpoint | None = _process_endpoint if in_hand is None else in_hand.cell.host.endpoint
    if found is None:
        raise RuntimeStateError("the runtime is not running here: call actorrt.init() first, or use actorrt.run(main)")
    if found.is_closed:
        raise found.refusal()
    return found


def surroundings() -> Surroundings | None:
    """Return the surroundings of the calling code; None if no runtime runs in this process."""
    in_hand = message.get()
    found: BoundEndpoint | None = _process_endpoint if in_hand is None else in_hand.cell.host.endpoint
    return None if found is None else found.surroundings


def deadline() -> float | None:
    """Return the deadline of the message in hand, if it has one. Code that outlives its message has none."""
    in_hand = message.get()
    return None if in_hand is None or in_hand.is_over else in_hand.deadline
