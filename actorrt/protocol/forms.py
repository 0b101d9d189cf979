"""Pure: forms, which say how the values of a type travel and which values are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import repr as short_repr
from types import NoneType
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

from actorrt.ids import ID_BYTES, ActorId, ActorIds, JobId, NodeId, ObjectId, PeerId


class AtLeast(NamedTuple):
    """The bound on a number."""

    bound: float


Count: TypeAlias = Annotated[int, AtLeast(0)]
Seconds: TypeAlias = Annotated[float, AtLeast(0)]


class UnfitError(ValueError):
    """A value that arrived does not fit the form of its place. The text names the place and the value."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(f"{place}{what}")
        self.what = what
        self.place = place

    def at(self, place: str) -> UnfitError:
        """Return the same error with the place of the enclosing value in front."""
        return UnfitError(self.what, f"{place}{self.place}")


def unfit(value: Any, wanted: str) -> UnfitError:
    """Make the error for a value that does not fit."""
    return UnfitError(f" is {short_repr(value)}: it has to be {wanted}")


Read: TypeAlias = "Callable[[Any], Any]"


class Form(NamedTuple):
    """How the values of a type travel.

    Attributes:
        words: the type, for people.
        read: makes a value of data that arrived; raises UnfitError.
        write: makes the data that travel of a value; None if the value travels unchanged.
        kinds: data of exactly these types are used as the value, without a call of `read`.
        length: the length that such data must have, unless they are None.
    """

    words: str
    read: Read
    write: Callable[[Any], Any] | None = None
    kinds: tuple[type, ...] = ()
    length: int | None = None


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
PLAIN: Final[dict[Any, Form]] = {
    ActorId: Form("id of an actor", _read_id, kinds=(bytes,), length=ID_BYTES),
    JobId: Form("id of a job", _read_id, kinds=(bytes,), length=ID_BYTES),
    ObjectId: Form("id of an object", _read_id, kinds=(bytes,), length=ID_BYTES),
    NodeId: Form("id of a node", _read_id, kinds=(bytes,), length=ID_BYTES),
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


def at_least(form: Form, bound: float) -> Form:
    """Make the form of numbers that are not below a bound."""
    is_whole, kinds = form.read is _read_whole, int if form.read is _read_whole else (int, float)
    wanted = f"a {'whole ' if is_whole else ''}number of at least {bound:g}"

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds) or not value >= bound:
            raise unfit(value, wanted)
        return value

    return Form("count" if is_whole and bound == 0 else f"{form.words} from {bound:g}", read)


def one_of(values: Sequence[str], make: Callable[[str], Any]) -> Form:
    """Make the form of values that travel as one of these strings; `make` makes the value of a string."""
    known = {value: make(value) for value in values}
    wanted = "one of " + ", ".join(map(repr, values))

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in known:
            raise unfit(value, wanted)
        return known[value]

    return Form(" or ".join(map(repr, values)), read)


def optional(form: Form) -> Form:
    """Make the form of values that may be None."""
    read_value, write_value = form.read, form.write

    def read(value: Any) -> Any:
        return None if value is None else read_value(value)

    def write(value: Any) -> Any:
        return None if value is None else write_value(value)  # type: ignore[misc]  # only called where there is one

    kinds = (*form.kinds, NoneType)
    return Form(f"{form.words} or nothing", read, None if write_value is None else write, kinds, form.length)


# Values that contain other values


def list_of(form: Form) -> Form:
    """Make the form of lists of such values."""
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


def map_of(key_form: Form, form: Form) -> Form:
    """Make the form of maps from such keys to such values."""

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


def row_of(forms: Sequence[Form]) -> Form:
    """Make the form of lists of a fixed length, with a form for each item."""
    words = ", ".join(form.words for form in forms)
    reader = reader_of_rows([(f"[{index}]", form) for index, form in enumerate(forms)], None, tuple)
    return Form(f"[{words}]", reader, writer_of_rows(forms))


def reader_of_rows(
    forms: Sequence[tuple[str, Form]], defaults: Sequence[Any] | None, make: Callable[[list[Any]], Any]
) -> Read:
    """Make a reader of lists.

    Args:
        forms: the place of each item, and its form.
        defaults: the defaults of the last items, which may be missing; items behind the last one are those of a newer
            version, and are ignored. None: there are exactly as many items as forms.
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


def writer_of_rows(forms: Sequence[Form]) -> Callable[[Any], Any] | None:
    """Make the writer of lists; None if lists of these forms travel unchanged."""
    if not any(form.write for form in forms):
        return None
    writes = [form.write for form in forms]

    def write(value: Any) -> Any:
        return [item if change is None else change(item) for change, item in zip(writes, value, strict=True)]

    return write
