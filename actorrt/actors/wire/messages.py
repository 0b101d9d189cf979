"""The envelopes that endpoints exchange: their kinds and the order of their fields.

An envelope is a msgpack array that begins with its kind. A *body* is how values ride in one:

* a list: positional arguments, or the one result, as plain scalars that msgpack carries as they are;
* bytes: pickled `(args, kwargs)` or result, its buffers beside the envelope;
* a map `{"object": id, "token": token}`: the pickled value lies in the object store;
* a map `{"objects": ..., "parts": ...}`: some of its buffers do, the pickle and the others are beside the envelope
  (see `lent`);
* a map `{"args": list, "refs": [[index, token], ...]}`: as a list, with object ids in the place of refs.

Inside an endpoint a body may also be `Constants`.

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

# kind, actor id, messages, bytes, settlement: what the sender may have sent to the actor in all since it settled
CREDIT: Final = 13
# kind, actor id, settlement: the sender, which has sent to the actor before, counts anew from here; CREDIT answers
SETTLE: Final = 14

STREAM_WINDOW_ITEMS: Final = 32
"""How many items of a stream its caller takes ahead of those that it has read."""

MAX_PLAIN_LENGTH: Final = 1024
_MAX_CONSTANTS_COUNT: Final = 1_000  # beyond, a pickle costs less than a look at each
_CONSTANTS: Final = frozenset({bytes, str, int, float, complex, bool, type(None)})
_CONTAINERS: Final = frozenset({tuple, frozenset})


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


class Constants(tuple[Any, ...]):
    """The arguments of a call inside an endpoint, none of which can change: they need no copy.

    Attributes:
        named: those given by name.
        size_bytes: what they weigh in a mailbox.
    """

    named: dict[str, Any]
    size_bytes: int

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Constants | None:
        """Return the arguments of a call, or None where one of them may change."""
        size_bytes = constant_bytes((*args, *kwargs.values()))
        if size_bytes is None:
            return None
        constants = cls(args)
        constants.named, constants.size_bytes = kwargs, size_bytes
        return constants


def constant_bytes(value: Any) -> int | None:
    """Return about how many bytes a value takes that can never change; None for others, and for those of many parts."""
    size_bytes, parts = 0, [value]
    for part in parts:  # which grows meanwhile
        kind = type(part)
        if kind in _CONTAINERS:
            parts.extend(part)
        elif kind is bytes or kind is str:
            size_bytes += len(part)
        elif kind not in _CONSTANTS:
            return None
        if len(parts) > _MAX_CONSTANTS_COUNT:
            return None
    return size_bytes + 8 * len(parts)
