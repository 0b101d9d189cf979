"""Pure: derives the form in which the values of a type travel from the annotation that names the type.

| annotation | what travels | what is refused |
|---|---|---|
| `ActorId`, `JobId`, `NodeId`, `ObjectId`, `PeerId` | bytes | bytes of another length |
| `ActorIds` | the bytes of the ids in sequence | no bytes, and a part of an id |
| `bytes`, `str`, `bool`, `int`, `float`, `None` | the same; an int is a float too | a bool for a number |
| `Annotated[int, AtLeast(0)]` | a number | a smaller number |
| `Literal`, an enum | one of its values | any other |
| `list[X]`, `Sequence[X]`, `dict[K, X]`, `X \\| None` | a list, a map, either | the first value that does not fit |
| `tuple[X, Y]` | a list | a list of another length |
| a `NamedTuple` | a list, its fields in order; later versions append to it | a shorter list |
| a record, a dataclass | a map, its fields by name; later versions add to it | a map without a needed field |
| an exception class | the map of `errors.to_data` | a map without one of its parts |
| `Any`, `object` | anything that the transport carries | nothing: the code that uses it checks it |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, is_dataclass
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from actorrt import errors
from actorrt.protocol.forms import (
    PLAIN,
    AtLeast,
    Form,
    Read,
    UnfitError,
    at_least,
    list_of,
    map_of,
    one_of,
    optional,
    reader_of_rows,
    row_of,
    unfit,
    writer_of_rows,
)
from actorrt.protocol.record_type import RecordField, RecordType, fields_of
from actorrt.reasons import ExitReason


def form_of(annotation: Any) -> Form:
    """Return the form of the type that an annotation names.

    Raises:
        TypeError: values of that type can't travel.
    """
    plain = PLAIN.get(annotation)
    if plain is not None:
        return plain
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(form_of(args[0]), args[1:])
    if origin in (Union, UnionType):
        inner = [arg for arg in args if arg is not NoneType]
        if len(inner) != 1:
            raise TypeError(f"values of {annotation!r} have no form to travel in: only `X | None` has")
        return optional(form_of(inner[0]))
    if origin is Literal:
        return one_of([str(value) for value in args], str)
    if origin in (list, Sequence):
        return list_of(form_of(args[0]))
    if origin is dict:
        return map_of(form_of(args[0]), form_of(args[1]))
    if origin is tuple:
        return row_of([form_of(arg) for arg in args])
    if isinstance(annotation, type):
        return _of_class(annotation)
    raise TypeError(f"values of {annotation!r} have no form to travel in")


def _of_class(cls: type) -> Form:
    if issubclass(cls, BaseException):
        return _error(cls)
    if issubclass(cls, Enum):
        return one_of([str(member.value) for member in cls], cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _named_row(cls)
    if isinstance(cls, RecordType) or is_dataclass(cls):
        return record_form(cls)
    raise TypeError(f"values of {cls!r} have no form to travel in")


def hints_of(cls: type) -> dict[str, Any]:
    """Return the evaluated annotations of a class and its base classes."""
    return get_type_hints(cls, include_extras=True)


def _annotated(form: Form, extras: Sequence[Any]) -> Form:
    for extra in extras:
        if isinstance(extra, AtLeast):
            form = at_least(form, extra.bound)
    return form


def _named_row(cls: Any) -> Form:
    hints = hints_of(cls)
    forms = [(f".{name}", form_of(hints[name])) for name in cls._fields]
    reader = reader_of_rows(forms, tuple(cls._field_defaults.values()), partial(tuple.__new__, cls))
    return Form(cls.__name__, reader, writer_of_rows([form for _, form in forms]))


def _make_record_form(cls: Any) -> Form:
    hints = hints_of(cls)
    parts = [_Part(field, form_of(hints[field.name])) for field in fields_of(cls)]
    write = ExitReason.to_data if cls is ExitReason else _writer_of_records(parts)
    return Form(cls.__name__, _reader_of_records(cls, parts), write)


record_form: Final[Callable[[Any], Form]] = cache(_make_record_form)
"""Returns the form of a record or dataclass, made once: a map of its fields."""


class _Part:
    """One field of a record."""

    __slots__ = ("is_needed", "kinds", "length", "name", "read", "write")

    def __init__(self, field: RecordField, form: Form) -> None:
        self.name = field.name
        self.read, self.write, self.kinds, self.length = form.read, form.write, form.kinds, form.length
        self.is_needed = field.default is MISSING


def _reader_of_records(cls: Any, parts: Sequence[_Part]) -> Read:
    """Make a reader of maps: fields that are unknown here, of a newer version, are ignored."""
    check: Callable[[Any], None] | None = vars(cls).get("check")

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise unfit(value, "a map")
        values: dict[str, Any] = {}
        for part in parts:
            name = part.name
            if name in value:
                item, length = value[name], part.length
                if type(item) in part.kinds and (length is None or item is None or len(item) == length):
                    values[name] = item
                    continue
                try:
                    values[name] = part.read(item)
                except UnfitError as error:
                    raise error.at(f".{name}") from None
            elif part.is_needed:
                raise UnfitError(f" has no {name!r}")
        made = cls(**values)
        if check is not None:
            check(made)
        return made

    return read


def _writer_of_records(parts: Sequence[_Part]) -> Callable[[Any], dict[str, Any]]:
    names = [part.name for part in parts]
    changes = [(part.name, part.write) for part in parts if part.write is not None]
    take = attrgetter(*names, "__class__") if names else lambda _: ()  # for one name alone, it returns no tuple

    def write(value: Any) -> dict[str, Any]:
        data = dict(zip(names, take(value), strict=False))
        for name, change in changes:
            data[name] = change(data[name])
        return data

    return write


# Errors


class _ErrorData(NamedTuple):
    """The parts of the map that `errors.to_data` returns."""

    type: str
    message: str
    notes: list[str]
    executed: errors.Executed | None
    reason: ExitReason | None


@cache
def _error_forms() -> list[tuple[str, Form]]:
    return [(name, form_of(hint)) for name, hint in hints_of(_ErrorData).items()]


def _error(cls: type[BaseException]) -> Form:
    def read(value: Any) -> Exception:
        error = read_error(value)
        if not isinstance(error, cls):
            raise unfit(value, f"a {cls.__name__}")
        return error

    return Form("error" if cls is Exception else cls.__name__, read, errors.to_data)


def read_error(value: Any) -> Exception:
    """Rebuild an error from the data that `errors.to_data` made; raises UnfitError, a ValueError."""
    if not isinstance(value, dict):
        raise unfit(value, "a map")
    for name, form in _error_forms():
        if name not in value:
            raise UnfitError(f" has no {name!r}")
        try:
            form.read(value[name])
        except UnfitError as error:
            raise error.at(f".{name}") from None
    return errors.from_data(value)
