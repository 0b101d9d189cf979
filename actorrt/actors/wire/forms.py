"""Pure: forms of plain data that came from another process, checked where it comes in.

A form takes where a value stands and the value; it raises ValueError where the value does not fit, naming the place,
the value and what belongs there.
"""

from __future__ import annotations

from collections.abc import Callable
from reprlib import repr as short_repr
from typing import Any, NoReturn, TypeAlias

from actorrt.ids import ID_BYTES

Form: TypeAlias = Callable[[str, Any], None]


def _refuse(place: str, value: Any, wanted: str) -> NoReturn:
    raise ValueError(f"{place} is {short_repr(value)}: it has to be {wanted}")


def anything(_place: str, _value: Any) -> None:
    """Take whatever the transport lets through: who reads it checks it."""


def an_id(place: str, value: Any) -> None:
    """Take the id of an actor, a job, a process or an object."""
    if not isinstance(value, bytes) or len(value) != ID_BYTES:
        _refuse(place, value, f"an id of {ID_BYTES} bytes")


def packed_ids(place: str, value: Any) -> None:
    """Take the packed ids of a group of at least one; see `ids.ActorIds`."""
    if not isinstance(value, bytes) or not value or len(value) % ID_BYTES:
        _refuse(place, value, f"the bytes of ids, of {ID_BYTES} bytes each")


def some_bytes(place: str, value: Any) -> None:
    """Take bytes."""
    if not isinstance(value, bytes | bytearray | memoryview):
        _refuse(place, value, "bytes")


def text(place: str, value: Any) -> None:
    """Take a string."""
    if not isinstance(value, str):
        _refuse(place, value, "a string")


def flag(place: str, value: Any) -> None:
    """Take True or False."""
    if not isinstance(value, bool):
        _refuse(place, value, "True or False")


def whole(place: str, value: Any) -> None:
    """Take a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(place, value, "a whole number")


def count(place: str, value: Any) -> None:
    """Take a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(place, value, "a whole number of at least 0")


def seconds(place: str, value: Any) -> None:
    """Take a number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        _refuse(place, value, "a number of at least 0")


def one_of(*values: str) -> Form:
    """Make a form for one of these strings."""

    def check(place: str, value: Any) -> None:
        if value not in values:
            _refuse(place, value, "one of " + ", ".join(map(repr, values)))

    return check


def optional(form: Form) -> Form:
    """Make a form that also takes None."""

    def check(place: str, value: Any) -> None:
        if value is not None:
            form(place, value)

    return check


def list_of(form: Form) -> Form:
    """Make a form for a list whose items all fit `form`."""

    def check(place: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            _refuse(place, value, "a list")
        for index, item in enumerate(value):
            form(f"{place}[{index}]", item)

    return check


def row_of(*forms: Form) -> Form:
    """Make a form for a list of as many items as there are forms, each of which fits its own."""

    def check(place: str, value: Any) -> None:
        if not isinstance(value, list | tuple) or len(value) != len(forms):
            _refuse(place, value, f"a list of {len(forms)}")
        for index, (form, item) in enumerate(zip(forms, value, strict=True)):
            form(f"{place}[{index}]", item)

    return check


def map_of(form: Form) -> Form:
    """Make a form for a map from strings to values that all fit `form`."""

    def check(place: str, value: Any) -> None:
        if not isinstance(value, dict):
            _refuse(place, value, "a map")
        for key, item in value.items():
            text(f"a key of {place}", key)
            form(f"{place}[{key!r}]", item)

    return check


def fields(**forms: Form) -> Form:
    """Make a form for a map that has these fields. It may have others: a newer version knows more of them."""

    def check(place: str, value: Any) -> None:
        if not isinstance(value, dict):
            _refuse(place, value, "a map")
        for name, form in forms.items():
            if name not in value:
                raise ValueError(f"{place} has no {name!r}")
            form(f"{place}.{name}", value[name])

    return check
