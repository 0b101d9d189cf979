"""The envelopes that endpoints exchange: their kinds and the order of their fields.

An envelope is a msgpack array that begins with its kind. A *body* is how values ride in one:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries as they are;
* bytes: pickled `(args, kwargs)` or result, its buffers beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store;
* a map `{"objects": ..., "parts": ...}`: some of its buffers do, the pickle and the others are beside the envelope
  (see `lent`);
* a map `{"args": list, "refs": [[index, token], ...]}`: as a list, with object ids in the place of refs.

The node daemon reads kinds 6 to 9 only, which carry plain data, and never a body.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Body: TypeAlias = "list[Any] | tuple[Any, ...] | bytes | dict[str, Any]"

# kind, call id, actor id, method, body, seconds left (or None), options (or None)
ASK: Final = 1
# kind, 0, actor id, method, body, seconds left (or None), options (or None)
TELL: Final = 2
# kind, call id, body
REPLY: Final = 3
# kind, call id, body that holds an exception, executed
ERROR: Final = 4
# kind, actor id, call id, whether its deadline has passed: withdraw the call
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
# kind, call id (0 of a tell), actor id: the actor is not on this endpoint; the call did not run
NOT_HERE: Final = 12

# kind, actor id, messages, bytes: what the sender may have sent to the actor in all
CREDIT: Final = 13

MAX_PLAIN_LENGTH: Final = 1024


def is_plain_value(value: Any) -> bool:
    """Whether a value is a scalar that msgpack carries and gives back unchanged."""
    kind = type(value)
    if kind is int:
        return bool(-0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF)
    if kind is str:
        return len(value) <= MAX_PLAIN_LENGTH and value.isascii()
    if kind is bytes:
        return len(value) <= MAX_PLAIN_LENGTH
    return kind is float or value is None or kind is bool


def is_plain(values: tuple[Any, ...]) -> bool:
    """Whether every value is plain."""
    for value in values:  # noqa: SIM110  a generator would cost as much again for each call
        if not is_plain_value(value):
            return False
    return True
