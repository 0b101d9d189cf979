"""Sends what is called through refs, from any thread: bounds what waits, and hands calls over to the loop.

What follows happens on the loop, where the call table has each call until it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, Final

from actorrt import errors
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.captures import Captures
from actorrt.actors.calling.routes import Routes
from actorrt.actors.calling.streams import Streams
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.ref import ActorRef, CallOptions
from actorrt.actors.refs.reply import Reply, release, release_tell
from actorrt.actors.refs.route import Route
from actorrt.actors.wire.interface import MethodSpec
from actorrt.actors.wire.plain_values import is_plain
from actorrt.completion import Completion
from actorrt.machine.clock import Clock

HANDED_OVER_COUNT: Final = 10_000
"""How much plain threads may hand over before the loop takes it."""


class Calls:
    """Sends the calls of one endpoint's refs.

    Args:
        captures: makes the calls.
        pending: has the asks until they end.
        routes: send the tells.
        streams: make the streams of methods that yield.
        threads: the endpoint's loop.
        clock: the time.
    """

    def __init__(
        self,
        captures: Captures,
        pending: CallTable,
        routes: Routes,
        streams: Streams,
        threads: LoopThread,
        clock: Clock,
    ) -> None:
        self._captures = captures
        self._pending = pending
        self._routes = routes
        self._streams = streams
        self._threads = threads
        self._clock = clock

    def ask(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Any:
        """Send a call; see `ActorMethod.__call__`."""
        if spec.is_stream:
            call = self._captures.stream(ref, spec, args, kwargs, options)
            stream = self._streams.open(call, options.timeout_s)
            try:
                self.submit(call)
            except errors.MailboxFullError as error:
                call.set_error(error)  # so that the stream is not kept as open
                raise
            return stream
        if kwargs or (args and not is_plain(args)):
            reply = self._captures.call(ref, spec, args, kwargs, options, is_ask=True)
        else:
            reply = self._captures.plain(ref, spec, (args, (), None), options)
        result: Any = reply
        if options.returns == "ref":
            result = self._captures.declare_result(reply)
        self.submit(reply)
        return result

    def tell(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Reply[None]:
        """Send a message that has no reply. The result ends when the message has left."""
        if spec.is_stream:
            raise TypeError(f"{spec.name}() yields: a tell has no caller that takes the items; call it")
        message: Reply[None]
        if kwargs or (args and not is_plain(args)):
            message = self._captures.call(ref, spec, args, kwargs, options)
        else:
            message = self._captures.plain(ref, spec, (args, (), None), options)
        self._submit_tell(message)
        return message

    def ask_all(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Any]:
        """Send one call to many actors, with the arguments captured once. A call that can't be sent fails alone."""
        replies = self._captures.asks(refs, spec, args, kwargs, options)
        results: list[Any] = replies
        if options.returns == "ref":
            results = [self._captures.declare_result(reply) for reply in replies]
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
        messages = self._captures.tells(refs, spec, args, kwargs, options)
        _submit_each(messages, self._submit_tell)
        return messages

    def submit(self, reply: Reply[Any]) -> None:
        """Send a captured call from any thread.

        Raises:
            MailboxFullError: too much waits for the actor. A plain thread waits for room, until the call's deadline.
        """
        route = reply.ref._route
        if route is not None and route.waiting:
            self._await_room(route, reply)
        if reply.transit is not None:
            reply.add_callback(release)
        if get_ident() == self._threads.thread:
            self._pending.send(reply)
        else:
            self._keep_pace()
            self._threads.on_loop(lambda: self._pending.send(reply))

    def _submit_tell(self, message: Reply[None]) -> None:
        if message.ref._route is not None:
            self._await_room(message.ref._route, message)
        if message.transit is not None:
            message.add_callback(release_tell)
        if get_ident() == self._threads.thread:
            self._send_tell(message)
        else:
            self._keep_pace()
            self._threads.on_loop(lambda: self._send_tell(message))

    def _send_tell(self, message: Reply[None]) -> None:
        pending = self._pending
        if pending.closed_by is not None:
            message.set_error(pending.closed_by)
            return
        routes = self._routes
        routes.send(routes.of(message.ref), message)
        if message.deadline is not None and not message.done():  # it waits until its deadline at most
            timer = self._threads.call_later(message.deadline - self._clock.now(), pending.expire, message)
            message.add_callback(lambda _: timer.cancel())

    def _keep_pace(self) -> None:
        """Block a plain thread that hands over calls faster than the loop takes them, until the loop has caught up."""
        if len(self._threads) >= HANDED_OVER_COUNT:
            taken: Completion[None] = Completion()
            self._threads.on_loop(lambda: taken.set_value(None))
            taken.result()

    def _await_room(self, route: Route, reply: Reply[Any]) -> None:
        """Bound what waits: on the loop, which must not block, refuse at once; in a plain thread, wait."""
        while route.is_full:
            deadline = reply.deadline
            left = None if deadline is None else deadline - self._clock.now()
            if get_ident() == self._threads.thread or (left is not None and left <= 0):
                if reply.transit is not None:
                    release(reply)
                raise errors.MailboxFullError(
                    f"{route.waiting_count} messages wait for {reply.label} already: await some of them first"
                )
            try:
                route.room_comes().result(left)
            except errors.CallTimeoutError:
                continue  # the next round raises, if there still is no room


def _submit_each(messages: Sequence[Reply[Any]], submit: Callable[[Reply[Any]], None]) -> None:
    """Send the messages of a group. A message that finds no room fails alone."""
    for message in messages:
        try:
            submit(message)
        except errors.MailboxFullError as error:
            message.set_error(error)
