"""Values in and out of messages: captured when the call is made, opened where it is handled.

Plain scalars travel as they are. Other values are pickled with their buffers out of band, and copied at once, so that
the receiver does not see what the sender changes later. Values beyond a threshold go through the object store.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt import errors
from actorrt.actors.wire.by_reference import StoredBody, StoredParts, StoredValue, fits_as_parts, open_here
from actorrt.actors.wire.failures import error_from_data
from actorrt.actors.wire.plain_values import Constants, constant_bytes, is_plain, is_plain_value
from actorrt.actors.wire.transits import Transit
from actorrt.config import STORE_THRESHOLD_BYTES
from actorrt.ids import ObjectId
from actorrt.protocol.envelopes import Body, RaisedError
from actorrt.store.client.ref import ObjectRef
from actorrt.store.values import pickling
from actorrt.store.values.carrier import Carrier

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient

logger = logging.getLogger(__name__)


class ReplySentError(TypeError):
    """Raised when a reply is pickled: it can't be sent."""


class Captured(NamedTuple):
    """Values ready to be sent: the body, its buffers, and what the store keeps until they have arrived."""

    body: Body
    buffers: Sequence[bytes] = ()
    transit: Transit | None = None


class Payloads:
    """Captures and opens the values of one endpoint's messages.

    Args:
        store: where large values go; without one, everything travels in the message.
        owner: what refs inside opened values are bound to; opaque here.
    """

    def __init__(self, store: StoreClient | None, owner: object) -> None:
        self._store = store
        self._owner = owner

    @property
    def is_store_gone(self) -> bool:
        """Whether this process has lost its store, and so its node."""
        return self._store is not None and self._store.is_gone

    def capture_call(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        copies_count: int = 1,
        *,
        is_ask: bool = False,
        is_here: bool = False,
    ) -> Captured:
        """Fix the arguments of a call, or of as many equal calls as `copies_count` says.

        Args:
            args, kwargs: the arguments.
            copies_count: how many actors get them.
            is_ask: whether the call is an ask, whose arguments are captured once. Refs beside scalars need no pickle
                then.
            is_here: whether the actor is on this endpoint: what can't change is not copied then.

        Raises:
            SerializationError: an argument can't be sent; the message names its path.
            ObjectStoreFullError: the arguments are large and there is no room for them.
        """
        if not kwargs and is_plain(args):
            return Captured(args)
        constants = Constants.of(args, kwargs) if is_here else None
        if constants is not None:
            return Captured(constants)
        if is_ask and not kwargs and self._store is not None:
            at = [index for index, arg in enumerate(args) if type(arg) is ObjectRef]
            if at and is_plain(tuple([arg for arg in args if type(arg) is not ObjectRef])):
                return self._capture_refs(self._store, args, at, copies_count)
        return self._capture((args, kwargs), ("args", "kwargs"), copies_count)

    @staticmethod
    def _capture_refs(store: StoreClient, args: tuple[Any, ...], at: list[int], copies_count: int) -> Captured:
        """Fix scalars and refs, which need no pickle."""
        kept: list[ObjectRef[Any]] = [args[index] for index in at]
        tokens = [store.new_token() for _ in kept]
        store.begin_transits([(ref.id, token, copies_count) for ref, token in zip(kept, tokens, strict=True)])
        plain = [arg.id if type(arg) is ObjectRef else arg for arg in args]
        body: Body = {"args": plain, "refs": [[index, token] for index, token in zip(at, tokens, strict=True)]}
        return Captured(body, (), Transit(store, tokens, copies_count, kept))

    def _open_refs(self, body: dict[str, Any]) -> tuple[Any, ...]:
        assert self._store is not None, "the sender of refs has a store, and so has every process on its node"
        args = list(body["args"])
        carrier = Carrier(self._store)
        for index, token in body["refs"]:
            args[index] = self._store.arrived(ObjectId(args[index]), token, carrier)
        carrier.acquire_arrived()
        return tuple(args)

    def capture_tells(self, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> list[Captured]:
        """Fix the arguments of equal tells, as `capture_call`.

        The sender does not learn when a tell has arrived, so each tell has transits of its own. The arguments are
        pickled once, unless there are refs inside, whose transits are part of the pickle.
        """
        first = self.capture_call(args, kwargs)
        return [first, *[self._once_more(first) or self.capture_call(args, kwargs) for _ in range(count - 1)]]

    def _once_more(self, captured: Captured) -> Captured | None:
        body, buffers, transit = captured
        store = self._store
        if transit is None or store is None:
            return captured
        if len(transit.held) != len(transit.tokens):
            return None
        tokens = [store.new_token() for _ in transit.held]
        for ref, token in zip(transit.held, tokens, strict=True):
            store.begin_transit(ref, token, 1)
        if isinstance(body, StoredBody):
            body = body.once_more(tokens)
        else:
            body = {"object": transit.held[0].id, "token": tokens[0]}
        return Captured(body, buffers, Transit(store, tokens, 1, transit.held))

    def capture_value(self, value: Any) -> Captured:
        """Fix a result, as `capture_call` does arguments."""
        if is_plain_value(value):
            return Captured((value,))
        return self._capture(value, "result", 1)

    def _capture(self, value: Any, root: str | tuple[str, ...], copies_count: int) -> Captured:
        carrier = Carrier(self._store, copies_count=copies_count, owner=self._owner)
        try:
            data, buffers = pickling.dumps(value, carrier, root=root)
        except errors.SerializationError as error:
            if isinstance(error.__cause__, ReplySentError):
                raise TypeError(str(error.__cause__)) from None
            raise
        size = len(data) + sum(buffer.nbytes for buffer in buffers)
        store = self._store
        if store is None:
            return Captured(data, [bytes(buffer) for buffer in buffers])
        if size <= STORE_THRESHOLD_BYTES:
            transit = None
            if carrier.tokens:
                inner = [ref for ref in carrier.refs if isinstance(ref, ObjectRef)]
                transit = Transit(
                    store, carrier.tokens, copies_count, (), list(zip(inner, carrier.tokens, strict=True))
                )
            return Captured(data, [bytes(buffer) for buffer in buffers], transit)
        if fits_as_parts(data, buffers):
            stored = StoredParts(store, data, buffers, copies_count)
            transit = Transit(store, [*stored.tokens, *carrier.tokens], copies_count, stored.refs)
            return Captured(stored.body, stored.frames, transit)
        ref = store.put_parts(data, buffers)
        token = store.new_token()
        store.begin_transit(ref, token, copies_count)
        body: Body = {"object": ref.id, "token": token}
        return Captured(body, (), Transit(store, [token, *carrier.tokens], copies_count, [ref]))

    def stored(self, body: Body, buffers: Sequence[Any]) -> ObjectRef[Any] | StoredValue | None:
        """Return what gives the value of a body that is in the store, or on its way there; None for other bodies."""
        if type(body) is not dict or "refs" in body:
            return None
        if self._store is None:
            raise errors.ObjectLostError("the value came through an object store that this process does not have")
        if "parts" in body:
            return StoredValue(self._store, body, buffers, self._load)
        ref: ObjectRef[Any] = self._store.ref(ObjectId(body["object"]), body["token"])
        if "maker" in body:
            ref.maker = body["maker"]
        return ref

    def open_call(self, body: Body, buffers: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the `(args, kwargs)` of a body that is not stored; top-level object refs are still refs."""
        if isinstance(body, Constants):
            return tuple(body), body.named
        if isinstance(body, list | tuple):
            return tuple(body), {}
        if type(body) is dict and "refs" in body:
            return self._open_refs(body), {}
        opened: tuple[tuple[Any, ...], dict[str, Any]] = self._load(body, buffers)
        return opened

    def open_value(self, body: Body, buffers: Sequence[Any]) -> Any:
        """Return the result in a body that is not stored."""
        return body[0] if isinstance(body, (list, tuple)) else self._load(body, buffers)  # a union is made each time

    def _load(self, body: Body, buffers: Sequence[Any]) -> Any:
        if isinstance(body, StoredBody):
            assert self._store is not None
            return open_here(self._store, body, buffers, self._load)
        assert isinstance(body, bytes)
        return pickling.loads(body, buffers, Carrier(self._store, owner=self._owner))

    def open_error(self, data: RaisedError, executed: errors.Executed) -> BaseException:
        """Return the exception that a method raised, as `error_to_data` sent it."""
        return error_from_data(data, self._store, self._owner, executed)

    def release(self, body: Body, buffers: Sequence[Any]) -> None:
        """Release what a message carries that is not going to be opened."""
        if isinstance(body, list | tuple):
            return
        try:
            if type(body) is dict and "refs" in body:
                self._open_refs(body)
            elif self.stored(body, buffers) is None:
                self._load(body, buffers)  # the refs inside it
        except Exception:  # whatever unpickling a user's value raises: nobody waits for the value
            logger.debug("an unopened message can't be opened", exc_info=True)

    def copy(self, value: Any) -> Any:
        """Return what a receiver in this process gets: a copy, unless the value can never change."""
        if is_plain_value(value) or constant_bytes(value) is not None:
            return value
        body, buffers, _ = self.capture_value(value)
        stored = self.stored(body, buffers)
        return self.open_value(body, buffers) if stored is None else stored.value()


def has_objects(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a top-level argument is an object ref."""
    return any([isinstance(arg, ObjectRef) for arg in (*args, *kwargs.values())])


def objects_at_hand(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """As `objects_opened`, if no object has to be waited for or asked for; otherwise return None."""
    if any(isinstance(arg, ObjectRef) and arg.mapped() is None for arg in (*args, *kwargs.values())):
        return None
    opened = tuple([arg.value() if isinstance(arg, ObjectRef) else arg for arg in args])
    return opened, {name: arg.value() if isinstance(arg, ObjectRef) else arg for name, arg in kwargs.items()}


async def objects_opened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments, each top-level object ref replaced by its value; wait until all values are there."""
    opened = [await arg if isinstance(arg, ObjectRef) else arg for arg in args]
    named = {name: await arg if isinstance(arg, ObjectRef) else arg for name, arg in kwargs.items()}
    return tuple(opened), named
