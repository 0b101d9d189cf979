"""Disables the runtime in forked children, where it can't work, and raises an error if code uses it there.

A fork copies one thread only. In the child nothing drives the loop, reads the sockets or completes pending calls. A
caller would wait for ever, and messages of the child would mix with messages of its parent. So every object that uses
sockets or threads of this process registers here. A fork disables the child's copies, and `check` raises in the child.
The parent is not affected, nor is a child that does not use actorrt.

The children of a process that forks while it has no runtime, such as the zygote, may start their own.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet

from actorrt.errors import RuntimeStateError

REFUSAL: Final = (
    "this process was forked from a process that uses actorrt, and can't use the runtime of that process: make it an "
    "actor, start it with multiprocessing.get_context('spawn'), or fork before actorrt.init()"
)

EXIT_STRAY: Final = 70  # EX_SOFTWARE of sysexits.h
_STRAY: Final = (
    b"a process that a method or a task had forked returned to the loop of its parent, and was ended: "
    b"end such a process with os._exit() inside the method or the task\n"
)


class Abandonable(Protocol):
    """An object whose copy in a forked child must not be used."""

    def abandon_after_fork(self) -> None:
        """Called in the child: disable the copy, and send nothing."""


abandoned: Final[list[Abandonable]] = []
"""In a forked child, the disabled copies; empty in other processes.

Frequent callers test this list before they call `check`. The copies are kept alive, since their finalizers would close
what belongs to the parent.
"""

_in_use: WeakSet[Abandonable] = WeakSet()


def abandon_in_children(thing: Abandonable) -> None:
    """Disable `thing` in children that are forked from now on."""
    _in_use.add(thing)


def forget(thing: Abandonable) -> None:
    """Undo `abandon_in_children`, since `thing` has ended. Idempotent."""
    _in_use.discard(thing)


def is_child() -> bool:
    """Whether this process was forked from one that had a runtime."""
    return bool(abandoned)


def check() -> None:
    """Raise if this process must not use actorrt.

    Raises:
        RuntimeStateError: this process was forked from one that had a runtime.
    """
    if abandoned:
        raise RuntimeStateError(REFUSAL)


def end_if_child() -> None:
    """End this process if it is a forked child. Called where a child would continue the loop of its parent."""
    if abandoned:
        os.write(2, _STRAY)
        os._exit(EXIT_STRAY)


def _after_fork_in_child() -> None:
    things = list(_in_use)
    _in_use.clear()
    abandoned.extend(things)
    for thing in things:
        thing.abandon_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
