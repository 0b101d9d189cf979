"""Pure: the kinds of envelopes that endpoints exchange, and the order and types of their fields.

An envelope is a msgpack array that begins with its kind. The code that runs for every message makes a plain tuple and
reads it by position. The classes here name and type the positions, and tests check all that is sent against them.

A *body* is how values ride in an envelope:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries as they are;
* bytes: pickled `(args, kwargs)` or result, its buffers beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store;
* a map `{"objects": ..., "parts": ...}`: some of its buffers do, the pickle and the others are beside the envelope
  (see `actorrt.actors.wire.by_reference`);
* a map `{"args": list, "refs": [[index, token], ...]}`: as a list, with object ids in the place of refs.

A node reads the kinds of control and of chunks only. These carry plain data, and never a body.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from actorrt.errors import Executed
from actorrt.ids import ActorId, ObjectId
from actorrt.protocol.forms import Count

Body: TypeAlias = "list[Any] | tuple[Any, ...] | bytes | dict[str, Any]"

ASK: Final = 1
TELL: Final = 2
REPLY: Final = 3
ERROR: Final = 4
CANCEL: Final = 5
REQUEST: Final = 6
RESPONSE: Final = 7
REFUSAL: Final = 8
NOTICE: Final = 9
ITEM: Final = 10
MORE: Final = 11
NOT_HERE: Final = 12
CREDIT: Final = 13
SETTLE: Final = 14
READ: Final = 32
CHUNK: Final = 33
GONE: Final = 34

CHUNK_KINDS: Final = frozenset((READ, CHUNK, GONE))
"""The kinds by which nodes read objects from each other."""

STREAM_WINDOW_ITEMS: Final = 32
"""How many items of a stream its caller takes ahead of those that it has read."""

# Messages of actors, and what comes back


class AskEnvelope(NamedTuple):
    """Run a method of an actor, and answer.

    Attributes:
        call: the caller's number of the call, from 1.
        body: the arguments.
        left_s: how long the caller waits at most; None: for ever.
        options: the options of the call that its receiver reads, such as its key.
    """

    kind: int
    call: Count
    actor: ActorId
    method: str
    body: Any
    left_s: float | None
    options: dict[str, Any] | None


class TellEnvelope(NamedTuple):
    """Run a method of an actor, without an answer. The fields are those of an ask; `call` is 0."""

    kind: int
    call: Count
    actor: ActorId
    method: str
    body: Any
    left_s: float | None
    options: dict[str, Any] | None


class ReplyEnvelope(NamedTuple):
    """A call has ended with the value in `body`."""

    kind: int
    call: Count
    body: Any


class RaisedError(NamedTuple):
    """An exception that a method of an actor has raised.

    Attributes:
        type, message: its class's name and its text, for callers that can't rebuild it.
        traceback: where it was raised, in full.
        pickled: the pickle and its buffers; None if it can't be pickled.
    """

    type: str
    message: str
    traceback: str
    pickled: list[Any] | None


class ErrorEnvelope(NamedTuple):
    """A call has ended with an error.

    Attributes:
        error: a `RaisedError`, if the method raised it; the map of `errors.to_data`, if the runtime did.
        executed: whether the method ran.
    """

    kind: int
    call: Count
    error: Any
    executed: Executed


class ItemEnvelope(NamedTuple):
    """The next item of a stream is in `body`."""

    kind: int
    call: Count
    body: Any


class NotHereEnvelope(NamedTuple):
    """The actor is not on this endpoint, and the call did not run. `call` is 0 for a tell, and for a settlement."""

    kind: int
    call: Count
    actor: ActorId


# About these


class CancelEnvelope(NamedTuple):
    """The caller does not wait any more for a call. `is_late` says that its deadline has passed."""

    kind: int
    actor: ActorId
    call: Count
    is_late: bool


class MoreEnvelope(NamedTuple):
    """The caller of a stream takes so many more items."""

    kind: int
    call: Count
    items: Count


class CreditEnvelope(NamedTuple):
    """The caller may have sent so many messages and bytes to the actor in all, since that settlement."""

    kind: int
    actor: ActorId
    messages: Count
    size_bytes: Count
    settlement: Count


class SettleEnvelope(NamedTuple):
    """A caller that has sent to the actor before counts its messages anew from here. A credit answers."""

    kind: int
    actor: ActorId
    settlement: Count


# Requests of the runtime


class RequestEnvelope(NamedTuple):
    """A request, of the class that the verb names.

    Attributes:
        request: the number that the asker gave to it, from 1.
        data: the map that `Request.pack` returns.
    """

    kind: int
    request: Count
    verb: str
    data: Any


class ResponseEnvelope(NamedTuple):
    """The answer to a request, as `Request.pack_answer` returns it."""

    kind: int
    request: Count
    answer: Any


class RefusalEnvelope(NamedTuple):
    """A request has ended with an error."""

    kind: int
    request: Count
    error: Exception


class NoticeEnvelope(NamedTuple):
    """A request without an answer."""

    kind: int
    verb: str
    data: Any


# Bytes of objects, between nodes


class ReadEnvelope(NamedTuple):
    """Send the chunk of the object that begins at `offset`."""

    kind: int
    object: ObjectId
    offset: Count


class ChunkEnvelope(NamedTuple):
    """The chunk travels beside the envelope. The object's origin has made the checksum."""

    kind: int
    object: ObjectId
    offset: Count
    checksum: Count


class GoneEnvelope(NamedTuple):
    """The object can't be read here any more."""

    kind: int
    object: ObjectId


class Kind(NamedTuple):
    """The description of one kind of envelopes.

    Attributes:
        fields: the class that names and types the fields.
        sender, taker: the process that sends such an envelope, and the process that takes it.
        lane: the link that it travels by: `user` keeps the order of messages, `control` passes them.
        bound: the mechanism that bounds how many there are.
    """

    fields: type[tuple[Any, ...]]
    sender: str
    taker: str
    lane: str
    bound: str


_BY_CREDIT: Final = "the credit that the actor's host has given, and the bytes that may wait for a link"
_BY_CALLS: Final = "one for each call; those that a full link does not take wait at the host"
_BY_REQUESTS: Final = "the control envelopes that may wait for a link; 10,000 more wait for it at their sender"

KINDS: Final[dict[int, Kind]] = {
    ASK: Kind(AskEnvelope, "a caller", "the host of the actor", "user", _BY_CREDIT),
    TELL: Kind(TellEnvelope, "a caller", "the host of the actor", "user", _BY_CREDIT),
    REPLY: Kind(ReplyEnvelope, "the host of the actor", "the caller", "user", _BY_CALLS),
    ERROR: Kind(ErrorEnvelope, "the host of the actor", "the caller", "user", _BY_CALLS),
    CANCEL: Kind(CancelEnvelope, "the caller", "the host of the actor", "control", "one for each call"),
    REQUEST: Kind(RequestEnvelope, "any process", "any process", "control", _BY_REQUESTS),
    RESPONSE: Kind(ResponseEnvelope, "the process that was asked", "the asker", "control", _BY_REQUESTS),
    REFUSAL: Kind(RefusalEnvelope, "the process that was asked", "the asker", "control", _BY_REQUESTS),
    NOTICE: Kind(NoticeEnvelope, "any process", "any process", "control", _BY_REQUESTS),
    ITEM: Kind(
        ItemEnvelope, "the host of the actor", "the caller", "user", f"{STREAM_WINDOW_ITEMS} ahead of the last `MORE`"
    ),
    MORE: Kind(MoreEnvelope, "the caller", "the host of the actor", "control", "one for several items"),
    NOT_HERE: Kind(NotHereEnvelope, "an endpoint", "the caller", "user", "one for each message that came in vain"),
    CREDIT: Kind(CreditEnvelope, "the host of the actor", "a caller", "control", "one for a part of the window"),
    SETTLE: Kind(SettleEnvelope, "a caller", "the host of the actor", "user", "one for each route that is found anew"),
    READ: Kind(ReadEnvelope, "a node", "another node", "user", "the window of a pull"),
    CHUNK: Kind(ChunkEnvelope, "a node", "the node that asked", "user", "one for each `READ`"),
    GONE: Kind(GoneEnvelope, "a node", "the node that asked", "user", "one for each `READ`"),
}
