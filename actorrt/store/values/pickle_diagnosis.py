"""Finds the part of a value that can't be pickled, for an error that names its path.

It runs only after a dump has failed, so it may be slow, within a bound on attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from actorrt.interrupts import let_through
from actorrt.texts import encodable, name_of, repr_of, text_of

_MAX_ATTEMPTS_COUNT: Final = 500
_MAX_DEPTH: Final = 30
_MAX_KEY_CHARACTERS: Final = 200

Test = Callable[[Any], BaseException | None]
"""Returns the error of pickling a value, or None."""


def find_culprit(value: Any, root: str | tuple[str, ...], error: BaseException, test: Test) -> str:
    """Return a message with the path, type and error of the smallest part that fails.

    Args:
        value: the value that could not be pickled.
        root: the name of the value; a tuple names the elements of a tuple.
        error: the error of pickling the whole.
        test: tries to pickle a part.
    """
    path = root if isinstance(root, str) else ""
    try:
        value, path, error = _follow(value, root, path, error, test)
    except BaseException as problem:  # the value's own code failed: the whole value is named
        let_through(problem)
    return f"{path or 'the value'} can't be sent: {text_of(error)} (it is a {_kind_of(value)})"


def _kind_of(value: Any) -> str:
    cls = type(value)
    try:
        return encodable(f"{cls.__module__}.{cls.__qualname__}")
    except Exception:  # its metaclass's own code
        return name_of(cls)


def _follow(
    value: Any, root: str | tuple[str, ...], path: str, error: BaseException, test: Test
) -> tuple[Any, str, BaseException]:
    """Return the smallest part that fails, its path, and its error."""
    parts = _parts(value) if isinstance(root, str) else zip(root, value, strict=True)
    attempts_left_count = _MAX_ATTEMPTS_COUNT
    for _ in range(_MAX_DEPTH):
        for suffix, part in parts:
            attempts_left_count -= 1
            part_error = test(part) if attempts_left_count > 0 else None
            if part_error is not None:
                value, path, error = part, path + suffix, part_error
                break
        else:
            break
        parts = _parts(value)
    return value, path, error


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, each with its addition to the path."""
    if isinstance(value, dict):
        for key, item in value.items():
            name = repr_of(key, _MAX_KEY_CHARACTERS)
            yield f"[{name}]", item
            yield f".keys[{name}]", key
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    else:
        yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    code = getattr(value, "__code__", None)
    if code is not None:
        yield from _captured(value, code)
    elif not isinstance(value, type):  # the namespace of a class is not part of the value
        yield from _state(value)


def _state(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield only the parts that pickle would take."""
    try:
        reduced = value.__reduce_ex__(5)
    except Exception:  # the object's own code failed: the object itself is named
        return
    if not isinstance(reduced, tuple):
        return
    for index, argument in enumerate(reduced[1]):
        if not isinstance(argument, type):
            yield f".<arguments>[{index}]", argument
    state = reduced[2] if len(reduced) > 2 else None
    for names in state if isinstance(state, tuple) else (state,):
        if isinstance(names, dict):
            yield from ((f".{name}", item) for name, item in names.items())


def _captured(function: Any, code: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a function that is sent by value: its closure, and the globals that it names."""
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f".<closure>.{name}", cell.cell_contents
        except ValueError:  # an empty cell: the name is not bound yet
            continue
    for name in code.co_names:
        if name in function.__globals__:
            yield f".<globals>.{name}", function.__globals__[name]
