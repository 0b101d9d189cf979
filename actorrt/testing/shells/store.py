"""The channel of a simulated process to the object store of its host: the real core, with events that take time.

A request is a call, as the real client waits for the answer too. Memory is real.
Objects are moved to disk in no time, as in local mode.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from actorrt.ids import PeerId
from actorrt.store.server.local import LocalChannel, LocalStore
from actorrt.store.table.instructions import Send
from actorrt.store.wire.channel import OnEvent
from actorrt.store.wire.protocol import Op, Role
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.virtual.refusal import refused


class SimulatedChannel(LocalChannel):
    """A channel that ends with its process.

    Args:
        store, peer: as for `LocalChannel`.
        loop, process: the loop, and the process of the client.
        latency_s: returns how long an event is under way.
    """

    def __init__(
        self,
        store: LocalStore,
        peer: PeerId,
        loop: VirtualLoop,
        process: SimulatedProcess,
        latency_s: Callable[[], float],
    ) -> None:
        super().__init__(store, peer, process.number)
        self._loop = loop
        self._process = process
        self._latency_s = latency_s
        self._last_due = 0.0
        self._under_way: set[int] = set()  # the descriptors that travel with events
        process.on_crash.append(self._process_ended)

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        def receive(send: Send, fd: int | None) -> None:
            self._last_due = max(self._last_due, self._loop.now() + self._latency_s())
            if fd is not None:
                self._under_way.add(fd)
            self._loop.call_in_at(self._process, self._last_due, arrive, send.message, fd)

        def arrive(message: list[Any], fd: int | None) -> None:
            if fd is not None:
                self._under_way.discard(fd)
            self._tell(on_event, message, fd)

        self._events = self._store.begin(self._peer, self._pid, Role.EVENTS, receive)

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        refused("a blocking wait for the object store, which await would replace,")

    def _process_ended(self) -> None:
        """Called when the process is dead: the kernel closes its sockets."""
        for fd in self._under_way:
            os.close(fd)
        self._under_way.clear()
        self.stop_listening()
        self.close()
