"""Pickles of exceptions, from which they come back as their own type.

Python rebuilds an exception by calling its class with `args`. Where the class has a constructor of its own, that
fails, or makes another text than the exception had. So one that does not say itself how it is pickled is rebuilt as
it is: made by the base class of Python's that it has, from `args`, with its attributes put back; its own constructor is
not called. An attribute that can't be pickled is left out.
"""

from __future__ import annotations

from typing import Any, Final

from actorrt.errors import SerializationError
from actorrt.interrupts import let_through
from actorrt.store.values.pickling import dumps

_OWN_RULES: Final = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__")
_IS_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, or as if by one


class _Portable:
    """Is pickled as the exception that it stands for is rebuilt."""

    def __init__(self, cls: type, args: tuple[Any, ...], state: dict[str, Any]) -> None:
        self._parts = cls, args, state

    def __reduce__(self) -> Any:
        return rebuild, self._parts


def dump_exception(error: BaseException) -> tuple[bytes, list[Any]] | None:
    """Return the pickle of an exception and its buffers; None where it has none."""
    try:
        try:
            return dumps(_portable(error, {}))
        except SerializationError:
            return dumps(_portable(error, {}, is_bare=True))
    except BaseException as problem:  # whatever the exception's own code does when it is looked at
        let_through(problem)
        return None


def _portable(error: BaseException, memo: dict[int, Any], *, is_bare: bool = False) -> Any:
    """Return what is pickled in the place of an exception.

    Args:
        error: the exception.
        memo: what stands for the exceptions that were met already, by their `id`.
        is_bare: leave out the attributes that can't be pickled.
    """
    cls = type(error)
    if id(error) in memo:
        return memo[id(error)]
    if _has_own_rules(cls):
        return error
    reduced: Any = BaseException.__reduce_ex__(error, 5)
    args, state = reduced[1], dict(reduced[2]) if len(reduced) > 2 and reduced[2] else {}
    if is_bare:
        state = {name: item for name, item in state.items() if _can_be_sent(item)}
    if issubclass(cls, BaseExceptionGroup):
        args = (args[0], [_portable(member, memo, is_bare=is_bare) for member in args[1]])
    portable = memo[id(error)] = _Portable(cls, args, state)
    return portable


def _has_own_rules(cls: type) -> bool:
    """Whether a class, or one between it and Python's own, says how it is pickled."""
    return any(name in vars(base) for base in cls.__mro__ if base.__flags__ & _IS_HEAP_TYPE for name in _OWN_RULES)


def _can_be_sent(item: Any) -> bool:
    try:
        dumps(item)
    except SerializationError:
        return False
    return True


def rebuild(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Make an exception as it was, without its own constructor."""
    base: Any = next(base for base in cls.__mro__ if not base.__flags__ & _IS_HEAP_TYPE)
    error: BaseException = base.__new__(cls, *args)
    base.__init__(error, *args)
    for name, item in state.items():
        object.__setattr__(error, name, item)  # even where the class forbids it, as a frozen dataclass does
    return error
