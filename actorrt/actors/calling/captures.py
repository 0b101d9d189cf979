"""Makes calls: their arguments and deadlines are fixed, and nothing is sent yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actorrt.actors.refs import current
from actorrt.actors.refs.ref import ActorRef, CallOptions
from actorrt.actors.refs.reply import CallOwner, Reply, forget_arguments, release, release_tell
from actorrt.actors.wire.interface import MethodSpec
from actorrt.actors.wire.payload import Payloads
from actorrt.actors.wire.plain_values import Constants, is_plain
from actorrt.actors.wire.transits import Transit
from actorrt.completion import Completion
from actorrt.ids import IdSource, ObjectId
from actorrt.machine.clock import Clock
from actorrt.protocol.envelopes import Body
from actorrt.store.client.client import StoreClient
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.required import required


class Captures:
    """Makes the calls of one endpoint.

    Args:
        owner: has the calls once they are sent.
        payloads: captures arguments.
        clock: the time, for deadlines.
        store: has the results that stay in the store; None if this process has no store.
        ids: names such results.
        makers: is told which call makes which of them.
    """

    def __init__(
        self,
        owner: CallOwner,
        payloads: Payloads,
        clock: Clock,
        store: StoreClient | None,
        ids: IdSource,
        makers: dict[ObjectId, Completion[Any]],
    ) -> None:
        self._owner = owner
        self._payloads = payloads
        self._clock = clock
        self._store = store
        self._ids = ids
        self._makers = makers

    def call(
        self,
        ref: ActorRef[Any],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        *,
        is_ask: bool = False,
    ) -> Reply[Any]:
        """Make a call and capture its arguments.

        Args:
            ref, spec, args, kwargs, options: which call.
            is_ask: whether it is an ask; see `Payloads.capture_call`.
        """
        captured = self._payloads.capture_call(args, kwargs, is_ask=is_ask, is_here=ref._is_here)
        reply = self.plain(ref, spec, captured, options)
        if type(reply.body) is Constants:
            reply.add_callback(forget_arguments)
        return reply

    def plain(
        self,
        ref: ActorRef[Any],
        spec: MethodSpec,
        captured: tuple[Body, Sequence[bytes], Transit | None],
        options: CallOptions,
    ) -> Reply[Any]:
        """Make a call whose arguments are captured already, or are plain values."""
        body, buffers, transit = captured
        in_hand = current.message.get()
        if in_hand is not None and in_hand.is_over:
            in_hand = None
        deadline = None if in_hand is None else in_hand.deadline
        if options.timeout_s is not None:
            own = self._clock.now() + options.timeout_s
            deadline = own if deadline is None else min(own, deadline)
        more = None if options.key is None and not options.retries else _more(options)
        return Reply(self._owner, ref, spec.name, body, buffers, transit, deadline, more, options.retries, in_hand)

    def stream(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Reply[None]:
        """Make the call of a method that yields.

        Raises:
            TypeError: an option is given that only a call with one result can have.
        """
        if options.key is not None or options.retries or options.returns != "value":
            raise TypeError(
                f"{spec.name}() yields: a stream has no single result to share or to leave in the store, and "
                "can't be continued by another incarnation; leave out key, retries and returns"
            )
        whole = options._replace(timeout_s=None)  # the deadline of a stream counts for each item
        if kwargs or (args and not is_plain(args)):
            return self.call(ref, spec, args, kwargs, whole)
        return self.plain(ref, spec, (args, (), None), whole)

    def asks(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Reply[Any]]:
        """Make equal calls to many actors, with the arguments captured once."""
        captured = self._payloads.capture_call(args, kwargs, len(refs), is_ask=True)
        return [self.plain(ref, spec, captured, options) for ref in refs]

    def tells(
        self,
        refs: Sequence[ActorRef[Any]],
        spec: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> list[Reply[None]]:
        """Make equal tells to many actors, as `asks`."""
        captured = self._payloads.capture_tells(args, kwargs, len(refs))
        return [self.plain(ref, spec, part, options) for ref, part in zip(refs, captured, strict=True)]

    def declare_result(self, reply: Reply[Any]) -> ObjectRef[Any]:
        """Let the result stay in the store. Its ref is pending until the callee seals the object, or the call fails.

        Raises:
            RuntimeStateError: this process has no object store.
        """
        store = required(self._store)
        ref = store.declare(self._ids.object())
        reply.options = {**(reply.options or {}), "into": ref.id}

        self._makers[ref.id] = reply

        def ended(_: Any) -> None:
            del self._makers[ref.id]
            error = reply.error()
            if error is not None:
                store.fail(ref.id, error)

        reply.add_callback(ended)
        return ref


def make_portable(call: Reply[Any], payloads: Payloads) -> None:
    """Pickle the arguments of a call that was meant for an actor here, which is elsewhere now. They can't have changed.

    Raises:
        ObjectStoreFullError: the arguments are large and there is no room for them.
    """
    assert isinstance(call.body, Constants)
    args, kwargs = tuple(call.body), call.body.named
    call.body, call.buffers, call.transit = payloads.capture_call(args, kwargs)
    if call.transit is not None:
        call.add_callback(release if call.call_id else release_tell)


def _more(options: CallOptions) -> dict[str, Any]:
    """Return the options that travel with a call."""
    more: dict[str, Any] = {"retry": True} if options.retries else {}
    return more if options.key is None else {**more, "key": options.key}
