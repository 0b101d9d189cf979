"""The object store of a simulated host: the real core. The process of the daemon exchanges objects with other hosts."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from actorrt.ids import ObjectId
from actorrt.machine.clock import Clock
from actorrt.store.memory.disk import Spilling
from actorrt.store.server.core import StoreCore
from actorrt.store.server.exchange import Exchange
from actorrt.store.server.local import LocalStore
from actorrt.store.table.instructions import Adopt, Fetch, ReleaseAdopted, TransitArrived
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess


class HostStore(LocalStore):
    """The store of one node. It ends with the process of the daemon.

    Args:
        capacity_bytes, clock: as for `LocalStore`.
        loop: the world's loop.
        daemon: the process of the daemon.
        disk: takes objects that memory has no room for.
    """

    def __init__(
        self, capacity_bytes: int, clock: Clock, loop: VirtualLoop, daemon: SimulatedProcess, disk: Spilling
    ) -> None:
        self._loop = loop
        self._daemon = daemon
        super().__init__(capacity_bytes, clock, disk=disk)

    def sweep(self) -> None:
        """Let the store end what has expired, which it does when it is sent a message."""
        self.retention.release([])

    def _new_exchange(self, core: StoreCore) -> Exchange:
        return _DaemonExchange(self, core, self._loop, self._daemon)


class _DaemonExchange(Exchange):
    """An exchange whose tasks and timers belong to the daemon, whichever process has caused them.

    Args:
        store, core: the store.
        loop, daemon: as for `HostStore`.
    """

    def __init__(self, store: HostStore, core: StoreCore, loop: VirtualLoop, daemon: SimulatedProcess) -> None:
        super().__init__(core, store._settle)
        self._world, self._daemon = loop, daemon

    def carry_out(self, instruction: Fetch | Adopt | TransitArrived | ReleaseAdopted) -> None:
        if self._daemon.is_alive:
            self._world.run_in(self._daemon, super().carry_out, instruction)

    def receive(self, message: list[Any], fd: int | None, *, writable: bool) -> None:
        if self._daemon.is_alive:
            self._world.run_in(self._daemon, partial(super().receive, writable=writable), message, fd)
        elif fd is not None:
            os.close(fd)

    def _unpin_soon(self, object_id: ObjectId) -> None:
        self._world.call_in(self._daemon, self._unpin, object_id)
