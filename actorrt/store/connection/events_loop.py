"""The loop on which a process hears its store's events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import get_ident
from typing import Any


class EventsLoop:
    """A loop and its thread; no loop before `attach` and after `detach`.

    Attributes:
        loop: the loop; to be read only.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use `loop`, which is running this."""
        self.loop, self._thread = loop, get_ident()

    def detach(self) -> None:
        """Forget the loop. Idempotent."""
        self.loop = None

    @property
    def is_current(self) -> bool:
        """Whether this thread runs the loop."""
        return self.loop is not None and self._thread == get_ident()

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call something on the loop, from any thread; not at all if there is no loop.

        Raises:
            RuntimeError: the loop is closed.
        """
        loop = self.loop
        if loop is None:
            return
        if self._thread == get_ident():
            loop.call_soon(callback, *arguments)
        else:
            loop.call_soon_threadsafe(callback, *arguments)

    def call_later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
        """Call something on the loop after a delay; otherwise as `call_soon`."""
        loop = self.loop
        if loop is None:
            return
        if self._thread == get_ident():
            loop.call_later(delay_s, callback, *arguments)
        else:
            loop.call_soon_threadsafe(loop.call_later, delay_s, callback, *arguments)
