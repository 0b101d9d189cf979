"""Pure: what a request is, and what its answer is: classes that both sides read, and that travel as plain maps.

A request is a class of its own, made by `verb`: its fields are what is asked with, its docstring says what is asked
for and what errors mean, and `Request[A]` says that `A` answers it; `None` answers what needs no more than to be over.
An answer of several parts is a class made by `record`. How a field travels, and what is refused where it arrives,
follows from its annotation; see `annotations`.

A process that speaks an older version sends fewer fields and ignores those that it does not know. So a field that is
younger than the oldest version supported has a default, which is what an older sender means.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import MISSING, dataclass, field, fields
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

from actorrt.config import PROTOCOL_VERSION, PROTOCOL_VERSION_MIN
from actorrt.ids import PeerId
from actorrt.protocol.annotations import form_of, record_form
from actorrt.protocol.forms import Form, UnfitError

A = TypeVar("A")
C = TypeVar("C", bound=type)

VERBS: Final[dict[str, type[Request[Any]]]] = {}
"""Every request, by its name on the wire."""

PlainData: TypeAlias = "dict[str, Any]"


class Record:
    """What is made by `record`, or by `verb`. Nobody changes one: inside a process it is handed on as it is."""

    __slots__ = ()

    def pack(self) -> PlainData:
        """Return what travels, a map of the fields."""
        packed: PlainData = record_form(type(self)).write(self)  # type: ignore[misc]  # records have one
        return packed

    @classmethod
    def unpack(cls, data: Any) -> Self:
        """Make a record of what arrived.

        Raises:
            ValueError: it does not fit; the text says where, and what belongs there.
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
        """Refuse what each field allows and all together don't.

        Raises:
            UnfitError: they contradict each other.
        """

    def __repr__(self) -> str:
        said = (f"{part.name}={getattr(self, part.name)!r}" for part in fields(cast("Any", self)))
        return f"{type(self).__name__}({', '.join(said)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self.pack() == other.pack()

    def __hash__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no hash")


class Request(Record, Generic[A]):
    """What one process asks of another, or tells it: a class for each verb.

    Attributes:
        verb: its name on the wire.
        asked_by: who asks, in words.
        since_version: the first version of the protocol that has it.
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
        """Say what handles this request: a function of who asks and of the request, which may be a coroutine's."""
        return Handler(cls, handler)

    @classmethod
    def pack_answer(cls, answer: A) -> Any:
        """Return what travels of an answer."""
        write = _answer_form(cls).write
        return answer if write is None else write(answer)

    @classmethod
    def unpack_answer(cls, data: Any) -> A:
        """Make the answer of what arrived.

        Raises:
            ValueError: it does not fit; the text says where, and what belongs there.
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
    """A request, and what handles it."""

    request: type[Request[Any]]
    handle: Callable[[PeerId, Any], Any]


def answer_of(request: type[Request[Any]]) -> Any:
    """Return the annotation of what answers a request."""
    bases: tuple[Any, ...] = request.__orig_bases__  # type: ignore[attr-defined]
    return get_args(bases[0])[0]


def _make_answer_form(request: Any) -> Form:
    return form_of(answer_of(request))


_answer_form: Final[Callable[[Any], Form]] = cache(_make_answer_form)


def younger(since: int, default: Any) -> Any:
    """Say that a field is there since a version of the protocol, and what those mean who don't send it."""
    return field(default=default, metadata={"since": since})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, younger))
def record(cls: C) -> C:
    """Make a class one of data that travel: its annotations are its fields, which are given by name.

    Type checkers hold that nobody changes one. Nothing does so when it runs, for a frozen dataclass costs a call for
    each field.
    """
    made: C = dataclass(slots=True, kw_only=True, repr=False, eq=False, match_args=False)(cls)  # type: ignore[assignment]
    return made


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, younger))
def verb(name: str, *, asked_by: str, since: int = 1) -> Callable[[C], C]:
    """Make a subclass of `Request` a verb of the protocol.

    Args:
        name: what it is called on the wire.
        asked_by: who asks, in words.
        since: the first version that has it.

    Raises:
        TypeError: there is such a verb, or nobody speaks the version.
    """

    def made(cls: C) -> C:
        if name in VERBS or not since <= PROTOCOL_VERSION:
            raise TypeError(f"the verb {name!r} of version {since} can't be: there is one, or no such version")
        request: Any = record(cls)
        request.verb, request.asked_by, request.since_version = name, asked_by, since
        VERBS[name] = request
        return request  # type: ignore[no-any-return]

    return made


def unsaid_by_older(cls: Any) -> list[str]:
    """Return the fields of a record that some version supported does not send and that have no default."""
    return [
        part.name
        for part in fields(cls)
        if part.metadata.get("since", 1) > PROTOCOL_VERSION_MIN and part.default is MISSING
    ]
