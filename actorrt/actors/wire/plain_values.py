"""Which values of messages need no pickle: plain scalars, which msgpack carries, and constants, which need no copy."""

from __future__ import annotations

from typing import Any, Final

MAX_PLAIN_LENGTH: Final = 1024
_MAX_CONSTANTS_COUNT: Final = 1_000  # a pickle of more costs less than a look at each
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
        named: the keyword arguments.
        size_bytes: their size in a mailbox.
    """

    named: dict[str, Any]
    size_bytes: int

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Constants | None:
        """Return the arguments of a call, or None if one of them may change."""
        size_bytes = constant_bytes((*args, *kwargs.values()))
        if size_bytes is None:
            return None
        constants = cls(args)
        constants.named, constants.size_bytes = kwargs, size_bytes
        return constants


def constant_bytes(value: Any) -> int | None:
    """Return about how many bytes a value takes if it can never change; None if it may, or has very many parts."""
    size_bytes, parts = 0, [value]
    for part in parts:  # the list grows in the loop
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
