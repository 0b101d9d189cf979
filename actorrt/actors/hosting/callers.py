"""Who asked, near or far: where the outcome of a message goes."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.wire.failures import error_to_data
from actorrt.actors.wire.payload import Captured
from actorrt.actors.wire.plain_values import is_plain_value
from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.protocol.envelopes import CREDIT, ERROR, ITEM, NOT_HERE, REPLY, CreditEnvelope, NotHereEnvelope
from actorrt.transport.interfaces import Link

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System

logger = logging.getLogger(__name__)

IMMUTABLE_TYPES: Final = frozenset({bool, int, float, complex, str, bytes})
RETRY_S: Final = 0.05
"""How long an outcome waits for a link whose queue is at its bound."""


class LocalCaller:
    """The endpoint itself: outcomes are copied like any that travel, and end the call in place."""

    is_far = False

    def __init__(self, system: System) -> None:
        self._system = system

    def succeed(self, call_id: int, value: Any) -> None:
        if value is not None and type(value) not in IMMUTABLE_TYPES:
            value = self._system.payloads.copy(value)
        reply = self._system.pending.take(call_id)
        if reply is not None:
            reply.set_value(value)

    def fail(self, call_id: int, error: BaseException, where: str, executed: errors.Executed) -> None:
        if self._system.origins is not None:
            self._system.origins.keep(self._system.peers.own_peer, call_id, error)
        rebuilt = self._system.payloads.open_error(error_to_data(error, where), executed)
        self._system.pending.failed(call_id, rebuilt)

    def refuse(self, call_id: int, error: errors.CallError) -> None:
        self._system.pending.failed(call_id, error)

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        """Without effect: a cell tells this endpoint's routes itself when it has room again."""

    def item(self, call_id: int, value: Any) -> None:
        self._system.streams.arrived(call_id, self._system.payloads.copy(value))


class RemoteCaller:
    """Another endpoint."""

    def __init__(self, system: System, peer: PeerId) -> None:
        self.peer = peer
        self._system = system
        self._peer = peer
        self._link: Link | None = None
        self._unsent: deque[tuple[tuple[Any, ...], Sequence[bytes]]] = deque()  # while the link is at its bound

    @property
    def is_far(self) -> bool:
        return bool(self._system.transport.node_of(self._peer))

    def succeed(self, call_id: int, value: Any) -> None:
        if is_plain_value(value):
            self._send((REPLY, call_id, (value,)), ())
        else:
            self._send_captured(REPLY, call_id, self._system.payloads.capture_value(value))

    def fail(self, call_id: int, error: BaseException, where: str, executed: errors.Executed) -> None:
        if self._system.origins is not None:
            self._system.origins.keep(self._peer, call_id, error)
        self._send((ERROR, call_id, error_to_data(error, f"{where} in process {os.getpid()}"), executed), ())

    def refuse(self, call_id: int, error: errors.CallError) -> None:
        self._send((ERROR, call_id, errors.to_data(error), error.executed), ())

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        address = self._system.transport.address_of(self._peer)
        if address is not None and not self._system.peers.is_lost(self._peer):
            envelope = CreditEnvelope(CREDIT, actor_id, messages, size_bytes, settlement)
            self._system.control.deliver(PeerAddress(self._peer, address), envelope)

    def not_here(self, call_id: int, actor_id: ActorId) -> None:
        """Say that the actor is not on this endpoint."""
        self._send(NotHereEnvelope(NOT_HERE, call_id, actor_id), ())

    def cut_off(self) -> None:
        """The endpoint was given up, and knows it: nobody there waits for what was not sent."""
        self._link = None
        self._unsent.clear()

    def item(self, call_id: int, value: Any) -> None:
        self._send_captured(ITEM, call_id, self._system.payloads.capture_value(value))

    def _send_captured(self, kind: int, call_id: int, captured: Captured) -> None:
        body, buffers, transit = captured
        if transit is not None and self._system.peers.is_lost(self._peer):
            transit.call_ended()  # nobody is left to open it
            return
        if transit is not None:
            self._system.transits.sent(self._peer, transit.tokens)
        self._send((kind, call_id, body), buffers)

    def _send(self, envelope: tuple[Any, ...], buffers: Sequence[bytes]) -> None:
        if self._unsent:
            self._unsent.append((envelope, buffers))
            return
        link = self._link
        if link is None:
            link = self._link = self._system.peers.link_to(self._peer)
            if link is None:
                return  # the caller is gone: there is nobody to tell
        try:
            link.send(envelope, buffers)
        except errors.PeerUnreachableError:
            self._link = None  # a link that was closed is not used again
            if self._system.peers.link_to(self._peer) is not link:
                self._send(envelope, buffers)  # another has taken its place
        except errors.MailboxFullError:
            self._unsent.append((envelope, buffers))  # an outcome is never dropped, and items keep their order
            self._system.scope.after(RETRY_S, self._send_unsent)

    def _send_unsent(self) -> None:
        unsent, self._unsent = self._unsent, deque()
        while unsent:
            self._send(*unsent.popleft())
            if self._unsent:
                self._unsent.extend(unsent)
                return
