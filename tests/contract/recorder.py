"""The receiver of the transport's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from actorrt.errors import ActorRtError
from actorrt.ids import PeerId
from actorrt.transport.interfaces import Buffer

WAIT_S: Final = 10.0


class Recorder:
    """A receiver that records its calls, and wakes the tests that wait for them."""

    def __init__(self) -> None:
        self.got: list[tuple[PeerId, list[Any], list[Buffer]]] = []
        self.failed: list[tuple[PeerId, ActorRtError]] = []
        self.on_received: Callable[[list[Any]], None] = lambda envelope: None
        self._changed = asyncio.Event()

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        self.got.append((peer, envelope, list(buffers)))
        self._changed.set()
        self.on_received(envelope)

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.failed.append((peer, error))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def envelopes(self, count: int) -> list[list[Any]]:
        await self.until(lambda: len(self.got) >= count)
        return self.said

    async def failure(self) -> tuple[PeerId, ActorRtError]:
        await self.until(lambda: bool(self.failed))
        return self.failed[0]

    @property
    def said(self) -> list[list[Any]]:
        return [envelope for _, envelope, _ in self.got]
