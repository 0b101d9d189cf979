"""The side of a stream that serves: the actor's method yields items, and they leave as their caller takes them.

The caller grants items in advance; the generator waits when none is granted. The side that reads is in
`calling.streams`.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from actorrt.actors.refs.message import Caller, Message
from actorrt.completion import Completion
from actorrt.protocol.envelopes import STREAM_WINDOW_ITEMS


class Outlet:
    """The number of items of one stream that its caller still takes.

    Args:
        granted: how many it takes to begin with.
    """

    def __init__(self, granted: int) -> None:
        self._granted = granted
        self._more: Completion[None] = Completion()

    def grant(self, count: int) -> None:
        """Called when the caller takes `count` more items."""
        self._granted += count
        self._more.set_value(None)

    async def admit(self) -> None:
        """Wait until one more item may leave."""
        while self._granted == 0:
            self._more = Completion()
            await self._more
        self._granted -= 1


class Serving:
    """The streams that the actors of one endpoint serve."""

    def __init__(self) -> None:
        self._outlets: dict[tuple[Caller, int], Outlet] = {}

    def __len__(self) -> int:
        return len(self._outlets)

    def granted(self, caller: Caller | None, call_id: int, count: int) -> None:
        """Called when the caller of a stream takes `count` more items. Without effect where the stream has ended."""
        outlet = self._outlets.get((caller, call_id)) if caller is not None else None
        if outlet is not None:
            outlet.grant(count)

    async def serve(self, message: Message, generator: Any) -> None:
        """Send the items of the generator as the caller takes them; close the generator if the call is cancelled.

        Raises:
            TypeError: the message is a tell, so that nobody takes the items.
        """
        caller = message.caller
        if caller is None or not message.call_id:
            raise TypeError(f"{message.method}() yields; a tell has no caller that takes the items")
        granted = (message.options or {}).get("window", STREAM_WINDOW_ITEMS)
        outlet = self._outlets[caller, message.call_id] = Outlet(granted)
        try:
            if inspect.isasyncgen(generator):
                async for item in generator:
                    caller.item(message.call_id, item)
                    await outlet.admit()
            else:
                for item in generator:
                    caller.item(message.call_id, item)
                    await outlet.admit()
                    await asyncio.sleep(0)  # the loop is not held over a long stream
        finally:
            del self._outlets[caller, message.call_id]
            await _close(generator)


async def _close(generator: Any) -> None:
    if inspect.isasyncgen(generator):
        await generator.aclose()
    else:
        generator.close()
