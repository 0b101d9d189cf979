"""Conversations of endpoints in the verbs of `actorrt.protocol`: how processes arrange what actors need.

A request always ends: with the handler's answer, its error as data, or the loss of the peer. What a handler raises, and
an answer that does not fit into an envelope, are refusals in words. A request of a wrong form never reaches a handler;
within an endpoint, requests and answers are handed on as they are.

Control traffic has a lane of its own, so it never waits behind user messages. Nothing here is ever unpickled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable
from types import CoroutineType
from typing import Any, Final, TypeVar

from actorrt import errors
from actorrt.completion import Completion
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.interrupts import let_through
from actorrt.protocol.annotations import read_error
from actorrt.protocol.envelopes import NOTICE, REFUSAL, REQUEST, RESPONSE
from actorrt.protocol.verb import Handler, Request
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.texts import text_of, traceback_of
from actorrt.transport.interfaces import Envelope, Lane, Transport

logger = logging.getLogger(__name__)

RETRY_S: Final = 0.05
"""How long an answer or a notice waits for a link whose queue is at its bound."""
MAX_WAITING_COUNT: Final = 10_000

A = TypeVar("A")


class Answer(Completion[A]):
    """The answer to a request, to come.

    Attributes:
        peer: who was asked.
        request: what was asked.
    """

    __slots__ = ("peer", "request")

    def __init__(self, peer: PeerId, request: type[Request[A]]) -> None:
        super().__init__()
        self.peer = peer
        self.request = request


class Control:
    """One endpoint's side of all control conversations.

    Args:
        transport: carries the envelopes; it must be started before the first request.
        scope: owns the handlers that wait.

    Attributes:
        after: calls a function in so many seconds; see `Scope.after`.
    """

    def __init__(self, transport: Transport, scope: Scope) -> None:
        self.after = scope.after
        self._transport = transport
        self._scope = scope
        self._handlers: dict[str, Handler] = {}
        self._requests: dict[int, Answer[Any]] = {}
        self._last_id = 0
        self._closed: Exception | None = None
        self._waiting: dict[PeerId, deque[tuple[PeerAddress, Envelope]]] = {}  # for links at their bounds, in order

    def __len__(self) -> int:
        """How many requests wait for their answers."""
        return len(self._requests)

    def handle(self, handler: Handler) -> None:
        """Have a request handled from now on; see `Request.by`. Its answer, or what it raises, is sent back."""
        self._handlers[handler.request.verb] = handler

    def request(self, to: PeerAddress, request: Request[A], lane: Lane = Lane.CONTROL) -> Answer[A]:
        """Ask `to`; what comes is its answer, or one of `actorrt.errors`.

        On the user lane the request comes after every message that was sent there before.
        """
        self._last_id += 1
        answer = self._requests[self._last_id] = Answer(to.peer, type(request))
        if self._closed is not None:
            del self._requests[self._last_id]
            answer.set_error(self._closed)
            return answer
        try:
            data = request if to.peer == self._transport.peer else request.pack()
            self._send(to, [REQUEST, self._last_id, request.verb, data], lane)
        except Exception as error:  # the peer was dropped, its queue is full, or the data do not fit into an envelope
            del self._requests[self._last_id]
            answer.set_error(error)
        return answer

    def notify(self, to: PeerAddress, notice: Request[None], *, may_wait: bool = True) -> bool:
        """Tell `to`, expecting no answer; return whether that is on its way.

        It raises nothing. What can't be sent any more is dropped, for its peer is dead; what does not fit into an
        envelope is a defect, and logged.

        Args:
            to, notice: whom, and what.
            may_wait: whether it waits for a link that is at its bound; otherwise it is not sent.
        """
        try:
            data = notice if to.peer == self._transport.peer else notice.pack()
        except Exception:
            logger.exception("a notice %r can't be sent to %s", notice.verb, short(to.peer))
            return False
        return self.deliver(to, [NOTICE, notice.verb, data], may_wait=may_wait)

    def notify_all(self, to: Iterable[PeerAddress], notice: Request[None]) -> None:
        """Tell several other endpoints the same, expecting no answers; as `notify`."""
        try:
            envelope = [NOTICE, notice.verb, notice.pack()]
        except Exception:
            logger.exception("a notice %r can't be sent", notice.verb)
            return
        for peer_address in to:
            self.deliver(peer_address, envelope)

    def deliver(self, to: PeerAddress, envelope: Envelope, *, may_wait: bool = True) -> bool:
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

    def _send_or_keep(self, to: PeerAddress, envelope: Envelope) -> None:
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

    def _send(self, to: PeerAddress, envelope: Envelope, lane: Lane = Lane.CONTROL) -> None:
        if to.peer == self._transport.peer:
            self._scope.loop.call_soon(self.received, to.peer, envelope)
        else:
            self._transport.link(*to, lane).send(envelope)

    def received(self, peer: PeerId, envelope: Envelope) -> None:
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
            answer = self._requests.pop(request_id, None)
            if answer is None:
                return  # its asker was told already that the peer was lost
            error: Exception | None = None
            try:
                if kind == REFUSAL:
                    error = read_error(outcome)
                elif peer != self._transport.peer:
                    outcome = answer.request.unpack_answer(outcome)
            except ValueError as problem:
                error = errors.SerializationError(f"{short(peer)} gave no answer: {problem}", executed="maybe")
            if error is None:
                answer.set_value(outcome)
            else:
                answer.set_error(error)

    def peer_lost(self, peer: PeerId, error: Exception) -> None:
        """End every request that waits for `peer` with `error`."""
        self._waiting.pop(peer, None)
        for request_id, answer in list(self._requests.items()):
            if answer.peer == peer:
                del self._requests[request_id]
                answer.set_error(error)

    def process_ended(self, peer: PeerId, reason: ExitReason) -> None:
        """End every request that waits for `peer`, whose process has ended."""
        if peer in self._waiting or any(answer.peer == peer for answer in self._requests.values()):
            self.peer_lost(peer, errors.ActorDiedError(f"its process ended: {reason}", reason=reason))

    def close(self, error: Exception, later: Exception | None = None) -> None:
        """End every request with `error`, and those to come with `later`, or with `error` too."""
        self._closed = later or error
        self._waiting.clear()
        while self._requests:
            self._requests.popitem()[1].set_error(error)

    def _serve(self, peer: PeerId, request_id: int | None, verb: str, data: Any) -> None:
        handler = self._handlers.get(verb)
        try:
            if handler is None:
                raise errors.RuntimeStateError(f"this process does not answer {verb!r}")
            request = data if peer == self._transport.peer else handler.request.unpack(data)
            outcome = handler.handle(peer, request)
        except BaseException as error:
            let_through(error)
            self._refuse(peer, request_id, verb, error)
            return
        if isinstance(outcome, CoroutineType):
            self._serve_apart(peer, request_id, handler.request, outcome)
        else:
            self._answer(peer, request_id, handler.request, outcome)

    def _serve_apart(
        self, peer: PeerId, request_id: int | None, request: type[Request[Any]], outcome: Coroutine[Any, Any, Any]
    ) -> None:
        serving = self._serve_waiting(peer, request_id, request, outcome)
        try:
            task = self._scope.start(serving, f"{request.verb} for {short(peer)}")
        except RuntimeError:  # this endpoint is closing: whoever asks hears of the end of its process
            outcome.close()
        else:
            task.add_done_callback(lambda _: outcome.close())  # it may be cancelled before it has begun

    async def _serve_waiting(
        self, peer: PeerId, request_id: int | None, request: type[Request[Any]], outcome: Coroutine[Any, Any, Any]
    ) -> None:
        try:
            answer = await outcome
        except BaseException as error:
            let_through(error)
            if self._scope.is_closed and errors.is_kind(error, asyncio.CancelledError):
                raise
            self._refuse(peer, request_id, request.verb, error)
        else:
            self._answer(peer, request_id, request, answer)

    def _answer(self, peer: PeerId, request_id: int | None, request: type[Request[Any]], answer: Any) -> None:
        """Answer a request; where the answer can't be sent, say that in its place."""
        if request_id is None:
            return
        to = PeerAddress(peer, self._transport.address_of(peer) or self._transport.address)
        try:
            data = answer if peer == self._transport.peer else request.pack_answer(answer)
            self._send_or_keep(to, [RESPONSE, request_id, data])
        except errors.PeerUnreachableError:
            logger.debug("an answer was not sent: %s is gone", short(peer))
        except Exception as error:
            logger.warning("an answer to %s can't be sent: %s", short(peer), error)
            refusal = errors.SerializationError(f"the answer can't be sent: {text_of(error)}", executed="yes")
            self._send_refusal(peer, request_id, refusal)

    def _refuse(self, peer: PeerId, request_id: int | None, verb: str, error: BaseException) -> None:
        if not errors.is_kind(error, errors.ActorRtError, TypeError, ValueError):
            logger.error("the handler of %r failed: %s", verb, traceback_of(error, error.__traceback__))
        elif request_id is None:
            logger.warning("a notice %r from %s was refused: %s", verb, short(peer), text_of(error))
        if request_id is not None:
            self._send_refusal(peer, request_id, error)

    def _send_refusal(self, peer: PeerId, request_id: int, error: BaseException) -> None:
        to = PeerAddress(peer, self._transport.address_of(peer) or self._transport.address)
        try:
            self._send_or_keep(to, [REFUSAL, request_id, errors.to_data(error)])
        except errors.PeerUnreachableError:
            logger.debug("a refusal was not sent: %s is gone", short(peer))
        except Exception as problem:
            logger.warning("a refusal can't be sent to %s: %s", short(peer), problem)
