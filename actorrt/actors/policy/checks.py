"""Pure: checks of values that users give. A check of an option takes its name and value, and returns the value to keep.

A refusal names the option, its value and what to give instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NoReturn, TypeAlias

from actorrt.texts import encodable

Check: TypeAlias = Callable[[str, Any], Any]


def _refuse(error: type[Exception], option: str, value: Any, wanted: str) -> NoReturn:
    raise error(f"option {option}={value!r}: give {wanted}")


def optional(check: Check) -> Check:
    """Make a check that also takes None."""

    def checked(option: str, value: Any) -> Any:
        return None if value is None else check(option, value)

    return checked


def choice(enum: type[StrEnum]) -> Check:
    """Make a check for one of an enum's values, as a string or as the member."""
    values = [member.value for member in enum]
    wanted = "one of " + ", ".join(repr(value) for value in values)

    def checked(option: str, value: Any) -> Any:
        if not isinstance(value, str):
            _refuse(TypeError, option, value, wanted)
        if value not in values:
            near = get_close_matches(value, values, n=1)
            _refuse(ValueError, option, value, wanted + (f"; did you mean {near[0]!r}?" if near else ""))
        return enum(value)

    return checked


def number(least: float) -> Check:
    """Make a check for a number of at least `least`."""
    wanted = f"a number of at least {least:g}"

    def checked(option: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            _refuse(TypeError, option, value, wanted)
        if not float(value) >= least:  # so that not-a-number is refused too
            _refuse(ValueError, option, value, wanted)
        return float(value)

    return checked


def above_zero(option: str, value: Any) -> float:
    """Check for a number above zero."""
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse(TypeError, option, value, "a number above 0")
    if not float(value) > 0:
        _refuse(ValueError, option, value, "a number above 0")
    return float(value)


def count(least: int) -> Check:
    """Make a check for a whole number of at least `least`."""
    wanted = f"a whole number of at least {least}"

    def checked(option: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral):
            _refuse(TypeError, option, value, wanted)
        if int(value) < least:
            _refuse(ValueError, option, value, wanted)
        return int(value)

    return checked


def count_or_seconds(option: str, value: Any) -> int | float:
    """Check for an int, which counts messages, or a float, which is seconds; both above zero."""
    checked = above_zero(option, value)
    return int(value) if isinstance(value, Integral) else checked


def flag(option: str, value: Any) -> bool:
    """Check for True or False."""
    if not isinstance(value, bool):
        _refuse(TypeError, option, value, "True or False")
    return value


def any_text(option: str, value: Any) -> str:
    """Check for a string that can be sent: without lone surrogates, which UTF-8 does not have."""
    if not isinstance(value, str):
        _refuse(TypeError, option, value, "a string")
    if encodable(value) != value:
        _refuse(ValueError, option, value, "a string that UTF-8 can encode; os.fsencode gives the bytes of a path")
    return value


def text(option: str, value: Any) -> str:
    """Check for a string that is not empty."""
    if not any_text(option, value):
        _refuse(ValueError, option, value, "a string that is not empty")
    return str(value)


def path(option: str, value: Any) -> str:
    """Check for a path that is not empty."""
    return text(option, value.__fspath__() if hasattr(value, "__fspath__") else value)


def mapping(check: Check) -> Check:
    """Make a check for a mapping from strings to values that pass `check`."""

    def checked(option: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            _refuse(TypeError, option, value, "a mapping from names to values")
        return {text(f"{option} key", key): check(f"{option}[{key!r}]", item) for key, item in value.items()}

    return checked


def modules(option: str, value: Any) -> tuple[str, ...]:
    """Check for the full name of a module, or the names of several."""
    names = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    for name in names:
        if not isinstance(name, str):
            _refuse(TypeError, option, value, "the full names of modules, such as ('torch', 'gymnasium.envs')")
        if not all(part.isidentifier() for part in name.split(".")):
            _refuse(ValueError, option, value, "modules by their full names, such as 'gymnasium.envs'")
    return names


def instance(cls: type) -> Check:
    """Make a check for an instance of `cls`; None takes its default."""

    def checked(option: str, value: Any) -> Any:
        if value is None:
            return cls()
        if not isinstance(value, cls):
            _refuse(TypeError, option, value, f"a {cls.__name__}")
        return value

    return checked


def exception_classes(option: str, value: Any) -> tuple[type[BaseException], ...]:
    """Check for an exception class or several."""
    classes = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            _refuse(TypeError, option, value, "exception classes, such as (MemoryError, OSError)")
    return classes


@lru_cache(maxsize=256)
def _signature(cls: type, _: Any) -> inspect.Signature:
    return inspect.signature(cls)


def constructor(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that the constructor of a class does not take, before they are sent anywhere."""
    try:
        signature = _signature(cls, cls.__init__)  # type: ignore[misc]  # a constructor that is replaced is read anew
    except (TypeError, ValueError):
        return  # a constructor in C says nothing of its parameters
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}{signature}: {error}") from None
