"""Pure: forms, which say how values of a type travel, and check those that arrive. A form follows from an annotation.

| annotation | what travels | what is refused |
|---|---|---|
| `ActorId`, `JobId`, `ObjectId`, `PeerId` | bytes | bytes of another length |
| `ActorIds` | the ids one behind the other, as bytes | no ids, and parts of one |
| `bytes`, `str`, `bool`, `int`, `float`, `None` | the same; an int is a float too | a bool for a number |
| `Annotated[int, AtLeast(0)]` | a number | a smaller number |
| `Literal`, an enum | one of its values | any other |
| `list[X]`, `Sequence[X]`, `dict[K, X]`, `X \\| None` | a list, a map, either | the first value that does not fit |
| `tuple[X, Y]` | a list | a list of another length |
| a `NamedTuple` | a list, its fields in order; later versions append to it | a shorter list |
| a dataclass | a map, its fields by name; later versions add to it | a map without a field that has no default |
| an exception class | what `errors.to_data` says of the error | a map that says less |
| `Any`, `object` | anything that the transport carries | nothing: its reader checks it |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from reprlib import repr as short_repr
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints

from actorrt import errors
from actorrt.ids import ID_BYTES, ActorId, ActorIds, JobId, ObjectId, PeerId
from actorrt.reasons import ExitReason


class AtLeast(NamedTuple):
    """The bound on a number."""

    bound: float


Count: TypeAlias = Annotated[int, AtLeast(0)]
Seconds: TypeAlias = Annotated[float, AtLeast(0)]


class UnfitError(ValueError):
    """A value that arrived is not of the form that belongs there; the text names the place, from the outside in."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(f"{place}{what}")
        self.what = what
        self.place = place

    def at(self, place: str) -> UnfitError:
        """Make the error for what has the value inside it."""
        return UnfitError(self.what, f"{place}{self.place}")


def unfit(value: Any, wanted: str) -> UnfitError:
    """Make the error for a value that is something else than it has to be."""
    return UnfitError(f" is {short_repr(value)}: it has to be {wanted}")


Read: TypeAlias = "Callable[[Any], Any]"


class Form(NamedTuple):
    """How the values of a type travel.

    Attributes:
        words: the type, for people.
        read: makes the value of what arrived; raises UnfitError.
        write: makes what travels of the value; None where both are the same.
        kinds: values of exactly these types are what they should be when they arrive, and need not be read.
        length: which length such a value has to have, unless it is None.
    """

    words: str
    read: Read
    write: Callable[[Any], Any] | None = None
    kinds: tuple[type, ...] = ()
    length: int | None = None


def form_of(annotation: Any) -> Form:
    """Return the form that an annotation says.

    Raises:
        TypeError: values of that type do not travel.
    """
    plain = _PLAIN.get(annotation)
    if plain is not None:
        return plain
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(form_of(args[0]), args[1:])
    if origin in (Union, UnionType):
        return _optional(annotation, args)
    if origin is Literal:
        return _one_of([str(value) for value in args], str)
    if origin in (list, Sequence):
        return _list(form_of(args[0]))
    if origin is dict:
        return _map(form_of(args[0]), form_of(args[1]))
    if origin is tuple:
        return _row([form_of(arg) for arg in args])
    if isinstance(annotation, type):
        return _of_class(annotation)
    raise TypeError(f"values of {annotation!r} have no form to travel in")


def _of_class(cls: type) -> Form:
    if issubclass(cls, BaseException):
        return _error(cls)
    if issubclass(cls, Enum):
        return _one_of([str(member.value) for member in cls], cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _named_row(cls)
    if is_dataclass(cls):
        return record_form(cls)
    raise TypeError(f"values of {cls!r} have no form to travel in")


def hints_of(cls: type) -> dict[str, Any]:
    """Return the annotations of a class's own fields and those above, evaluated."""
    return get_type_hints(cls, include_extras=True)


# Simple values


def _read_id(value: Any) -> Any:
    if type(value) is not bytes or len(value) != ID_BYTES:
        raise unfit(value, f"an id of {ID_BYTES} bytes")
    return value


def _read_ids(value: Any) -> ActorIds:
    if type(value) is not bytes or not value or len(value) % ID_BYTES:
        raise unfit(value, f"the bytes of ids, of {ID_BYTES} bytes each")
    return ActorIds(value)


def _read_bytes(value: Any) -> Any:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise unfit(value, "bytes")
    return value


def _read_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise unfit(value, "a string")
    return value


def _read_flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise unfit(value, "True or False")
    return value


def _read_whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise unfit(value, "a whole number")
    return value


def _read_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unfit(value, "a number")
    return value


def _read_nothing(value: Any) -> None:
    if value is not None:
        raise unfit(value, "nothing")


def _read_anything(value: Any) -> Any:
    return value


_CARRIED: Final = (bytes, str, int, float, bool, NoneType, list, dict)
_PLAIN: Final[dict[Any, Form]] = {
    ActorId: Form("id of an actor", _read_id, kinds=(bytes,), length=ID_BYTES),
    JobId: Form("id of a job", _read_id, kinds=(bytes,), length=ID_BYTES),
    ObjectId: Form("id of an object", _read_id, kinds=(bytes,), length=ID_BYTES),
    PeerId: Form("id of a process", _read_id, kinds=(bytes,), length=ID_BYTES),
    ActorIds: Form("ids of actors", _read_ids, attrgetter("packed")),
    bytes: Form("bytes", _read_bytes, kinds=(bytes,)),
    str: Form("text", _read_text, kinds=(str,)),
    bool: Form("flag", _read_flag, kinds=(bool,)),
    int: Form("whole number", _read_whole, kinds=(int,)),
    float: Form("number", _read_number, kinds=(float, int)),
    None: Form("nothing", _read_nothing, kinds=(NoneType,)),
    NoneType: Form("nothing", _read_nothing, kinds=(NoneType,)),
    Any: Form("anything", _read_anything, kinds=_CARRIED),
    object: Form("anything", _read_anything, kinds=_CARRIED),
}


def _annotated(form: Form, extras: Sequence[Any]) -> Form:
    for extra in extras:
        if isinstance(extra, AtLeast):
            form = _at_least(form, extra.bound)
    return form


def _at_least(form: Form, bound: float) -> Form:
    is_whole, kinds = form.read is _read_whole, int if form.read is _read_whole else (int, float)
    wanted = f"a {'whole ' if is_whole else ''}number of at least {bound:g}"

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds) or not value >= bound:
            raise unfit(value, wanted)
        return value

    return Form(f"{form.words} of at least {bound:g}", read)


def _one_of(values: Sequence[str], make: Callable[[str], Any]) -> Form:
    known = {value: make(value) for value in values}
    wanted = "one of " + ", ".join(map(repr, values))

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in known:
            raise unfit(value, wanted)
        return known[value]

    return Form(" or ".join(map(repr, values)), read)


def _optional(annotation: Any, args: Sequence[Any]) -> Form:
    inner = [arg for arg in args if arg is not NoneType]
    if len(inner) != 1:
        raise TypeError(f"values of {annotation!r} have no form to travel in: only `X | None` has")
    form = form_of(inner[0])
    read_value, write_value = form.read, form.write

    def read(value: Any) -> Any:
        return None if value is None else read_value(value)

    def write(value: Any) -> Any:
        return None if value is None else write_value(value)  # type: ignore[misc]  # only called where there is one

    kinds = (*form.kinds, NoneType)
    return Form(f"{form.words} or nothing", read, None if write_value is None else write, kinds, form.length)


# Values that have others inside


def _list(form: Form) -> Form:
    read_item, write_item, kinds, length = form.read, form.write, form.kinds, form.length

    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise unfit(value, "a list")
        items: list[Any] = []
        try:
            for item in value:
                is_right = type(item) in kinds and (length is None or item is None or len(item) == length)
                items.append(item if is_right else read_item(item))
        except UnfitError as error:
            raise error.at(f"[{len(items)}]") from None
        return items

    def write(value: Any) -> Any:
        return [write_item(item) for item in value]  # type: ignore[misc]  # only called where there is one

    kinds_of_list = (list,) if form.read is _read_anything else ()
    return Form(f"list of {form.words}", read, None if write_item is None else write, kinds_of_list)


def _map(key_form: Form, form: Form) -> Form:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise unfit(value, "a map")
        items: dict[Any, Any] = {}
        for key, item in value.items():
            try:
                known = key if type(key) is str and str in key_form.kinds else key_form.read(key)
            except UnfitError as error:
                raise UnfitError(f" has a key that{error.what}") from None
            try:
                items[known] = item if form.length is None and type(item) in form.kinds else form.read(item)
            except UnfitError as error:
                raise error.at(f"[{short_repr(key)}]") from None
        return items

    def write(value: Any) -> Any:
        return {key: form.write(item) for key, item in value.items()}  # type: ignore[misc]  # as above

    return Form(f"map from {key_form.words} to {form.words}", read, None if form.write is None else write)


def _row(forms: Sequence[Form]) -> Form:
    words = ", ".join(form.words for form in forms)
    reader = _reader_of_rows([(f"[{index}]", form) for index, form in enumerate(forms)], None, tuple)
    return Form(f"[{words}]", reader, _writer_of_rows(forms))


def _named_row(cls: Any) -> Form:
    hints = hints_of(cls)
    forms = [(f".{name}", form_of(hints[name])) for name in cls._fields]
    words = ", ".join(f"{name}: {form.words}" for name, (_, form) in zip(cls._fields, forms, strict=True))
    reader = _reader_of_rows(forms, tuple(cls._field_defaults.values()), partial(tuple.__new__, cls))
    return Form(f"[{words}]", reader, _writer_of_rows([form for _, form in forms]))


def _reader_of_rows(
    forms: Sequence[tuple[str, Form]], defaults: Sequence[Any] | None, make: Callable[[list[Any]], Any]
) -> Read:
    """Make a reader of lists.

    Args:
        forms: where each item stands, and its form.
        defaults: of the last items, which may be missing; what comes behind all of them is of a newer version then, and
            ignored. None: there are exactly as many items as forms.
        make: makes the value of the items.
    """
    fewest = len(forms) - len(defaults or ())

    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) < fewest or (defaults is None and len(value) > fewest):
            raise unfit(value, f"a list of {len(forms)}")
        items: list[Any] = []
        try:
            for (_, form), item in zip(forms, value, strict=False):
                length = form.length
                is_right = type(item) in form.kinds and (length is None or item is None or len(item) == length)
                items.append(item if is_right else form.read(item))
        except UnfitError as error:
            raise error.at(forms[len(items)][0]) from None
        if defaults:
            items += defaults[len(defaults) - (len(forms) - len(items)) :] if len(items) < len(forms) else ()
        return make(items)

    return read


def _writer_of_rows(forms: Sequence[Form]) -> Callable[[Any], Any] | None:
    if not any(form.write for form in forms):
        return None
    writes = [form.write for form in forms]

    def write(value: Any) -> Any:
        return [item if change is None else change(item) for change, item in zip(writes, value, strict=True)]

    return write


def _make_record_form(cls: Any) -> Form:
    hints = hints_of(cls)
    parts = [_Part(field, form_of(hints[field.name])) for field in fields(cls)]
    write = ExitReason.to_data if cls is ExitReason else _writer_of_records(parts)
    return Form(cls.__name__, _reader_of_records(cls, parts), write)


record_form: Final[Callable[[Any], Form]] = cache(_make_record_form)
"""Returns the form of a dataclass, made once: a map of its fields."""


class _Part:
    """One field of a dataclass."""

    __slots__ = ("is_needed", "kinds", "length", "name", "read", "write")

    def __init__(self, field: Field[Any], form: Form) -> None:
        self.name = field.name
        self.read, self.write, self.kinds, self.length = form.read, form.write, form.kinds, form.length
        self.is_needed = field.default is MISSING and field.default_factory is MISSING


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
    take = attrgetter(*names, "__class__") if names else lambda _: ()  # several names, for else it is no tuple

    def write(value: Any) -> dict[str, Any]:
        data = dict(zip(names, take(value), strict=False))
        for name, change in changes:
            data[name] = change(data[name])
        return data

    return write


# Errors


class _ErrorData(NamedTuple):
    """What `errors.to_data` says of an error."""

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
    """Make the error that `errors.to_data` said; raises UnfitError, a ValueError."""
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
