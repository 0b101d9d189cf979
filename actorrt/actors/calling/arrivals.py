"""Opens the envelopes that end calls. An exception of the opening ends its call.

A result may be in the store and not sealed yet, or in the store of another node. The call waits for it until its
deadline. If the store goes meanwhile, the call waits for the loss of the node, which comes before or after that of the
store, and ends with it as all other calls do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from actorrt import errors
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.routes import Routes
from actorrt.actors.refs.reply import Reply
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.actors.wire.failures import as_executed
from actorrt.actors.wire.payload import Payloads
from actorrt.ids import ActorId, PeerId
from actorrt.machine.clock import Clock
from actorrt.protocol.envelopes import RaisedError
from actorrt.scopes import Scope
from actorrt.store.client.ref import ObjectRef


class Arrivals:
    """Ends the calls of one endpoint with what arrives for them.

    Args:
        pending: the calls.
        routes: seeks an actor that is not where a call was sent.
        payloads: opens what arrives.
        scope: owns the tasks that wait for results in the store.
        clock: the time, for deadlines.
    """

    def __init__(self, pending: CallTable, routes: Routes, payloads: Payloads, scope: Scope, clock: Clock) -> None:
        self._pending = pending
        self._routes = routes
        self._payloads = payloads
        self._scope = scope
        self._clock = clock
        self._awaiting: set[Reply[Any]] = set()  # results in the store, or the loss of the node

    def succeeded(self, call_id: int, body: Any, buffers: Sequence[Any]) -> None:
        """Called when a REPLY has arrived."""
        reply = self._pending.take(call_id)
        if reply is None:
            self._payloads.release(body, buffers)
            return
        if type(body) is list:
            reply.set_value(body[0])
            return
        try:
            stored = self._payloads.stored(body, buffers)
            if stored is not None:
                self._awaiting.add(reply)
                cancel_timer = self._until_deadline(reply)
                self._scope.start(self._take_stored(reply, stored, cancel_timer), f"result of {reply.method}")
                return
            value = self._payloads.open_value(body, buffers)
        except Exception as error:  # whatever unpickling a user's value raises ends this one call
            self._not_opened(reply, error)
        else:
            reply.set_value(value)

    def failed(self, call_id: int, data: dict[str, Any] | Sequence[Any], executed: errors.Executed) -> None:
        """Called when an ERROR has arrived: the map of an error of the runtime, or a method's exception."""
        if isinstance(data, dict):
            error: BaseException = errors.from_data(data)
        else:
            error = self._payloads.open_error(RaisedError._make(data), executed)
        self._pending.failed(call_id, error)

    def not_here(self, peer: PeerId, call_id: int, actor_id: ActorId) -> None:
        """Called when a NOT_HERE has arrived: the actor of a call, or of a tell, is not at the peer."""
        reply = self._pending.get(call_id)
        if reply is not None:
            self._routes.moved(reply)
        elif not call_id:
            self._routes.absent(peer, actor_id)

    def _until_deadline(self, reply: Reply[Any]) -> Callable[[], None]:
        """End a call at its deadline, although it has run; return what cancels that."""
        if reply.deadline is None:
            return _nothing
        return self._scope.after(max(0.0, reply.deadline - self._clock.now()), partial(self._time_out, reply))

    def _time_out(self, reply: Reply[Any]) -> None:
        self._awaiting.discard(reply)
        message = f"{reply.label}.{reply.method}() ran, and its result did not come out of the store by its deadline"
        reply.set_error(errors.CallTimeoutError(message, executed="yes"))

    async def _take_stored(
        self, reply: Reply[Any], stored: ObjectRef[Any] | StoredValue, cancel_timer: Callable[[], None]
    ) -> None:
        """End a call with a result in the store, as soon as the result is sealed there."""
        try:
            value = await stored
        except Exception as error:  # whatever unpickling a user's value raises ends this one call
            self._not_opened(reply, error)
        else:
            self._awaiting.discard(reply)
            reply.set_value(value)
        finally:
            cancel_timer()

    def _not_opened(self, reply: Reply[Any], error: Exception) -> None:
        """Called when the result of a call can't be opened: end the call, or let it wait for the loss of the node."""
        if isinstance(error, errors.ObjectLostError) and self._payloads.is_store_gone:
            self._awaiting.add(reply)
        else:
            self._awaiting.discard(reply)
            reply.set_error(as_executed(error))

    def close(self, error: errors.ActorRtError) -> None:
        """End every call whose result has not come out of the store with `error`."""
        awaiting, self._awaiting = self._awaiting, set()
        for reply in awaiting:
            try:
                reply.set_error(error)
            except Exception as defect:  # of a callback: the other calls end nevertheless
                self._scope.fail(defect)


def _nothing() -> None:
    """Do nothing: a call without a deadline has no timer."""
