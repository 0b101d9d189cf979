"""What oracles find while a world runs, and how they watch the runtime."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from actorrt.errors import ActorRtError
from actorrt.testing.virtual.loop import START_S, VirtualLoop


class BrokenPromiseError(ActorRtError):
    """The runtime did not do what it promises. The text says what, and when."""


class Findings:
    """The promises that were broken in one world.

    Args:
        loop: the world's loop.
        note: called with each broken promise, in words.

    Attributes:
        broken: the promises, in words, oldest first.
    """

    def __init__(self, loop: VirtualLoop, note: Callable[[str], None]) -> None:
        self._loop = loop
        self._note = note
        self.broken: list[str] = []

    def add(self, text: str) -> None:
        """Note a promise that was broken now."""
        self.broken.append(f"at {self._loop.now() - START_S:.6f} s: {text}")
        self._note(f"BROKEN PROMISE: {text}")


def replace(undo: ExitStack, owner: Any, name: str, substitute: Callable[..., Any]) -> None:
    """Let `substitute` be a method of the runtime until the end of `undo`."""
    original = owner.__dict__[name]
    setattr(owner, name, substitute)
    undo.callback(setattr, owner, name, original)
