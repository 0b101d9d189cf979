"""Pure: the kinds of envelopes that endpoints exchange, and the order and types of their fields.

An envelope is a msgpack array that begins with its kind. On the paths of messages it is made as a plain tuple, and
read by its places; the classes here say what these are, and tests hold that what is sent fits.

A *body* is how values ride in an envelope:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries as they are;
* bytes: pickled `(args, kwargs)` or result, its buffers beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store;
* a map `{"objects": ..., "parts": ...}`: some of its buffers do, the pickle and the others are beside the envelope
  (see `actorrt.actors.wire.by_reference`);
* a map `{"args": list, "refs": [[index, token], ...]}`: as a list, with object ids in the place of refs.

A node reads the kinds of control and of chunks only, which carry plain data, and never a body.
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
"""What nodes exchange to read objects from each other."""

STREAM_WINDOW_ITEMS: Final = 32
"""How many items of a stream its caller takes ahead of those that it has read."""

# Messages of actors, and what comes back


class AskEnvelope(NamedTuple):
    """Run a method of an actor, and answer.

    Attributes:
        call: the caller's number of the call, from 1.
        body: the arguments.
        left_s: how long the caller waits at most; None for ever.
        options: those of the call that its receiver heeds, such as its key.
    """

    kind: int
    call: Count
    actor: ActorId
    method: str
    body: Any
    left_s: float | None
    options: dict[str, Any] | None


class TellEnvelope(NamedTuple):
    """Run a method of an actor; nobody waits. As `AskEnvelope`, and `call` is 0."""

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


class ErrorEnvelope(NamedTuple):
    """A call has ended with an error.

    Attributes:
        error: what `error_to_data` says of it, with the exception pickled; or `errors.to_data`, of a refusal.
        executed: whether the method ran.
    """

    kind: int
    call: Count
    error: dict[str, Any]
    executed: Executed


class ItemEnvelope(NamedTuple):
    """The next item of a stream is in `body`."""

    kind: int
    call: Count
    body: Any


class NotHereEnvelope(NamedTuple):
    """The actor is not on this endpoint, and the call (0: a tell, or none) did not run: seek it elsewhere."""

    kind: int
    call: Count
    actor: ActorId


# About these


class CancelEnvelope(NamedTuple):
    """Nobody waits for a call any more; `is_late`: since its deadline has passed."""

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
    """What the receiver of this may have sent to the actor in all, since it settled for that time."""

    kind: int
    actor: ActorId
    messages: Count
    size_bytes: Count
    settlement: Count


class SettleEnvelope(NamedTuple):
    """The sender, which has sent to the actor before, counts anew from here; a credit answers."""

    kind: int
    actor: ActorId
    settlement: Count


# Requests of the runtime


class RequestEnvelope(NamedTuple):
    """A request, whose class is that of the verb.

    Attributes:
        request: the asker's number of it, from 1.
        data: what `Request.pack` returns.
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
    """A request that nobody answers."""

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
    """The chunk is beside the envelope; `checksum` is the one that the object's origin made of it."""

    kind: int
    object: ObjectId
    offset: Count
    checksum: Count


class GoneEnvelope(NamedTuple):
    """The object can't be read here any more."""

    kind: int
    object: ObjectId


class Kind(NamedTuple):
    """What is known of a kind of envelopes.

    Attributes:
        fields: the class that names and types them.
        sender, taker: who sends it, and who takes it.
        lane: which link it goes by: `user` in the order of messages, `control` past them.
        bound: what keeps its number, or its size, within bounds.
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
    RESPONSE: Kind(ResponseEnvelope, "who was asked", "who asked", "control", _BY_REQUESTS),
    REFUSAL: Kind(RefusalEnvelope, "who was asked", "who asked", "control", _BY_REQUESTS),
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
