"""Pure: requests and their answers: classes that both sides read, and that travel as plain maps.

Each request has a class of its own, made by `verb`. Its fields are the arguments, its docstring says what the request
does and what each error means, and `Request[A]` says that the answer is an `A`. `Request[None]` is answered when it has
been carried out, or is a notice without an answer. An answer of several parts is a subclass of `Record`. Annotations
say how each field travels and which values are refused; see `annotations`.

A process of an older version sends fewer fields, and ignores the fields that it does not know. So a field that is
younger than the oldest supported version has a default: the value that an older sender means; see `younger`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Final, Generic, NamedTuple, Self, TypeAlias, TypeVar, cast, get_args

from actorrt.config import PROTOCOL_VERSION
from actorrt.ids import PeerId
from actorrt.protocol.annotations import form_of, record_form
from actorrt.protocol.forms import Form, UnfitError
from actorrt.protocol.record_type import RecordType, compile_init, fields_of

A = TypeVar("A")
C = TypeVar("C", bound=type)

VERBS: Final[dict[str, type[Request[Any]]]] = {}
"""Every request, by its name on the wire."""

PlainData: TypeAlias = "dict[str, Any]"


class Record(metaclass=RecordType):
    """The base of requests, and of answers and parts that have fields. A record is never changed after it is made.

    The annotations of a class are its fields, which are given by name.
    """

    __slots__ = ()

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        compile_init(cls)  # takes the place of this method, which runs for the first record of a class only
        cls.__init__(self, **values)

    def pack(self) -> PlainData:
        """Return the map of the fields for the wire."""
        packed: PlainData = record_form(type(self)).write(self)  # type: ignore[misc]  # the form of a record has a writer
        return packed

    @classmethod
    def unpack(cls, data: Any) -> Self:
        """Make a record of data that arrived.

        Raises:
            ValueError: the data do not fit; the text names the place, the value, and what belongs there.
        """
        try:
            made: Self = record_form(cls).read(data)
        except UnfitError as error:
            raise ValueError(str(error.at(cls.called()))) from None
        return made

    def replaced(self, **changes: Any) -> Self:
        """Return a record with other values in some fields."""
        return type(self)(**{field.name: getattr(self, field.name) for field in fields_of(type(self))} | changes)

    @classmethod
    def called(cls) -> str:
        """Return the name of the record in error messages."""
        return cls.__name__

    def check(self) -> None:
        """Refuse fields that contradict each other.

        Raises:
            UnfitError: they do.
        """

    def __repr__(self) -> str:
        said = (f"{field.name}={getattr(self, field.name)!r}" for field in type(self).record_fields)
        return f"{type(self).__name__}({', '.join(said)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self.pack() == other.pack()

    def __hash__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no hash")


class Request(Record, Generic[A]):
    """A request that one process sends to another: the base of the class of each verb.

    Attributes:
        verb: the name on the wire.
        asked_by: the processes that ask, in words.
        since_version: the first version of the protocol that has the verb.
    """

    __slots__ = ()
    verb: ClassVar[str]
    asked_by: ClassVar[str]
    since_version: ClassVar[int]

    @classmethod
    def called(cls) -> str:
        return cls.verb

    @classmethod
    def by(cls, handler: Callable[[PeerId, Self], A | Coroutine[Any, Any, A]]) -> Handler:
        """Pair the request with its handler: a function or coroutine function of the asker's id and the request."""
        return Handler(cls, handler)

    @classmethod
    def pack_answer(cls, answer: A) -> Any:
        """Return the data of an answer for the wire."""
        write = answer_form(cls).write
        return answer if write is None else write(answer)

    @classmethod
    def unpack_answer(cls, data: Any) -> A:
        """Make the answer of data that arrived.

        Raises:
            ValueError: the data do not fit; the text names the place, the value, and what belongs there.
        """
        form = answer_form(cls)
        if data is None and NoneType in form.kinds:
            return cast("A", data)
        try:
            answer: A = form.read(data)
        except UnfitError as error:
            raise ValueError(str(error.at(f"the answer to {cls.verb!r}"))) from None
        return answer


class Handler(NamedTuple):
    """A request, and the function that handles it."""

    request: type[Request[Any]]
    handle: Callable[[PeerId, Any], Any]


def answer_of(request: type[Request[Any]]) -> Any:
    """Return the annotation of a request's answer."""
    bases: tuple[Any, ...] = request.__orig_bases__  # type: ignore[attr-defined]
    return get_args(bases[0])[0]


def _make_answer_form(request: Any) -> Form:
    return form_of(answer_of(request))


answer_form: Final[Callable[[Any], Form]] = cache(_make_answer_form)


def verb(name: str, *, asked_by: str, since: int = 1) -> Callable[[C], C]:
    """Make a subclass of `Request` a verb of the protocol.

    Args:
        name: the name on the wire.
        asked_by: the processes that ask, in words.
        since: the first version that has the verb.

    Raises:
        TypeError: the name is taken, or this code does not know the version.
    """

    def made(cls: C) -> C:
        if name in VERBS:
            raise TypeError(f"the verb {name!r} is {VERBS[name].__name__} already: give another name")
        if since > PROTOCOL_VERSION:
            raise TypeError(f"the verb {name!r} is of version {since}, but PROTOCOL_VERSION is {PROTOCOL_VERSION}")
        request: Any = cls
        request.verb, request.asked_by, request.since_version = name, asked_by, since
        VERBS[name] = request
        return request  # type: ignore[no-any-return]

    return made
