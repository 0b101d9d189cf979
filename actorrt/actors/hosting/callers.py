"""The callers of an endpoint's actors, in this process and in others: they take the outcomes of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt import errors
from actorrt.actors.wire.failures import error_to_data
from actorrt.actors.wire.outlet import Outlet
from actorrt.actors.wire.payload import Captured, Payloads
from actorrt.actors.wire.plain_values import is_plain_value
from actorrt.ids import ActorId, PeerId
from actorrt.protocol.envelopes import CREDIT, ERROR, ITEM, NOT_HERE, REPLY, CreditEnvelope, NotHereEnvelope

if TYPE_CHECKING:
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.wire.control import Control
    from actorrt.actors.wire.origins import Origins
    from actorrt.actors.wire.peers import Peers
    from actorrt.actors.wire.transits import Transits

IMMUTABLE_TYPES: Final = frozenset({bool, int, float, complex, str, bytes})


class OwnCalls(Protocol):
    """The calls of this endpoint that have not ended."""

    def take(self, call_id: int) -> Reply[Any] | None:
        """Remove and return a call; None if it has ended."""

    def failed(self, call_id: int, error: BaseException) -> None:
        """Called with the error of a call."""


class OpenStreams(Protocol):
    """The streams that are read on this endpoint."""

    def arrived(self, call_id: int, item: Any) -> None:
        """Called with an item of a call made here."""


class LocalCaller:
    """The endpoint itself: outcomes are copied like any that travel, and end the call in place.

    Args:
        calls, streams: the calls and streams of its own code.
        payloads: copies outcomes, and opens errors as if they had travelled.
        keep_origin: keeps the exception of a call, to show where it was raised; None: nothing is kept.
    """

    is_far = False

    def __init__(
        self,
        calls: OwnCalls,
        streams: OpenStreams,
        payloads: Payloads,
        keep_origin: Callable[[int, BaseException], None] | None,
    ) -> None:
        self._calls = calls
        self._streams = streams
        self._payloads = payloads
        self._keep_origin = keep_origin

    def succeed(self, call_id: int, value: Any) -> None:
        if value is not None and type(value) not in IMMUTABLE_TYPES:
            value = self._payloads.copy(value)
        reply = self._calls.take(call_id)
        if reply is not None:
            reply.set_value(value)

    def fail(self, call_id: int, error: BaseException, where: str, executed: errors.Executed) -> None:
        if self._keep_origin is not None:
            self._keep_origin(call_id, error)
        self._calls.failed(call_id, self._payloads.open_error(error_to_data(error, where), executed))

    def refuse(self, call_id: int, error: errors.CallError) -> None:
        self._calls.failed(call_id, error)

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        """Without effect: a cell tells this endpoint's routes itself when it has room again."""

    def item(self, call_id: int, value: Any) -> None:
        self._streams.arrived(call_id, self._payloads.copy(value))


class RemoteCaller:
    """Another endpoint.

    Args:
        peer: the endpoint.
        peers: opens links to it.
        control: carries credit to it.
        payloads: captures outcomes.
        transits: of the objects that outcomes take along.
        pid: the number of this process, which errors name.
        origins: keeps exceptions, to show where they were raised; None: nothing is kept.
    """

    def __init__(
        self,
        peer: PeerId,
        peers: Peers,
        control: Control,
        payloads: Payloads,
        transits: Transits,
        pid: int,
        origins: Origins | None = None,
    ) -> None:
        self.peer = peer
        self._peers = peers
        self._control = control
        self._payloads = payloads
        self._transits = transits
        self._pid = pid
        self._origins = origins
        self._outlet = Outlet(peer, peers.link_to, control.after)

    @property
    def is_far(self) -> bool:
        return bool(self._peers.node_of(self.peer))

    def succeed(self, call_id: int, value: Any) -> None:
        if is_plain_value(value):
            self._outlet.send((REPLY, call_id, (value,)), ())
        else:
            self._send_captured(REPLY, call_id, self._payloads.capture_value(value))

    def fail(self, call_id: int, error: BaseException, where: str, executed: errors.Executed) -> None:
        if self._origins is not None:
            self._origins.keep(self.peer, call_id, error)
        self._outlet.send((ERROR, call_id, error_to_data(error, f"{where} in process {self._pid}"), executed), ())

    def refuse(self, call_id: int, error: errors.CallError) -> None:
        self._outlet.send((ERROR, call_id, errors.to_data(error), error.executed), ())

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        address = self._peers.address_of(self.peer)
        if address is not None:
            self._control.deliver(address, CreditEnvelope(CREDIT, actor_id, messages, size_bytes, settlement))

    def not_here(self, call_id: int, actor_id: ActorId) -> None:
        """Say that the actor is not on this endpoint."""
        self._outlet.send(NotHereEnvelope(NOT_HERE, call_id, actor_id), ())

    def cut_off(self) -> None:
        """Called when the endpoint was given up, and knows it: drop the outcomes that were not sent."""
        self._outlet.cut_off()

    def item(self, call_id: int, value: Any) -> None:
        self._send_captured(ITEM, call_id, self._payloads.capture_value(value))

    def _send_captured(self, kind: int, call_id: int, captured: Captured) -> None:
        body, buffers, transit = captured
        if transit is not None and self._peers.is_lost(self.peer):
            transit.call_ended()  # nobody is left to open it
            return
        if transit is not None:
            self._transits.left(self.peer, transit)
        self._outlet.send((kind, call_id, body), buffers)
