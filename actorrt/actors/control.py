"""Requests and notices between endpoints, in plain data: how processes arrange what actors need.

A request names a verb and always ends: with the handler's answer, its error as data, or the loss of the peer.
Control traffic has a lane of its own, so it never waits behind user messages. Nothing here is ever unpickled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeAlias

import msgpack

from actorrt import errors
from actorrt.actors.messages import NOTICE, REFUSAL, REQUEST, RESPONSE
from actorrt.actors.verbs import FORMS
from actorrt.completion import Completion
from actorrt.ids import PeerId, short
from actorrt.scopes import Scope
from actorrt.transport.protocol import Lane, Transport

logger = logging.getLogger(__name__)

Data: TypeAlias = "dict[str, Any]"
Handler: TypeAlias = "Callable[[PeerId, Data], Any | Coroutine[Any, Any, Any]]"


class Endpoint(NamedTuple):
    """Where a process can be reached: its id, which dies with it, and its transport's address."""

    peer: PeerId
    address: str

    def packed(self) -> bytes:
        """Return both in one: a node is called by its daemon's."""
        packed: bytes = msgpack.packb(list(self))
        return packed


class Request(Completion[Any]):
    """The answer to a control request, to come."""

    __slots__ = ("peer", "verb")

    def __init__(self, peer: PeerId, verb: str) -> None:
        super().__init__()
        self.peer = peer
        self.verb = verb


class Control:
    """One endpoint's side of all control conversations.

    Args:
        transport: carries the envelopes; it must be started before the first request.
        scope: owns the handlers that wait.
    """

    def __init__(self, transport: Transport, scope: Scope) -> None:
        self._transport = transport
        self._scope = scope
        self._handlers: dict[str, Handler] = {}
        self._requests: dict[int, Request] = {}
        self._last_id = 0
        self._closed: Exception | None = None

    def __len__(self) -> int:
        """How many requests wait for their answers."""
        return len(self._requests)

    def handle(self, verb: str, handler: Handler) -> None:
        """Answer `verb` with what `handler(peer, data)` returns, or what its coroutine does.

        What does not fit the verb's form in `verbs` never reaches the handler.
        """
        self._handlers[verb] = handler

    def request(self, to: Endpoint, verb: str, data: Data, lane: Lane = Lane.CONTROL) -> Request:
        """Ask `to`; the answer is plain data, or one of `actorrt.errors`.

        On the user lane the request comes after every message that was sent there before.
        """
        self._last_id += 1
        request = self._requests[self._last_id] = Request(to.peer, verb)
        if self._closed is not None:
            del self._requests[self._last_id]
            request.set_error(self._closed)
            return request
        try:
            self._send(to, [REQUEST, self._last_id, verb, data], lane)
        except errors.ActorRtError as error:  # the peer was dropped, or its queue is full
            del self._requests[self._last_id]
            request.set_error(error)
        return request

    def notify(self, to: Endpoint, verb: str, data: Data) -> None:
        """Tell `to`, expecting no answer. What can't be sent is dropped: its peer is dead, or takes nothing."""
        try:
            self._send(to, [NOTICE, verb, data])
        except errors.PeerUnreachableError:
            logger.debug("%r was not sent: %s is gone", verb, short(to.peer))
        except errors.MailboxFullError as error:  # others are still to be told
            logger.warning("%r was not sent to %s: %s", verb, short(to.peer), error)

    def _send(self, to: Endpoint, envelope: list[Any], lane: Lane = Lane.CONTROL) -> None:
        if to.peer == self._transport.peer:
            self._scope.loop.call_soon(self.received, to.peer, envelope)
        else:
            self._transport.link(*to, lane).send(envelope)

    def received(self, peer: PeerId, envelope: list[Any]) -> None:
        """Take in an envelope of one of the control kinds."""
        kind = envelope[0]
        if kind == REQUEST:
            _, request_id, verb, data = envelope
            self._serve(peer, request_id, verb, data)
        elif kind == NOTICE:
            _, verb, data = envelope
            self._serve(peer, None, verb, data)
        else:
            _, request_id, outcome = envelope
            request = self._requests.pop(request_id, None)
            if request is None:
                return  # its asker was told already that the peer was lost
            if kind == RESPONSE:
                request.set_value(outcome)
            else:
                request.set_error(errors.from_data(outcome))

    def peer_lost(self, peer: PeerId, error: Exception) -> None:
        """End every request that waits for `peer` with `error`."""
        for request_id, request in list(self._requests.items()):
            if request.peer == peer:
                del self._requests[request_id]
                request.set_error(error)

    def close(self, error: Exception, later: Exception | None = None) -> None:
        """End every request with `error`, and those to come with `later`, or with `error` too."""
        self._closed = later or error
        while self._requests:
            self._requests.popitem()[1].set_error(error)

    def _serve(self, peer: PeerId, request_id: int | None, verb: str, data: Data) -> None:
        handler = self._handlers.get(verb)
        try:
            if handler is None:
                raise errors.RuntimeStateError(f"this process does not answer {verb!r}")
            form = FORMS.get(verb)
            if form is not None:
                form(verb, data)
            outcome = handler(peer, data)
        except Exception as error:
            self._refuse(peer, request_id, verb, error)
            return
        if isinstance(outcome, Coroutine):
            self._serve_apart(peer, request_id, verb, outcome)
        else:
            self._respond(peer, request_id, RESPONSE, outcome)

    def _serve_apart(self, peer: PeerId, request_id: int | None, verb: str, outcome: Coroutine[Any, Any, Any]) -> None:
        serving = self._serve_waiting(peer, request_id, verb, outcome)
        try:
            task = self._scope.start(serving, f"{verb} for {short(peer)}")
        except RuntimeError:  # this endpoint is closing: whoever asks hears of the end of its process
            outcome.close()
        else:
            task.add_done_callback(lambda _: outcome.close())  # it may be cancelled before it has begun

    async def _serve_waiting(
        self, peer: PeerId, request_id: int | None, verb: str, outcome: Coroutine[Any, Any, Any]
    ) -> None:
        try:
            answer = await outcome
        except Exception as error:
            self._refuse(peer, request_id, verb, error)
        else:
            self._respond(peer, request_id, RESPONSE, answer)

    def _refuse(self, peer: PeerId, request_id: int | None, verb: str, error: Exception) -> None:
        if not isinstance(error, errors.ActorRtError | TypeError | ValueError):
            logger.error("the handler of %r failed", verb, exc_info=error)
        elif request_id is None:
            logger.warning("a notice %r from %s was refused: %s", verb, short(peer), error)
        self._respond(peer, request_id, REFUSAL, errors.to_data(error))

    def _respond(self, peer: PeerId, request_id: int | None, kind: int, data: Any) -> None:
        if request_id is None:
            return
        address = self._transport.address_of(peer) or self._transport.address
        try:
            self._send(Endpoint(peer, address), [kind, request_id, data])
        except errors.PeerUnreachableError:
            logger.debug("an answer was not sent: %s is gone", short(peer))
