"""The envelopes that endpoints exchange: their kinds and the order of their fields.

An envelope is a msgpack array that begins with its kind. A *body* is how values ride in one:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries as they are;
* bytes: pickled `(args, kwargs)` or result, its buffers beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store.

The node daemon reads kinds 6 to 9 only, which carry plain data, and never a body.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from actorrt.ids import ActorId

Body: TypeAlias = "list[Any] | tuple[Any, ...] | bytes | dict[str, Any]"

# kind, call id, actor id, method, body, seconds left (or None), options (or None)
ASK: Final = 1
# kind, 0, actor id, method, body, seconds left (or None), options (or None)
TELL: Final = 2
# kind, call id, body
REPLY: Final = 3
# kind, call id, body that holds an exception, executed
ERROR: Final = 4
# kind, call id, whether its deadline has passed: withdraw the call
CANCEL: Final = 5
# kind, request id, verb, data
REQUEST: Final = 6
# kind, request id, data
RESPONSE: Final = 7
# kind, request id, error as data
REFUSAL: Final = 8
# kind, verb, data
NOTICE: Final = 9
# kind, call id, body: one item of a stream
ITEM: Final = 10
# kind, call id, count: the caller takes so many more items
MORE: Final = 11
# kind, call id: the actor is not on this endpoint; the call did not run
NOT_HERE: Final = 12

# kind, actor id, messages, bytes: what the sender may have sent to the actor in all
CREDIT: Final = 13

MAX_PLAIN_LENGTH: Final = 1024


def is_plain(values: tuple[Any, ...]) -> bool:
    """Whether every value is a scalar that msgpack carries and gives back unchanged."""
    for value in values:
        kind = type(value)
        if kind is int:
            if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
                return False
        elif kind is str:
            if len(value) > MAX_PLAIN_LENGTH or not value.isascii():
                return False
        elif kind is bytes:
            if len(value) > MAX_PLAIN_LENGTH:
                return False
        elif kind is not float and value is not None and kind is not bool:
            return False
    return True


SERVICE: Final = ActorId(b"")
