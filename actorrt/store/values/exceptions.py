"""Pickles of exceptions, which are rebuilt with their own type.

Python rebuilds an exception by calling its class with `args`. If the class has a constructor of its own, the call may
fail, or give the exception another text. So an exception whose class defines no pickling of its own is rebuilt
without its own constructor: its built-in base class makes it from `args`, and its attributes are restored. Attributes
that can't be pickled are left out.
"""

from __future__ import annotations

from typing import Any, Final

from actorrt.errors import SerializationError
from actorrt.interrupts import let_through
from actorrt.store.values.pickling import dumps

_OWN_RULES: Final = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__")
_IS_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, or as if by one


class _Portable:
    """Stands for an exception in a pickle."""

    def __init__(self, cls: type, args: tuple[Any, ...], state: dict[str, Any]) -> None:
        self._parts = cls, args, state

    def __reduce__(self) -> Any:
        return rebuild, self._parts


def dump_exception(error: BaseException) -> tuple[bytes, list[Any]] | None:
    """Return the pickle of an exception and its buffers; None if it can't be pickled."""
    try:
        try:
            return dumps(_portable(error, {}))
        except SerializationError:
            return dumps(_portable(error, {}, is_bare=True))
    except BaseException as problem:  # the exception's own code runs, which may raise anything
        let_through(problem)
        return None


def _portable(error: BaseException, memo: dict[int, Any], *, is_bare: bool = False) -> Any:
    """Return the object that is pickled in place of an exception.

    Args:
        error: the exception.
        memo: the stand-ins of the exceptions so far, by `id`.
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
    """Whether a class, or a base of it that is not built in, defines how it is pickled."""
    return any(name in vars(base) for base in cls.__mro__ if base.__flags__ & _IS_HEAP_TYPE for name in _OWN_RULES)


def _can_be_sent(item: Any) -> bool:
    try:
        dumps(item)
    except SerializationError:
        return False
    return True


def rebuild(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Rebuild an exception without its own constructor."""
    base: Any = next(base for base in cls.__mro__ if not base.__flags__ & _IS_HEAP_TYPE)
    error: BaseException = base.__new__(cls, *args)
    base.__init__(error, *args)
    for name, item in state.items():
        object.__setattr__(error, name, item)  # even if the class forbids it, as a frozen dataclass does
    return error
