"""Pure: the numbers of the kinds of envelopes that endpoints exchange, and the envelopes that are made by class.

An envelope is a msgpack array that begins with its kind. The code that runs for every message makes a plain tuple and
reads it by position; the classes of these envelopes are in `kinds`, which describes all kinds.

A *body* is the form in which arguments and results travel in an envelope:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries unchanged;
* bytes: the pickled `(args, kwargs)` or result; its buffers travel beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store; with `is_sealed`, which the result
  of a task may have, it is sealed there already;
* a map `{"objects": ..., "parts": ...}`: some of the buffers lie in the object store; the pickle and the other buffers
  travel beside the envelope (see `actorrt.actors.wire.by_reference`);
* a map `{"args": list, "refs": [[index, token], ...]}`: positional arguments, with object ids in the place of refs.

A node reads the kinds of control and of chunks only. These carry plain data, and never a body.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

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
TASK: Final = 15
FUNCTION: Final = 16
RESULT: Final = 17
FAILURE: Final = 18
SKIPPED: Final = 19
WITHDRAW: Final = 20
REMAKE: Final = 21
GIVE_BACK: Final = 22
FORGET: Final = 23
READ: Final = 32
CHUNK: Final = 33
GONE: Final = 34

TASK_KINDS: Final = frozenset((TASK, FUNCTION, RESULT, FAILURE, SKIPPED, WITHDRAW, REMAKE, GIVE_BACK, FORGET))
"""The kinds that submitters and workers of tasks exchange."""

CHUNK_KINDS: Final = frozenset((READ, CHUNK, GONE))
"""The kinds by which nodes read objects from each other."""

STREAM_WINDOW_ITEMS: Final = 32
"""The number of items that the caller of a stream takes ahead of the items that it has read."""

# Ends of calls


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


class NotHereEnvelope(NamedTuple):
    """The actor is not on this endpoint, and the call did not run. `call` is 0 for a tell or a settlement."""

    kind: int
    call: Count
    actor: ActorId


# Control of calls and of credit


class CancelEnvelope(NamedTuple):
    """The caller no longer waits for a call. `is_late` says that the deadline of the call has passed."""

    kind: int
    actor: ActorId
    call: Count
    is_late: bool


class MoreEnvelope(NamedTuple):
    """The caller of a stream takes `items` more items."""

    kind: int
    call: Count
    items: Count


class CreditEnvelope(NamedTuple):
    """The caller may send this number of messages and bytes to the actor in total, counted from the settlement."""

    kind: int
    actor: ActorId
    messages: Count
    size_bytes: Count
    settlement: Count


class SettleEnvelope(NamedTuple):
    """The caller counts its messages to the actor from zero again. A credit answers."""

    kind: int
    actor: ActorId
    settlement: Count


# Tasks


class FunctionEnvelope(NamedTuple):
    """A function of tasks, which comes before the first of its tasks on a link.

    Attributes:
        function: the hash of its pickle.
        name: for people.
        body: the pickle; its buffers travel beside the envelope.
        max_calls: how many tasks of it a process runs before it is replaced; None: any number.
    """

    kind: int
    function: bytes
    name: str
    body: bytes
    max_calls: int | None


class SkippedEnvelope(NamedTuple):
    """The worker gives back an attempt that it did not begin: it waits inside another task, or was asked to."""

    kind: int
    lease: Count
    sequence: Count


class RemakeEnvelope(NamedTuple):
    """The attempt that comes next runs again because its result was lost. What it returns is put as this object."""

    kind: int
    lease: Count
    sequence: Count
    object: ObjectId


class GiveBackEnvelope(NamedTuple):
    """The submitter wants an attempt back whose argument was lost. If it has not begun, SKIPPED is the answer."""

    kind: int
    lease: Count
    sequence: Count


class WithdrawEnvelope(NamedTuple):
    """The submitter has given up an attempt. `is_late` says that the deadline of the task has passed."""

    kind: int
    lease: Count
    sequence: Count
    is_late: bool


class ForgetEnvelope(NamedTuple):
    """No further tasks of a function come from this submitter, unless it sends the function anew before them."""

    kind: int
    function: bytes


# Requests of the runtime


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
