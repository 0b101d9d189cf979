"""A forked child can't use the runtime of its parent, and is told so at once.

A fork copies one thread, and no other: in the child nobody drives the loop, reads the sockets or completes what was
pending, so whatever waits there would wait for ever; and what it sent would get mixed up with what its parent sends.
So all that serves this process registers here, is disabled in the child, and `check` raises there. The parent goes on
undisturbed, and so does a child that uses nothing of actorrt.

A process that forks while it has no runtime, as the zygote does, has children that may start their own.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet

from actorrt.errors import RuntimeStateError

REFUSAL: Final = (
    "this process was forked from one that uses actorrt, whose runtime it can't use: make it an actor, start it with "
    "multiprocessing.get_context('spawn'), or fork before actorrt.init()"
)


EXIT_STRAY: Final = 70  # EX_SOFTWARE of sysexits.h
_STRAY: Final = (
    b"a process that was forked in a method of an actor came back into the loop of its parent, and is ended: "
    b"end it with os._exit() in the method\n"
)


class Abandonable(Protocol):
    """What a forked child has a useless copy of."""

    def abandon_after_fork(self) -> None:
        """Called in the child: disable the copy, without a word to anybody."""


abandoned: Final[list[Abandonable]] = []
"""In a child: what its parent used; empty elsewhere, so that who asks often looks here before it calls `check`. It is
kept, since finalizers would end what is the parent's."""
_in_use: WeakSet[Abandonable] = WeakSet()


def abandon_in_children(thing: Abandonable) -> None:
    """Have `thing` disabled in processes that are forked from now on."""
    _in_use.add(thing)


def forget(thing: Abandonable) -> None:
    """`thing` has ended: forked children need not care. Idempotent."""
    _in_use.discard(thing)


def is_child() -> bool:
    """Whether this process was forked from one that had a runtime."""
    return bool(abandoned)


def check() -> None:
    """Refuse the use of actorrt in a forked child.

    Raises:
        RuntimeStateError: this process was forked from one that had a runtime.
    """
    if abandoned:
        raise RuntimeStateError(REFUSAL)


def end_if_child() -> None:
    """End this process if it is a forked child. Called where one comes back into the loop, whose sockets it shares."""
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
