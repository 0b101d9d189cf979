"""What can be called through a ref: the public methods of an actor class and their parameters.

An interface is made once from the class, where the actor is spawned, and travels inside refs, so that a process
without the class can still refuse an unknown method or a wrong argument before anything is sent.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

RESERVED_NAMES: Final = frozenset({"stop", "kill", "is_alive", "spawn", "spawn_many", "options"})
HOOK_NAMES: Final = frozenset({"on_start", "on_stop", "on_down", "on_exit", "snapshot", "restore"})

ParameterData: TypeAlias = tuple[str, int, bool]
MethodData: TypeAlias = tuple[int, tuple[ParameterData, ...]]
InterfaceData: TypeAlias = tuple[str, tuple[tuple[str, MethodData], ...]]

_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _Default:
    """Stands for a default value, which stays with the class."""

    def __repr__(self) -> str:
        return "..."


_DEFAULT: Final = _Default()


class MethodKind(IntEnum):
    """How the body of a method runs, and what its ref gives the caller."""

    PLAIN = 0
    ASYNC = 1
    PLAIN_STREAM = 2
    ASYNC_STREAM = 3

    @property
    def is_stream(self) -> bool:
        return self >= MethodKind.PLAIN_STREAM


@dataclass(slots=True)
class MethodSpec:
    """One method: its kind and its parameters without `self`.

    Attributes:
        is_stream: whether its kind is a stream's.
        least, most: how many positional arguments a call has at least and at most. `most` is -1 if a parameter must be
            given by keyword, so that each call has to be checked against the signature.
    """

    name: str
    kind: MethodKind
    parameters: tuple[ParameterData, ...]
    is_stream: bool = field(init=False)
    least: int = field(init=False)
    most: int = field(init=False)

    def __post_init__(self) -> None:
        self.is_stream = self.kind.is_stream
        positional = [p for p in self.parameters if p[1] <= inspect.Parameter.POSITIONAL_OR_KEYWORD]
        self.least = sum(1 for p in positional if not p[2])
        self.most = len(positional)
        if any(p[1] == inspect.Parameter.VAR_POSITIONAL for p in self.parameters):
            self.most = 1 << 30
        if any(p[1] == inspect.Parameter.KEYWORD_ONLY and not p[2] for p in self.parameters):
            self.most = -1

    def check(self, class_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that the method does not take.

        Raises:
            TypeError: as the method itself would, naming the class and the method.
        """
        if not kwargs and self.least <= len(args) <= self.most:
            return
        try:
            self.signature().bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{class_name}.{self.name}{self.signature()}: {error}") from None

    def signature(self) -> inspect.Signature:
        """Return the parameters as `inspect` has them, without annotations; defaults show as `...`."""
        return inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect._ParameterKind(kind),
                    default=_DEFAULT if is_optional and kind not in _VARIADIC else inspect.Parameter.empty,
                )
                for name, kind, is_optional in self.parameters
            ]
        )


class Interface:
    """The methods of one actor class, as its refs know them."""

    __slots__ = ("class_name", "methods")

    def __init__(self, class_name: str, methods: dict[str, MethodSpec]) -> None:
        self.class_name = class_name
        self.methods = methods

    def unknown(self, name: str) -> AttributeError:
        """Return the error for a name that no method has; it suggests the most similar name."""
        near = get_close_matches(name, self.methods, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has: {', '.join(sorted(self.methods)) or 'none'}"
        return AttributeError(f"{self.class_name} has no public method {name!r}{hint}")

    def to_data(self) -> InterfaceData:
        """Return the interface as nested tuples for the wire."""
        return self.class_name, tuple((m.name, (int(m.kind), m.parameters)) for m in self.methods.values())


@lru_cache(maxsize=1024)
def from_data(data: InterfaceData) -> Interface:
    """Rebuild the interface that `Interface.to_data` packed; equal data give the same object."""
    class_name, methods = data
    return Interface(
        class_name, {name: MethodSpec(name, MethodKind(kind), parameters) for name, (kind, parameters) in methods}
    )


_of_class: WeakKeyDictionary[type, Interface] = WeakKeyDictionary()


def of_class(cls: type) -> Interface:
    """Return the interface of an actor class; each class is inspected once."""
    known = _of_class.get(cls)
    if known is None:
        known = _of_class[cls] = _read(cls)
    return known


def _read(cls: type) -> Interface:
    methods = {
        name: MethodSpec(name, kind_of(function), _parameters(function, _is_static(cls, name)))
        for name, function in inspect.getmembers(cls, callable)
        if not name.startswith("_") and name not in RESERVED_NAMES | HOOK_NAMES and not isinstance(function, type)
    }
    return Interface(cls.__name__, methods)


def kind_of(function: Any) -> MethodKind:
    """Return how a method's body runs. A plain wrapper runs as the function that it wraps."""
    if inspect.iscoroutinefunction(function):
        return MethodKind.ASYNC
    function = inspect.unwrap(function)
    if inspect.isasyncgenfunction(function):
        return MethodKind.ASYNC_STREAM
    if inspect.isgeneratorfunction(function):
        return MethodKind.PLAIN_STREAM
    if inspect.iscoroutinefunction(function):
        return MethodKind.ASYNC
    return MethodKind.PLAIN


def _is_static(cls: type, name: str) -> bool:
    return isinstance(next(vars(base)[name] for base in cls.__mro__ if name in vars(base)), staticmethod)


def _parameters(function: Any, is_static: bool) -> tuple[ParameterData, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a C function does not tell its parameters: it checks its arguments itself
        return (
            ("args", int(inspect.Parameter.VAR_POSITIONAL), True),
            ("kwargs", int(inspect.Parameter.VAR_KEYWORD), True),
        )
    if inspect.isfunction(function) and not is_static:
        parameters = parameters[1:]  # self; class methods come bound
    return tuple((p.name, int(p.kind), _is_optional(p)) for p in parameters)


def _is_optional(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return variadic or parameter.default is not inspect.Parameter.empty
