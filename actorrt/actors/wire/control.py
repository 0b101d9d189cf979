"""Requests and notices between endpoints, in plain data: how processes arrange what actors need.

A request names a verb and always ends: with the handler's answer, its error as data, or the loss of the peer. What a
handler raises, and an answer that does not fit into an envelope, are refusals in words.
Control traffic has a lane of its own, so it never waits behind user messages. Nothing here is ever unpickled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from actorrt import errors
from actorrt.actors.wire.messages import NOTICE, REFUSAL, REQUEST, RESPONSE
from actorrt.actors.wire.verbs import FORMS
from actorrt.completion import Completion
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.interrupts import let_through
from actorrt.scopes import Scope
from actorrt.texts import text_of, traceback_of
from actorrt.transport.interfaces import Lane, Transport

logger = logging.getLogger(__name__)

RETRY_S: Final = 0.05
"""How long an answer or a notice waits for a link whose queue is at its bound."""
MAX_WAITING_COUNT: Final = 10_000

Data: TypeAlias = "dict[str, Any]"
Handler: TypeAlias = "Callable[[PeerId, Data], Any | Coroutine[Any, Any, Any]]"


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
        self._waiting: dict[PeerId, deque[tuple[PeerAddress, list[Any]]]] = {}  # for links at their bounds, in order

    def __len__(self) -> int:
        """How many requests wait for their answers."""
        return len(self._requests)

    def handle(self, verb: str, handler: Handler) -> None:
        """Answer `verb` with what `handler(peer, data)` returns, or what its coroutine does.

        What does not fit the verb's form in `verbs` never reaches the handler.
        """
        self._handlers[verb] = handler

    def request(self, to: PeerAddress, verb: str, data: Data, lane: Lane = Lane.CONTROL) -> Request:
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
        except Exception as error:  # the peer was dropped, its queue is full, or the data do not fit into an envelope
            del self._requests[self._last_id]
            request.set_error(error)
        return request

    def notify(self, to: PeerAddress, verb: str, data: Data, *, may_wait: bool = True) -> bool:
        """Tell `to`, expecting no answer; return whether that is on its way.

        It raises nothing. What can't be sent any more is dropped, for its peer is dead; what does not fit into an
        envelope is a defect, and logged.

        Args:
            to, verb, data: whom, and what.
            may_wait: whether it waits for a link that is at its bound; otherwise it is not sent.
        """
        return self.deliver(to, [NOTICE, verb, data], may_wait=may_wait)

    def deliver(self, to: PeerAddress, envelope: list[Any], *, may_wait: bool = True) -> bool:
        """Send an envelope of any kind on the control lane; as `notify`."""
        try:
            if may_wait:
                self._send_or_keep(to, envelope)
            else:
                self._send(to, envelope)
        except (errors.PeerUnreachableError, errors.MailboxFullError) as error:
            logger.debug("an envelope of kind %d was not sent to %s: %s", envelope[0], short(to.peer), error)
        except Exception:
            logger.exception("an envelope can't be sent to %s: %s", short(to.peer), envelope[:2])
        else:
            return True
        return False

    def _send_or_keep(self, to: PeerAddress, envelope: list[Any]) -> None:
        """Send what must arrive unless its receiver is gone, behind all that waits for the same."""
        waiting = self._waiting.get(to.peer)
        if waiting is None:
            try:
                self._send(to, envelope)
            except errors.MailboxFullError:
                waiting = self._waiting[to.peer] = deque()
                self._scope.after(RETRY_S, lambda: self._send_waiting(to.peer))
            else:
                return
        if len(waiting) >= MAX_WAITING_COUNT:
            raise errors.MailboxFullError(f"{len(waiting)} control envelopes wait for {short(to.peer)} already")
        waiting.append((to, envelope))

    def _send_waiting(self, peer: PeerId) -> None:
        waiting = self._waiting.get(peer)
        while waiting:
            try:
                self._send(*waiting[0])
            except errors.MailboxFullError:
                self._scope.after(RETRY_S, lambda: self._send_waiting(peer))
                return
            except errors.PeerUnreachableError:
                break
            except Exception:
                logger.exception("an envelope to %s can't be sent", short(peer))
            waiting.popleft()
        self._waiting.pop(peer, None)

    def _send(self, to: PeerAddress, envelope: list[Any], lane: Lane = Lane.CONTROL) -> None:
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
        self._waiting.pop(peer, None)
        for request_id, request in list(self._requests.items()):
            if request.peer == peer:
                del self._requests[request_id]
                request.set_error(error)

    def close(self, error: Exception, later: Exception | None = None) -> None:
        """End every request with `error`, and those to come with `later`, or with `error` too."""
        self._closed = later or error
        self._waiting.clear()
        while self._requests:
            self._requests.popitem()[1].set_error(error)

    def _serve(self, peer: PeerId, request_id: int | None, verb: str, data: Data) -> None:
        handler = self._handlers.get(verb)
        try:
            if handler is None:
                raise errors.RuntimeStateError(f"this process does not answer {verb!r}")
            form = None if peer == self._transport.peer else FORMS.get(verb)
            if form is not None:
                form(verb, data)
            outcome = handler(peer, data)
        except BaseException as error:
            let_through(error)
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
        except BaseException as error:
            let_through(error)
            if self._scope.is_closed and errors.is_kind(error, asyncio.CancelledError):
                raise
            self._refuse(peer, request_id, verb, error)
        else:
            self._respond(peer, request_id, RESPONSE, answer)

    def _refuse(self, peer: PeerId, request_id: int | None, verb: str, error: BaseException) -> None:
        if not errors.is_kind(error, errors.ActorRtError, TypeError, ValueError):
            logger.error("the handler of %r failed: %s", verb, traceback_of(error, error.__traceback__))
        elif request_id is None:
            logger.warning("a notice %r from %s was refused: %s", verb, short(peer), text_of(error))
        self._respond(peer, request_id, REFUSAL, errors.to_data(error))

    def _respond(self, peer: PeerId, request_id: int | None, kind: int, data: Any) -> None:
        """Answer a request; where the answer can't be sent, say that in its place."""
        if request_id is None:
            return
        to = PeerAddress(peer, self._transport.address_of(peer) or self._transport.address)
        try:
            self._send_or_keep(to, [kind, request_id, data])
        except errors.PeerUnreachableError:
            logger.debug("an answer was not sent: %s is gone", short(peer))
        except Exception as error:
            logger.warning("an answer to %s can't be sent: %s", short(peer), error)
            if kind == RESPONSE:
                refusal = errors.SerializationError(f"the answer can't be sent: {text_of(error)}", executed="yes")
                self._respond(peer, request_id, REFUSAL, errors.to_data(refusal))
