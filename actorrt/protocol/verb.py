"""Pure: requests and their answers: classes that both sides read, and that travel as plain maps.

Each request has a class of its own, made by `verb`. Its fields are the arguments, its docstring says what is asked and
which errors mean what, and `Request[A]` says that the answer is an `A`. `Request[None]` is answered when it has been
carried out, or is a notice without an answer. An answer of several parts is a class made by `record`. Annotations say
how each field travels and what is refused; see `annotations`.

A process of an older version sends fewer fields, and ignores the fields that it does not know. So a field that is
younger than the oldest supported version has a default: the value that an older sender means.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields
from functools import cache
from types import NoneType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    NamedTuple,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
)

from actorrt.config import PROTOCOL_VERSION
from actorrt.ids import PeerId
from actorrt.protocol.annotations import form_of, record_form
from actorrt.protocol.forms import Form, UnfitError

A = TypeVar("A")
C = TypeVar("C", bound=type)

VERBS: Final[dict[str, type[Request[Any]]]] = {}
"""Every request, by its name on the wire."""

PlainData: TypeAlias = "dict[str, Any]"


class Record:
    """The base of classes made by `record` or `verb`. Nobody changes a record: a process hands it on as it is."""

    __slots__ = ()

    def pack(self) -> PlainData:
        """Return the map of the fields that travels."""
        packed: PlainData = record_form(type(self)).write(self)  # type: ignore[misc]  # records have one
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

    @classmethod
    def called(cls) -> str:
        """Return what the record is called in texts of errors."""
        return cls.__name__

    def check(self) -> None:
        """Refuse fields that contradict each other.

        Raises:
            UnfitError: they do.
        """

    def __repr__(self) -> str:
        said = (f"{part.name}={getattr(self, part.name)!r}" for part in fields(cast("Any", self)))
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
        """Name the handler of this request: a function, or coroutine function, of the asker and the request."""
        return Handler(cls, handler)

    @classmethod
    def pack_answer(cls, answer: A) -> Any:
        """Return the data that travel of an answer."""
        write = _answer_form(cls).write
        return answer if write is None else write(answer)

    @classmethod
    def unpack_answer(cls, data: Any) -> A:
        """Make the answer of data that arrived.

        Raises:
            ValueError: the data do not fit; the text names the place, the value, and what belongs there.
        """
        form = _answer_form(cls)
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


_answer_form: Final[Callable[[Any], Form]] = cache(_make_answer_form)


def younger(since: int, default: Any) -> Any:
    """Declare a field that a version of the protocol has added; older senders mean the default."""
    return field(default=default, metadata={"since": since})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, younger))
def record(cls: C) -> C:
    """Make a class a record: its annotations are its fields, which are given by name.

    Type checkers refuse a change of a record. At run time nothing does, for a frozen dataclass costs a call for each
    field.
    """
    made: C = dataclass(slots=True, kw_only=True, repr=False, eq=False, match_args=False)(cls)  # type: ignore[assignment]
    return made


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, younger))
def verb(name: str, *, asked_by: str, since: int = 1) -> Callable[[C], C]:
    """Make a subclass of `Request` a verb of the protocol.

    Args:
        name: the name on the wire.
        asked_by: the processes that ask, in words.
        since: the first version that has the verb.

    Raises:
        TypeError: the name is taken, or the version is younger than this code.
    """

    def made(cls: C) -> C:
        if name in VERBS or not since <= PROTOCOL_VERSION:
            raise TypeError(
                f"the verb {name!r} of version {since} can't be: the name is taken, or there is no such version"
            )
        request: Any = record(cls)
        request.verb, request.asked_by, request.since_version = name, asked_by, since
        VERBS[name] = request
        return request  # type: ignore[no-any-return]

    return made
