"""The caller's side of every call: what was asked and has not ended.

A call always ends: with its reply, its error, its deadline, its cancellation, or the fate of its receiver, which
is asked of the actor's authority when the endpoint that had the call is lost (`losses`). All state lives on the loop's
thread; other threads hand their calls over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.calling.deadly_calls import DEADLY_COUNT, Blame
from actorrt.actors.refs import current
from actorrt.actors.refs.ref import ActorRef, CallOptions
from actorrt.actors.refs.reply import Reply, forget_arguments, let_go, let_go_of_tell
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.actors.wire.failures import as_executed, error_from_data
from actorrt.actors.wire.interface import MethodSpec
from actorrt.actors.wire.messages import CANCEL, ERROR, NOT_HERE, REPLY, Body, Constants, is_plain
from actorrt.actors.wire.transits import Transit
from actorrt.completion import Completion
from actorrt.config import DEADLINE_VERDICT_S
from actorrt.ids import PeerId, short
from actorrt.reasons import ExitKind, ExitReason
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.refs.route import Route

logger = logging.getLogger(__name__)

HANDED_OVER_COUNT: Final = 10_000
"""How much plain threads may hand over before the loop takes it."""


class Calls:
    """The pending calls of one endpoint."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._pending: dict[int, Reply[Any]] = {}
        self._last_id = 0
        self._closed: errors.ActorRtError | None = None
        self.late_reply_count = 0
        self.blame = Blame()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def newest_id(self) -> int:
        """The number of the newest call."""
        return self._last_id

    def up_to(self, newest_id: int) -> list[Reply[Any]]:
        """Return the pending calls up to a number, oldest first."""
        return [call for call_id, call in self._pending.items() if call_id <= newest_id]

    def at(self, peers: Container[PeerId]) -> list[Reply[Any]]:
        """Return the pending calls that one of these endpoints has, oldest first."""
        return [call for call in self._pending.values() if call.peer in peers]

    def pending(self, call_id: int) -> Reply[Any] | None:
        """Return a call that has not ended."""
        return self._pending.get(call_id)

    def ask(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Any:
        """Send a call; see `ActorMethod.__call__`."""
        if spec.is_stream:
            return self._system.streams.open(ref, spec, args, kwargs, options)
        if kwargs or (args and not is_plain(args)):
            reply = self._captured(ref, spec, args, kwargs, options, is_ask=True)
        else:
            reply = self._reply(ref, spec, (args, (), None), options)
        result: Any = reply
        if options.returns == "ref":
            result = self._declare_result(reply)
        self.submit(reply)
        return result

    def tell(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Reply[None]:
        """Send a message that has no reply; what is returned ends when the message has left."""
        if spec.is_stream:
            raise TypeError(f"{spec.name}() yields: a tell has nowhere to send that; call it")
        message = self.capture(ref, spec, args, kwargs, options)
        self._submit_tell(message)
        return message

    def _submit_tell(self, message: Reply[None]) -> None:
        if message.ref._route is not None:
            self._make_room(message.ref._route, message)
        if message.transit is not None:
            message.add_callback(let_go_of_tell)
        if get_ident() == self._system.threads.thread:
            self._send_tell(message)
        else:
            self._keep_pace()
            self._system.on_loop(lambda: self._send_tell(message))

    def _send_tell(self, message: Reply[None]) -> None:
        if self._closed is not None:
            message.set_error(self._closed)
            return
        routes = self._system.routes
        routes.send(routes.of(message.ref), message)
        if message.deadline is not None and not message.done():  # it waits, and not beyond its deadline
            timer = self._system.loop.call_later(message.deadline - self._system.clock.now(), self.expire, message)
            message.add_callback(lambda _: timer.cancel())

    def ask_all(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Any]:
        """Send one call to many actors, its arguments captured once; one that can't be sent fails alone."""
        captured = self._system.payloads.capture_call(args, kwargs, len(refs), is_ask=True)
        replies = [self._reply(ref, spec, captured, options) for ref in refs]
        results: list[Any] = [self._declare_result(reply) for reply in replies] if options.returns == "ref" else replies
        _submit_each(replies, self.submit)
        return results

    def tell_all(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Reply[None]]:
        """Send one message to many actors, as `ask_all`."""
        captured = self._system.payloads.capture_tells(args, kwargs, len(refs))
        messages = [self._reply(ref, spec, part, options) for ref, part in zip(refs, captured, strict=True)]
        _submit_each(messages, self._submit_tell)
        return messages

    def capture(
        self,
        ref: ActorRef[Any],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> Reply[Any]:
        """Fix a message's arguments and deadline; nothing is sent yet."""
        if kwargs or (args and not is_plain(args)):
            return self._captured(ref, spec, args, kwargs, options)
        return self._reply(ref, spec, (args, (), None), options)

    def _captured(
        self,
        ref: ActorRef[Any],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        *,
        is_ask: bool = False,
    ) -> Reply[Any]:
        captured = self._system.payloads.capture_call(args, kwargs, is_ask=is_ask, is_here=ref._is_here)
        reply = self._reply(ref, spec, captured, options)
        if type(reply.body) is Constants:
            reply.add_callback(forget_arguments)
        return reply

    def make_portable(self, call: Reply[Any]) -> None:
        """Let a call leave this endpoint whose actor was here when its arguments were fixed; they can't have changed.

        Raises:
            ObjectStoreFullError: they are large and there is no room for them.
        """
        assert isinstance(call.body, Constants)
        args, kwargs = tuple(call.body), call.body.named
        call.body, call.buffers, call.transit = self._system.payloads.capture_call(args, kwargs)
        if call.transit is not None:
            call.add_callback(let_go if call.call_id else let_go_of_tell)

    def _reply(
        self,
        ref: ActorRef[Any],
        spec: MethodSpec,
        captured: tuple[Body, Sequence[bytes], Transit | None],
        options: CallOptions,
    ) -> Reply[Any]:
        body, buffers, transit = captured
        in_hand = current.message.get()
        if in_hand is not None and in_hand.is_over:
            in_hand = None
        deadline = None if in_hand is None else in_hand.deadline
        if options.timeout_s is not None:
            own = self._system.clock.now() + options.timeout_s
            deadline = own if deadline is None else min(own, deadline)
        more = None if options.key is None and not options.retries else _more(options)
        return Reply(self, ref, spec.name, body, buffers, transit, deadline, more, options.retries, in_hand)

    def _declare_result(self, reply: Reply[Any]) -> ObjectRef[Any]:
        """Let the result stay in the store: the ref is pending until the callee seals it or the call fails."""
        store = self._system.require_store()
        ref = store.declare(self._system.ids.object())
        reply.options = {**(reply.options or {}), "into": ref.id}

        def ended(_: Any) -> None:
            error = reply.error()
            if error is not None:
                store.fail(ref.id, error)

        reply.add_callback(ended)
        return ref

    def submit(self, reply: Reply[Any]) -> None:
        """Send a captured call from whichever thread.

        Raises:
            MailboxFullError: too much waits for the actor; in a plain thread, still at the call's deadline.
        """
        route = reply.ref._route
        if route is not None and route.waiting:
            self._make_room(route, reply)
        if reply.transit is not None:
            reply.add_callback(let_go)
        if get_ident() == self._system.threads.thread:
            self._send(reply)
        else:
            self._keep_pace()
            self._system.on_loop(lambda: self._send(reply))

    def _keep_pace(self) -> None:
        """Block a plain thread that hands over faster than the loop takes, until the loop has caught up."""
        if len(self._system.threads) >= HANDED_OVER_COUNT:
            taken: Completion[None] = Completion()
            self._system.on_loop(lambda: taken.set_value(None))
            taken.result()

    def _make_room(self, route: Route, reply: Reply[Any]) -> None:
        """Bound what waits: refuse at once on the loop, which must not block, and wait in a plain thread."""
        while route.is_full:
            deadline = reply.deadline
            left = None if deadline is None else deadline - self._system.clock.now()
            if get_ident() == self._system.threads.thread or (left is not None and left <= 0):
                if reply.transit is not None:
                    let_go(reply)
                raise errors.MailboxFullError(
                    f"{route.waiting_count} messages wait for {reply.label} already: await some of them first"
                )
            try:
                route.room_comes().result(left)
            except errors.CallTimeoutError:
                continue  # the next round says what is the matter

    def _send(self, reply: Reply[Any]) -> None:
        if reply._is_done:  # cancelled before it left
            return
        if self._closed is not None:
            reply.set_error(self._closed)
            return
        self._last_id = call_id = self._last_id + 1
        reply.call_id = call_id
        if not self._system.patience.is_watching:
            self._system.patience.watch()
        self._pending[call_id] = reply
        if reply.deadline is not None and reply.timer is None:
            left = reply.deadline - self._system.clock.now()
            reply.timer = self._system.loop.call_later(max(0.0, left), self.expire, reply)
        routes = self._system.routes
        routes.send(reply.ref._route or routes.of(reply.ref), reply)

    def succeeded(self, call_id: int, body: Any, buffers: Sequence[Any]) -> None:
        """Take in a REPLY."""
        reply = self.take(call_id)
        if reply is None:
            self._system.payloads.release(body, buffers)
            return
        if type(body) is list:
            reply.set_value(body[0])
            return
        try:
            stored = self._system.payloads.stored(body, buffers)
            if stored is not None:
                self._system.scope.start(_take_stored(reply, stored), f"result of {reply.method}")
                return
            value = self._system.payloads.open_value(body, buffers)
        except Exception as error:  # whatever unpickling a user's value raises ends this one call
            reply.set_error(as_executed(error))
        else:
            reply.set_value(value)

    def unreadable(self, call_id: int, error: BaseException) -> None:
        """A part of what a call gives can't be opened here: withdraw the call, and end it with that error."""
        reply = self._pending.get(call_id)
        if reply is not None:
            self._recall(reply, is_late=False)
            self.fail(reply, as_executed(error))

    def failed(self, call_id: int, error: BaseException) -> None:
        """Take in the error of a call."""
        reply = self._pending.get(call_id)
        if reply is None:
            self.late_reply_count += 1
        elif reply.has_retries and isinstance(error, errors.ActorUnavailableError) and error.executed == "maybe":
            traceback = "\n".join(getattr(error, "__notes__", ()))
            self.killed(reply, ExitReason(ExitKind.ERROR, str(error), traceback), error)
        else:
            self.fail(reply, error)

    def killed(self, reply: Reply[Any], reason: ExitReason, error: errors.ActorUnavailableError) -> None:
        """The call ended its actor, which is being restarted: send it again, unless it does so every time."""
        if self.blame.is_deadly(reply, reason):
            message = (
                f"{reply.label}.{reply.method}() ended its actor {DEADLY_COUNT} times and was set aside; poison() has "
                f"it: {reason}"
            )
            self.fail(reply, errors.ActorUnavailableError(message, executed="maybe"))
        elif reply.attempts_left > 0:
            self.send_again(reply)
        else:
            self.fail(reply, error)

    def send_again(self, reply: Reply[Any]) -> None:
        """Send a call anew whose last copy may have run."""
        reply.attempts_left -= 1
        reply.is_repeated = True
        reply.peer = None
        self._system.routes.send(self._system.routes.of(reply.ref), reply)

    def fail(self, reply: Reply[Any], error: BaseException) -> None:
        """End a call, or a tell, with an error that arose here."""
        if reply.call_id:
            self.take(reply.call_id)
            self._note_origin(reply)
        elif not isinstance(error, errors.CallCancelledError):  # a tell, which may have nobody who hears of it
            self._system.host.dead_letters.add(reply.label, reply.method, str(error))
        if reply.is_repeated and isinstance(error, errors.CallError) and error.executed == "no":
            error = errors.from_data({**errors.to_data(error), "executed": "maybe"})  # an earlier copy may have run
        reply.set_error(error)

    def _note_origin(self, reply: Reply[Any]) -> None:
        if self._system.origins is not None:
            origin = self._system.origins.take(self._system.endpoint.peer, reply.call_id)
            if origin is not None:
                reply.raised_at(origin)

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Any]) -> None:
        """Take in an envelope that ends a call or sends it on."""
        kind, call_id = envelope[0], envelope[1]
        if kind == REPLY:
            self.succeeded(call_id, envelope[2], buffers)
        elif kind == ERROR:
            self.failed(call_id, call_error(envelope[2], envelope[3], self._system))
        elif kind == NOT_HERE:
            reply = self._pending.get(call_id)
            if reply is not None:
                self._system.routes.moved(reply)
            elif not call_id:
                self._system.routes.absent(peer, envelope[2])

    def take(self, call_id: int) -> Reply[Any] | None:
        """Return the pending call of a number, which ends now; None where it has ended."""
        reply = self._pending.pop(call_id, None)
        if reply is None:
            self.late_reply_count += 1
        elif reply.timer is not None:
            reply.timer.cancel()
        return reply

    def cancel(self, reply: Reply[Any]) -> None:
        """Withdraw a call, from whichever thread."""
        self._system.on_loop(lambda: self._withdraw(reply))

    def _withdraw(self, reply: Reply[Any]) -> None:
        if reply.done():
            return
        executed: errors.Executed = "no" if reply.peer is None else "maybe"
        self._recall(reply, is_late=False)
        message = f"{reply.label}.{reply.method}() was cancelled by its caller"
        self.fail(reply, errors.CallCancelledError(message, executed=executed))

    def _recall(self, reply: Reply[Any], *, is_late: bool) -> None:
        """Tell the receiver that nobody waits for the call any more."""
        if reply.peer is None or not reply.call_id:
            return
        if reply.peer == self._system.endpoint.peer:
            self._system.host.withdraw(self._system.local_caller, reply.ref._actor_id, reply.call_id, is_late)
            return
        seen = self._system.routes.of(reply.ref).seen
        if seen is not None and seen.endpoint.peer == reply.peer:
            self._system.control.deliver(seen.endpoint, [CANCEL, reply.ref._actor_id, reply.call_id, is_late])

    def expire(self, reply: Reply[Any]) -> None:
        """The deadline has passed: withdraw the call, and give the receiver a moment to say whether it ran."""
        reply.timer = None
        if reply.peer is None:
            self._give_up(reply, "no")
            return
        self._recall(reply, is_late=True)
        if not reply.done():
            reply.timer = self._system.loop.call_later(DEADLINE_VERDICT_S, self._give_up, reply, "maybe")

    def _give_up(self, reply: Reply[Any], executed: errors.Executed) -> None:
        reply.timer = None
        message = f"{reply.label}.{reply.method}() did not end by its deadline"
        self.fail(reply, errors.CallTimeoutError(message, executed=executed))

    def check_invariants(self) -> None:
        """Raise AssertionError, with the call concerned, if one can't end any more."""
        waiting = self._system.routes.waiting_calls()
        for call_id, call in self._pending.items():
            place = "nowhere" if call.peer is None else short(call.peer)
            story = f"call {call.call_id} to {call.label}.{call.method}(), at {place}, repeated: {call.is_repeated}"
            assert call_id == call.call_id, f"it is filed as {call_id}: {story}"
            assert not call.done(), f"it has ended, and is pending: {story}"
            assert call.peer is not None or call in waiting, f"it neither waits nor has left: {story}"

    def close(self, error: errors.ActorRtError, later: errors.ActorRtError | None = None) -> None:
        """End every call with `error`, and those to come with `later`, or with `error` too.

        A defect in what the end of one call brings about keeps no other call waiting.
        """
        self._closed = later or error
        for reply in list(self._pending.values()):
            try:
                self.fail(reply, error)
            except Exception as defect:
                self._system.scope.fail(defect)


def _submit_each(messages: Sequence[Reply[Any]], submit: Callable[[Reply[Any]], None]) -> None:
    """Send the messages of a group; one that finds no room fails alone."""
    for message in messages:
        try:
            submit(message)
        except errors.MailboxFullError as error:
            message.set_error(error)


def _more(options: CallOptions) -> dict[str, Any]:
    """Return what goes with a call that asks for more than most."""
    more: dict[str, Any] = {"retry": True} if options.retries else {}
    return more if options.key is None else {**more, "key": options.key}


async def _take_stored(reply: Reply[Any], stored: ObjectRef[Any] | StoredValue) -> None:
    """End a call with a result that lies in the store, as soon as it is sealed there."""
    try:
        reply.set_value(await stored)
    except Exception as error:  # whatever unpickling a user's value raises ends this one call
        reply.set_error(as_executed(error))


def call_error(data: dict[str, Any], executed: errors.Executed, system: System) -> BaseException:
    """Rebuild the error of a call: the runtime's own from data, a method's exception as its own type."""
    if "pickled" not in data:
        return errors.from_data(data)
    return error_from_data(data, system.store, system, executed)
