"""Pure: describes every kind of envelopes: its fields, sender, receiver, lane and bound.

`docs/protocol.md` shows the table, and tests compare every envelope that is sent with it. The runtime does not import
this module: the code that runs for every message makes plain tuples with the fields of the classes here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actorrt.errors import Executed
from actorrt.ids import ActorId
from actorrt.protocol.envelopes import (
    ASK,
    CANCEL,
    CHUNK,
    CREDIT,
    ERROR,
    FAILURE,
    FORGET,
    FUNCTION,
    GIVE_BACK,
    GONE,
    ITEM,
    MORE,
    NOT_HERE,
    NOTICE,
    READ,
    REFUSAL,
    REMAKE,
    REPLY,
    REQUEST,
    RESPONSE,
    RESULT,
    SETTLE,
    SKIPPED,
    STREAM_WINDOW_ITEMS,
    TASK,
    TELL,
    WITHDRAW,
    CancelEnvelope,
    ChunkEnvelope,
    CreditEnvelope,
    ForgetEnvelope,
    FunctionEnvelope,
    GiveBackEnvelope,
    GoneEnvelope,
    MoreEnvelope,
    NotHereEnvelope,
    ReadEnvelope,
    RemakeEnvelope,
    SettleEnvelope,
    SkippedEnvelope,
    WithdrawEnvelope,
)
from actorrt.protocol.forms import Count

# Messages of actors and their replies


class AskEnvelope(NamedTuple):
    """Run a method of an actor, and answer.

    Attributes:
        call: the caller's number of the call, from 1.
        body: the arguments.
        left_s: the longest time that the caller waits; None: without limit.
        options: the options of the call that the actor's host reads, such as the key.
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


# Tasks


class TaskEnvelope(NamedTuple):
    """Run an attempt of a task, and say how it ended.

    Attributes:
        lease: the lease of the worker.
        sequence: the submitter's number of the attempt. A later attempt has a greater one.
        function: the hash of the function, which was sent before.
        body: the arguments, without those that were refs.
        inputs: for each argument that was a ref: its place or name, the body of its value, and the number of that
            body's buffers. They follow the buffers of `body`, in this order.
        left_s: the longest time that the submitter waits; None: without limit.
        number: the submitter's number of the task.
        attempt: the number of the attempt, from 1.
        depth: how many tasks it lies below.
    """

    kind: int
    lease: Count
    sequence: Count
    function: bytes
    body: Any
    inputs: list[list[Any]]
    left_s: float | None
    number: Count
    attempt: Count
    depth: Count


class ResultEnvelope(NamedTuple):
    """A task has returned the value in `body`, after so many seconds."""

    kind: int
    lease: Count
    sequence: Count
    body: Any
    duration_s: float


class FailureEnvelope(NamedTuple):
    """A task has failed.

    Attributes:
        error: a `RaisedError`, if the task raised it; the map of `errors.to_data`, if the runtime did.
        executed: whether the task ran.
        duration_s: how long it ran.
    """

    kind: int
    lease: Count
    sequence: Count
    error: Any
    executed: Executed
    duration_s: float


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


# The table


class Kind(NamedTuple):
    """The description of one kind of envelopes.

    Attributes:
        fields: the class that names and types the fields.
        sender, taker: the process that sends such an envelope, and the process that receives it.
        lane: the link that carries it: `user` keeps the order of messages, `control` overtakes them.
        bound: the mechanism that bounds the number of envelopes in flight.
    """

    fields: type[tuple[Any, ...]]
    sender: str
    taker: str
    lane: str
    bound: str


_BY_CREDIT: Final = "the credit that the actor's host has given, and the bytes that may wait for a link"
_BY_CALLS: Final = "one for each call; those that a full link does not take wait at the host"
_BY_LEASES: Final = "the tasks that a worker may have in hand"
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
    NOT_HERE: Kind(NotHereEnvelope, "an endpoint", "the caller", "user", "one for each message to an absent actor"),
    CREDIT: Kind(CreditEnvelope, "the host of the actor", "a caller", "control", "one for a part of the window"),
    SETTLE: Kind(SettleEnvelope, "a caller", "the host of the actor", "user", "one for each new route"),
    TASK: Kind(TaskEnvelope, "a submitter", "a worker that is lent to it", "user", _BY_LEASES),
    FUNCTION: Kind(FunctionEnvelope, "a submitter", "a worker that is lent to it", "user", "one for each function"),
    RESULT: Kind(ResultEnvelope, "a worker", "the submitter", "user", _BY_LEASES),
    FAILURE: Kind(FailureEnvelope, "a worker", "the submitter", "user", _BY_LEASES),
    SKIPPED: Kind(SkippedEnvelope, "a worker", "the submitter", "user", _BY_LEASES),
    WITHDRAW: Kind(WithdrawEnvelope, "a submitter", "a worker that is lent to it", "user", _BY_LEASES),
    REMAKE: Kind(RemakeEnvelope, "a submitter", "a worker that is lent to it", "user", _BY_LEASES),
    GIVE_BACK: Kind(GiveBackEnvelope, "a submitter", "a worker that is lent to it", "user", _BY_LEASES),
    FORGET: Kind(ForgetEnvelope, "a submitter", "a worker that is lent to it", "user", "one for each function"),
    READ: Kind(ReadEnvelope, "a node", "another node", "user", "the window of a pull"),
    CHUNK: Kind(ChunkEnvelope, "a node", "the node that asked", "user", "one for each `READ`"),
    GONE: Kind(GoneEnvelope, "a node", "the node that asked", "user", "one for each `READ`"),
}
