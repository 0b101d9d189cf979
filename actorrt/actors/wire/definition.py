"""Checks an actor class when it is defined, and marks the hooks of the base class, which need not be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from actorrt.actors.wire.interface import RESERVED_NAMES

_OWN_NAMES: Final = ("context",)
"""What the runtime sets on each instance before the constructor runs."""
_MISSING: Final = object()
DEFAULT_HOOK: Final = "_is_default_hook"
"""The attribute that `default_hook` sets to the hook itself."""

H = TypeVar("H", bound=Callable[..., Any])


def check_class(cls: type, base: type) -> None:
    """Refuse an actor class with names that are taken, or with a constructor that would never run.

    Args:
        cls: the class, with all that it inherits.
        base: `Actor`, whose own attributes are allowed.

    Raises:
        TypeError: the message names the class and what to do.
    """
    reserved = [name for name in RESERVED_NAMES if _differs(cls, base, name)]
    if reserved:
        raise TypeError(f"{cls.__name__} defines {', '.join(sorted(reserved))}: these names are reserved; rename")
    for name in _OWN_NAMES:
        if _differs(cls, base, name):
            raise TypeError(f"{cls.__name__} defines {name!r}, which is the runtime's own in every actor; rename it")
    constructor = cls.__init__  # type: ignore[misc]
    if inspect.iscoroutinefunction(constructor) or inspect.isasyncgenfunction(constructor):
        raise TypeError(
            f"{cls.__name__} has an `async def __init__`, which Python never runs: make it a plain method, and await "
            "in `async def on_start(self)`"
        )


def _differs(cls: type, base: type, name: str) -> bool:
    found = inspect.getattr_static(cls, name, _MISSING)
    return found is not _MISSING and found is not inspect.getattr_static(base, name, _MISSING)


def default_hook(hook: H) -> H:
    """Mark a hook of `Actor` itself: it does nothing, so a host need not call it.

    The mark is the hook: a copy of the mark, as `functools.wraps` makes one, marks nothing.
    """
    setattr(hook, DEFAULT_HOOK, hook)
    return hook
